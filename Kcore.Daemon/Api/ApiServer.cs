using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text.Json;
using Kcore.Contracts;
using Kcore.Daemon.Catalog;
using Kcore.Daemon.Storage;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Kcore.Daemon.Api;

/// <summary>HTTP/1.1 and JSON on the Unix socket: the routes of <see cref="Routes"/>.</summary>
internal static partial class ApiServer
{
    private const long MaxRequestBody = 256 * 1024;

    /// <summary>What requests in progress get when the daemon stops; the unit's TimeoutStopSec is three times that.</summary>
    private static readonly TimeSpan StopLimit = TimeSpan.FromSeconds(5);

    public static WebApplication Build(string socket, ApiEndpoints endpoints, ILoggerProvider logs)
    {
        WebApplicationBuilder builder = NewBuilder();
        builder.Logging.AddProvider(logs).SetMinimumLevel(LogLevel.Warning);
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
        {
            kestrel.Limits.MaxRequestBodySize = MaxRequestBody;
            kestrel.Limits.MaxConcurrentConnections = 256;
            kestrel.ListenUnixSocket(socket);
        });

        builder.Services.AddRoutingCore();

        // The daemon stops by its own token, not by the web host's console handling.
        builder.Services.AddSingleton<IHostLifetime, NoLifetime>();
        builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = StopLimit);
        WebApplication app = builder.Build();
        ILogger logger = app.Services.GetRequiredService<ILoggerFactory>().CreateLogger("Kcore.Daemon.Api");
        app.Use((context, next) => AnswerAsync(context, next, logger));
        endpoints.Map(app);
        app.MapFallback((HttpContext _) => throw new RefusedException(ErrorCode.NotFound, "there is no such resource", next: "see the routes in docs/api.md"));
        return app;
    }

    /// <summary>
    /// A web host that reads nothing by itself. The framework's usual ones look for appsettings.json in the working directory and
    /// watch everything below it: that of a service is the root of the file system, with a watch for each directory of the host.
    /// </summary>
    internal static WebApplicationBuilder NewBuilder() => WebApplication.CreateEmptyBuilder(new WebApplicationOptions { Args = [] });

    /// <summary>Every refusal becomes a problem document; what is not a refusal is a bug, logged whole and told briefly.</summary>
    private static async Task AnswerAsync(HttpContext context, RequestDelegate next, ILogger logger)
    {
        if (!HttpMethods.IsGet(context.Request.Method))
        {
            Log.Change(logger, context.Request.Method, context.Request.Path, PeerOf(context));
        }

        try
        {
            await next(context);
        }
        catch (RefusedException e)
        {
            await WriteAsync(context, e.Problem);
        }
        catch (StorageException e)
        {
            Log.Failed(logger, context.Request.Method, context.Request.Path, e);
            await WriteAsync(context, new Problem(ErrorCode.Internal, "the change could not be stored and may be gone after a restart", [e.Message], "df, then repeat the command"));
        }
        catch (Exception e) when (e is JsonException or BadHttpRequestException)
        {
            await WriteAsync(context, new Problem(ErrorCode.InvalidArgument, "the request body is not what this resource takes", [e.Message], null));
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            Log.Failed(logger, context.Request.Method, context.Request.Path, e);
            await WriteAsync(context, new Problem(ErrorCode.Internal, "an internal error in kcored", [e.Message], "journalctl -u kcored"));
        }
    }

    private static async Task WriteAsync(HttpContext context, Problem problem)
    {
        if (context.Response.HasStarted)
        {
            context.Abort();
            return;
        }

        context.Response.StatusCode = Problem.StatusOf(problem.Code);
        await context.Response.WriteAsJsonAsync(problem, ApiJson.Default.Problem, Problem.MediaType);
    }

    /// <summary>Who is at the other end, as the kernel vouches for (SO_PEERCRED, unix(7)): process, user and group id.</summary>
    private static string PeerOf(HttpContext context)
    {
        const int SocketLevel = 1;
        const int PeerCredentials = 17;
        if (context.Features.Get<IConnectionSocketFeature>()?.Socket is not { } socket)
        {
            return "unknown";
        }

        Span<byte> credentials = stackalloc byte[12];
        try
        {
            socket.GetRawSocketOption(SocketLevel, PeerCredentials, credentials);
        }
        catch (SocketException)
        {
            return "unknown";
        }

        ReadOnlySpan<int> fields = MemoryMarshal.Cast<byte, int>(credentials);
        return $"pid {fields[0]} uid {fields[1]} gid {fields[2]}";
    }

    private sealed class NoLifetime : IHostLifetime
    {
        public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }

    private static partial class Log
    {
        [LoggerMessage(1501, LogLevel.Information, "{Method} {Path} by {Peer}")]
        public static partial void Change(ILogger logger, string method, string path, string peer);

        [LoggerMessage(1502, LogLevel.Error, "{Method} {Path} failed")]
        public static partial void Failed(ILogger logger, string method, string path, Exception cause);
    }
}

using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using Kcore.Daemon.Cluster.Trust;
using Kcore.Gossip;
using Microsoft.Extensions.Logging;

namespace Kcore.Daemon.Cluster.Streams;

/// <summary>Answers one kind of request; writes as many frames as it likes, the last one marked.</summary>
internal delegate Task StreamHandler(NodeId peer, ReadOnlyMemory<byte> body, Func<ReadOnlyMemory<byte>, bool, ValueTask> reply, CancellationToken token);

/// <summary>Serves a stream that stays open after its first frame, until the peer ends it or the token does.</summary>
internal delegate Task SessionHandler(NodeId peer, ReadOnlyMemory<byte> first, PeerStream stream, CancellationToken token);

/// <summary>
/// Accepts TLS streams from other nodes on one port. Whoever has not proved the cluster key costs one socket, a bounded
/// number of them, for a bounded time.
/// </summary>
internal sealed partial class PeerListener(
    IPEndPoint endpoint,
    ClusterTls trust,
    IReadOnlyDictionary<StreamKind, StreamHandler> handlers,
    TimeProvider time,
    ILogger logger,
    IReadOnlyDictionary<StreamKind, SessionHandler>? sessions = null)
{
    /// <summary>Connections in the handshake or in use; the 501 other nodes of the largest cluster fit.</summary>
    private const int MaxConnections = 512;

    /// <summary>One address must not take all places: an attacker's half-open connections leave room for members.</summary>
    private const int MaxPerAddress = 32;

    private static readonly TimeSpan HandshakeLimit = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan RequestLimit = TimeSpan.FromSeconds(30);

    private readonly Lock _door = new();
    private readonly Dictionary<IPAddress, int> _perAddress = [];
    private int _connections;
    private long _refused;

    /// <summary>Serves until cancelled. Connections in progress end with it.</summary>
    public async Task RunAsync(CancellationToken stoppingToken)
    {
        using var socket = new Socket(endpoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
        socket.Bind(endpoint);
        socket.Listen(512);
        var running = new ConcurrentDictionary<Task, bool>();
        try
        {
            while (true)
            {
                Socket client;
                try
                {
                    client = await socket.AcceptAsync(stoppingToken);
                }
                catch (SocketException e)
                {
                    // A connection that died in the queue, or no descriptor left: neither may end the listener.
                    Log.AcceptFailed(logger, e.Message);
                    await Task.Delay(TimeSpan.FromMilliseconds(50), time, stoppingToken);
                    continue;
                }

                IPAddress address = ((IPEndPoint)client.RemoteEndPoint!).Address;
                if (!TryEnter(address))
                {
                    client.Dispose();
                    continue;
                }

                Task serving = ServeAsync(client, address, stoppingToken);
                running.TryAdd(serving, true);
                _ = serving.ContinueWith(
                    t => running.TryRemove(t, out _), CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            await Task.WhenAll(running.Keys);
        }
    }

    private async Task ServeAsync(Socket client, IPAddress address, CancellationToken stoppingToken)
    {
        try
        {
            client.NoDelay = true;
            await using var tls = new PeerStream(new EagerSocket(client));
            using (var limit = new CancellationTokenSource(HandshakeLimit, time))
            using (CancellationTokenSource both = CancellationTokenSource.CreateLinkedTokenSource(stoppingToken, limit.Token))
            {
                await tls.AuthenticateAsServerAsync(
                    (_, hello, _, _) => ValueTask.FromResult(trust.Current.ForServer(hello.ServerName)), state: null, both.Token);
            }

            var peer = new NodeId(TlsOptions.PeerOf(tls));
            using var whole = new CancellationTokenSource(RequestLimit, time);
            using CancellationTokenSource request = CancellationTokenSource.CreateLinkedTokenSource(stoppingToken, whole.Token);
            if (await StreamFrame.ReadAsync(tls, request.Token) is not { } frame)
            {
                return;
            }

            if (sessions is not null && sessions.TryGetValue(frame.Kind, out SessionHandler? session))
            {
                await session(peer, frame.Body, tls, stoppingToken);
            }
            else if (handlers.TryGetValue(frame.Kind, out StreamHandler? handler))
            {
                await handler(
                    peer,
                    frame.Body,
                    (body, last) => StreamFrame.WriteAsync(tls, new StreamFrame(frame.Kind, last, body), request.Token),
                    request.Token);
                await tls.ShutdownAsync();
            }
        }
        catch (Exception e) when (e is IOException or OperationCanceledException or InvalidDataException or SocketException
            or System.Security.Authentication.AuthenticationException)
        {
            Log.StreamEnded(logger, address, e.Message);
        }
        finally
        {
            client.Dispose();
            Leave(address);
        }
    }

    private bool TryEnter(IPAddress address)
    {
        long refused;
        lock (_door)
        {
            int here = _perAddress.GetValueOrDefault(address);
            if (_connections < MaxConnections && here < MaxPerAddress)
            {
                _connections++;
                _perAddress[address] = here + 1;
                return true;
            }

            refused = ++_refused;
        }

        // Every power of two, so that a flood can be seen and does not fill the journal.
        if (long.IsPow2(refused))
        {
            Log.Refused(logger, refused, address);
        }

        return false;
    }

    private void Leave(IPAddress address)
    {
        lock (_door)
        {
            _connections--;
            int here = _perAddress[address] - 1;
            if (here == 0)
            {
                _perAddress.Remove(address);
            }
            else
            {
                _perAddress[address] = here;
            }
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1110, LogLevel.Debug, "Stream from {Address} ended: {Cause}")]
        public static partial void StreamEnded(ILogger logger, IPAddress address, string cause);

        [LoggerMessage(1111, LogLevel.Warning, "{Count} connections refused so far because too many are open; the latest from {Address}")]
        public static partial void Refused(ILogger logger, long count, IPAddress address);

        [LoggerMessage(1112, LogLevel.Warning, "A connection could not be accepted: {Cause}")]
        public static partial void AcceptFailed(ILogger logger, string cause);
    }
}

using System.ComponentModel;
using System.Diagnostics;
using Kcore.Daemon.Dataplane;

namespace Kcore.Daemon.Dhcp.Supervision;

/// <summary>
/// Servers as children of this daemon, where there is no systemd. A daemon that ends, however it ends, leaves them running;
/// the next one finds them by their command lines.
/// </summary>
internal sealed class ChildSupervisor(HomeNamespace home, TimeProvider time) : IDhcpSupervisor
{
    /// <summary>dnsmasq lets go of its standard error when it serves; until then it says there why it cannot.</summary>
    private static readonly TimeSpan _start = TimeSpan.FromSeconds(5);

    private static readonly TimeSpan _end = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan _look = TimeSpan.FromMilliseconds(10);

    public TimeSpan Grace => TimeSpan.Zero;

    public async Task<string?> StartAsync(string network, string configuration, CancellationToken token)
    {
        ProcessStartInfo start = new(Dnsmasq.Path, Dnsmasq.Arguments(configuration))
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = "/",
        };
        start.Environment["LC_ALL"] = "C";
        Process process = new() { StartInfo = start };
        try
        {
            home.Run(process.Start);
        }
        catch (Win32Exception e)
        {
            process.Dispose();
            return $"dnsmasq could not be started: {e.Message}";
        }

        // The runtime reaps children it started, also those nobody holds any more.
        using (process)
        {
            process.StandardInput.Close();
            return await OutcomeAsync(process, token);
        }
    }

    public async Task StopAsync(string network, ServerProcess? server, CancellationToken token)
    {
        server?.End();
        long begun = time.GetTimestamp();
        while (server is { IsAlive: true })
        {
            if (time.GetElapsedTime(begun) > _end)
            {
                server.EndAtOnce();
            }

            await Task.Delay(_look, time, token);
        }
    }

    public Task ReloadAsync(ServerProcess server, CancellationToken token)
    {
        server.Reload();
        return Task.CompletedTask;
    }

    private async Task<string?> OutcomeAsync(Process process, CancellationToken token)
    {
        using CancellationTokenSource deadline = new(_start, time);
        using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, token);
        try
        {
            string said = await process.StandardError.ReadToEndAsync(either.Token);
            if (said.Length == 0)
            {
                return null;
            }

            await process.WaitForExitAsync(either.Token);
            return $"dnsmasq ended with exit code {process.ExitCode}: {said.Trim().Split('\n')[0]}";
        }
        catch (OperationCanceledException) when (!token.IsCancellationRequested)
        {
            // It neither serves nor ends: whether it is there shows at the next look.
            return null;
        }
    }
}

using System.ComponentModel;
using System.Diagnostics;

namespace Kcore.Daemon.Dhcp.Supervision;

/// <summary>
/// Servers as transient units <c>kcore-dhcp-NETWORK.service</c> of systemd, which starts them again when they end and keeps
/// them while this daemon restarts, is upgraded or is removed.
/// </summary>
internal sealed class UnitSupervisor(TimeProvider time) : IDhcpSupervisor
{
    private static readonly TimeSpan _patience = TimeSpan.FromSeconds(10);

    /// <summary>systemd starts a unit again after half a second (below).</summary>
    public TimeSpan Grace => TimeSpan.FromSeconds(1.2);

    /// <summary>Names of networks hold only letters, digits, '-' and '_', which need no escaping in a unit's name.</summary>
    public static string UnitOf(string network) => $"kcore-dhcp-{network}.service";

    public static string[] StartArguments(string network, string configuration) =>
    [
        "--quiet",
        "--collect",
        "--service-type=exec",
        $"--unit={UnitOf(network)}",
        $"--description=Kcore DHCP server of network {network}",
        "--property=Restart=always",
        "--property=RestartSec=500ms",
        "--property=StartLimitIntervalSec=0",
        "--property=ProtectHome=yes",
        "--property=NoNewPrivileges=yes",
        "--",
        Dnsmasq.Path,
        .. Dnsmasq.Arguments(configuration),
    ];

    public async Task<string?> StartAsync(string network, string configuration, CancellationToken token)
    {
        // A unit of that name that is loaded still, failed or between two starts, would be in the way.
        _ = await RunAsync("systemctl", ["stop", UnitOf(network)], token);
        _ = await RunAsync("systemctl", ["reset-failed", UnitOf(network)], token);
        return await RunAsync("systemd-run", StartArguments(network, configuration), token);
    }

    public async Task StopAsync(string network, ServerProcess? server, CancellationToken token)
    {
        _ = await RunAsync("systemctl", ["stop", UnitOf(network)], token);

        // One that a daemon without systemd had started.
        server?.End();
    }

    public async Task ReloadAsync(ServerProcess server, CancellationToken token)
    {
        if (await RunAsync("systemctl", ["kill", "--signal=HUP", UnitOf(server.Network)], token) is not null)
        {
            server.Reload();
        }
    }

    /// <summary>Returns what went wrong, or null.</summary>
    private async Task<string?> RunAsync(string program, string[] arguments, CancellationToken token)
    {
        ProcessStartInfo start = new(program, arguments)
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["LC_ALL"] = "C";
        using Process process = new() { StartInfo = start };
        try
        {
            process.Start();
        }
        catch (Win32Exception e)
        {
            return $"{program} could not be started: {e.Message}";
        }

        process.StandardInput.Close();
        using CancellationTokenSource deadline = new(_patience, time);
        using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, token);
        try
        {
            string said = await process.StandardError.ReadToEndAsync(either.Token);
            await process.WaitForExitAsync(either.Token);
            return process.ExitCode == 0 ? null : $"{program} failed: {said.Trim().Split('\n')[0]}";
        }
        catch (OperationCanceledException) when (!token.IsCancellationRequested)
        {
            process.Kill();
            return $"{program} did not answer within {_patience.TotalSeconds:0} s";
        }
    }
}

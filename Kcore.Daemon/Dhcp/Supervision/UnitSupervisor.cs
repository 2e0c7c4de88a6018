using Kcore.Daemon.Systemd;

namespace Kcore.Daemon.Dhcp.Supervision;

/// <summary>
/// Servers as transient units <c>kcore-dhcp-NETWORK.service</c> of systemd, which starts them again when they end and keeps
/// them while this daemon restarts, is upgraded or is removed.
/// </summary>
internal sealed class UnitSupervisor(TimeProvider time) : IDhcpSupervisor
{
    private static readonly TimeSpan _proof = TimeSpan.FromMilliseconds(300);

    private readonly UnitCommands _units = new(time);

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
        _ = await _units.RunAsync("systemctl", ["stop", UnitOf(network)], token);
        _ = await _units.RunAsync("systemctl", ["reset-failed", UnitOf(network)], token);
        if (await _units.RunAsync("systemd-run", StartArguments(network, configuration), token) is { } refused)
        {
            return refused;
        }

        // That the program was executed says nothing yet: one that cannot serve ends at once and is started again for ever.
        await Task.Delay(_proof, time, token);
        return await _units.RunAsync("systemctl", ["is-active", "--quiet", UnitOf(network)], token) is null
            ? null
            : $"dnsmasq does not stay up (journalctl -u {UnitOf(network)})";
    }

    public async Task StopAsync(string network, ServerProcess? server, CancellationToken token)
    {
        _ = await _units.RunAsync("systemctl", ["stop", UnitOf(network)], token);

        // One that a daemon without systemd had started.
        server?.End();
    }

    public async Task ReloadAsync(ServerProcess server, CancellationToken token)
    {
        if (await _units.RunAsync("systemctl", ["kill", "--signal=HUP", UnitOf(server.Network)], token) is not null)
        {
            server.Reload();
        }
    }
}

using Kcore.Daemon.Systemd;

namespace Kcore.Daemon.Dataplane.Mesh;

/// <summary>
/// wireguard-go as the transient unit <c>kcore-wireguard.service</c> of systemd, which starts it again when it ends and keeps it
/// while this daemon restarts, is upgraded or is removed.
/// </summary>
internal sealed class UnitTunnelSupervisor(TimeProvider time) : ITunnelSupervisor
{
    public const string Unit = "kcore-wireguard.service";

    private const string Usual = "/usr/bin/" + TunnelProcess.Program;

    private readonly UnitCommands _units = new(time);

    /// <summary>systemd starts a unit again after half a second (below).</summary>
    public TimeSpan Grace => TimeSpan.FromSeconds(1.2);

    public static string[] StartArguments { get; } =
    [
        "--quiet",
        "--collect",
        "--service-type=exec",
        $"--unit={Unit}",
        "--description=Kcore encrypted mesh (WireGuard in user space)",
        "--property=Restart=always",
        "--property=RestartSec=500ms",
        "--property=StartLimitIntervalSec=0",
        "--property=ProtectHome=yes",
        "--property=NoNewPrivileges=yes",
        "--setenv=LOG_LEVEL=error",
        "--setenv=WG_PROCESS_FOREGROUND=1",
        "--",
        Usual,
        .. TunnelProcess.Arguments,
    ];

    public async Task<string?> StartAsync(CancellationToken token)
    {
        if (!File.Exists(Usual))
        {
            return $"this kernel has no WireGuard, and {Usual} is not there: apt install {TunnelProcess.Program}";
        }

        // A unit of that name that is loaded still, failed or between two starts, would be in the way.
        await StopAsync(token);
        _ = await _units.RunAsync("systemctl", ["reset-failed", Unit], token);
        return await _units.RunAsync("systemd-run", StartArguments, token);
    }

    public async Task StopAsync(CancellationToken token) => _ = await _units.RunAsync("systemctl", ["stop", Unit], token);
}

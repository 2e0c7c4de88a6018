namespace Kcore.Daemon.Dataplane.Mesh;

/// <summary>Whoever keeps wireguard-go running: this daemon, or systemd.</summary>
internal interface ITunnelSupervisor
{
    /// <summary>How long a process that ended is left to somebody else to start again.</summary>
    TimeSpan Grace { get; }

    /// <summary>Starts a process that outlives this daemon; returns why it cannot be started, or null.</summary>
    Task<string?> StartAsync(CancellationToken token);

    /// <summary>Returns when nothing will start it again; ending the process itself is the caller's.</summary>
    Task StopAsync(CancellationToken token);
}

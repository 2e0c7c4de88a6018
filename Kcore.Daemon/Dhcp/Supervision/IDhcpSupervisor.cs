namespace Kcore.Daemon.Dhcp.Supervision;

/// <summary>Whoever keeps the DHCP servers running: this daemon, or systemd.</summary>
internal interface IDhcpSupervisor
{
    /// <summary>How long a server that ended is left to somebody else to start again.</summary>
    TimeSpan Grace { get; }

    /// <summary>Starts a server that outlives this daemon; returns when it serves, or why it does not.</summary>
    Task<string?> StartAsync(string network, string configuration, CancellationToken token);

    /// <summary>Returns when the server has ended and will not be started again.</summary>
    /// <param name="server">Null when none is running; somebody may be about to start it.</param>
    Task StopAsync(string network, ServerProcess? server, CancellationToken token);

    /// <summary>Lets the server read its reservations again.</summary>
    Task ReloadAsync(ServerProcess server, CancellationToken token);
}

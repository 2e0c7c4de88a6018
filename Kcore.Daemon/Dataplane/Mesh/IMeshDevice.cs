using Kcore.Netlink.Wireguard;

namespace Kcore.Daemon.Dataplane.Mesh;

/// <summary>The WireGuard side of the device, in the kernel or in a process.</summary>
internal interface IMeshDevice
{
    /// <exception cref="IOException">It does not answer.</exception>
    /// <exception cref="Kcore.Netlink.NetlinkException">The same, of the kernel's.</exception>
    Task<WireguardInfo> ReadAsync(CancellationToken token);

    /// <inheritdoc cref="ReadAsync"/>
    Task ChangeAsync(WireguardChange change, CancellationToken token);
}

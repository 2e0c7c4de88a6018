using Kcore.Netlink.Wireguard;

namespace Kcore.Daemon.Dataplane.Mesh;

/// <summary>WireGuard in the kernel. Calls block for its own work only.</summary>
internal sealed class KernelMeshDevice(HomeNamespace home) : IMeshDevice
{
    public Task<WireguardInfo> ReadAsync(CancellationToken token)
    {
        using WireguardSocket socket = home.Run(WireguardSocket.Open);
        return Task.FromResult(socket.Read(MeshIntent.Device));
    }

    public Task ChangeAsync(WireguardChange change, CancellationToken token)
    {
        using WireguardSocket socket = home.Run(WireguardSocket.Open);
        socket.Change(MeshIntent.Device, change);
        return Task.CompletedTask;
    }
}

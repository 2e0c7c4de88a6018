using System.Collections.Immutable;
using System.Net.Sockets;
using Kcore.Daemon.Cluster.Addressing;
using Kcore.Netlink.Route;

namespace Kcore.Daemon.Cluster.Discovery;

/// <summary>The real network of the namespace the calling thread is in.</summary>
internal sealed class LinuxMdnsNetwork : IMdnsNetwork
{
    public ImmutableArray<MdnsInterface> Scan()
    {
        using RouteSocket socket = RouteSocket.Open();
        ILookup<int, AddressInfo> addresses = socket.DumpAddresses()
            .Where(a => a.Address.AddressFamily == AddressFamily.InterNetwork)
            .ToLookup(a => a.LinkIndex);
        return
        [
            .. socket.DumpLinks()
                .Where(link => IsUsable(link) && addresses.Contains(link.Index))
                .Select(link => new MdnsInterface(link.Name, link.Index, [.. addresses[link.Index].Select(a => new MdnsSubnet(a.Address, a.PrefixLength))])),
        ];
    }

    public IMdnsSocket Open(MdnsInterface on) => new MdnsSocket(on);

    private static bool IsUsable(LinkInfo link) =>
        !InterfaceNames.IsVirtual(link.Name)
        && !link.Flags.HasFlag(LinkFlags.Loopback)
        && link.Flags.HasFlag(LinkFlags.Multicast)
        && HostInterfaceReader.Works(link);
}

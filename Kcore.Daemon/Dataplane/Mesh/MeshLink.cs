using System.Net.Sockets;
using Kcore.Daemon.Dataplane.Desired;
using Kcore.Daemon.Dataplane.Observed;
using Kcore.Netlink;
using Kcore.Netlink.Route;

namespace Kcore.Daemon.Dataplane.Mesh;

/// <summary>The network device side of the mesh, the same whoever does the WireGuard behind it: mark, MTU, address, state.</summary>
internal sealed class MeshLink(RouteSocket socket)
{
    private static readonly string _alias = KernelFacts.Alias("the encrypted mesh");

    public LinkInfo? Find() => socket.FindLink(MeshIntent.Device);

    /// <summary>Asks the kernel for a device of its own; false when it has no WireGuard.</summary>
    /// <exception cref="NetlinkException">It refused for another reason.</exception>
    public bool TryCreate(int mtu)
    {
        RouteBatch batch = new();
        batch.CreateWireguard(new WireguardSpec { Name = MeshIntent.Device, Mtu = mtu, Up = false });
        return socket.Execute(batch).ErrorOf(0) is not { } error
            || (error.Errno == Errno.EOPNOTSUPP ? false : throw new NetlinkException($"make {MeshIntent.Device}", error));
    }

    /// <summary>Makes the device what it should be and says what was not, in words; a device that carries nothing yet is raised last.</summary>
    public IReadOnlyList<string> Adjust(LinkInfo seen, MeshIntent desired)
    {
        RouteBatch batch = new();
        List<string> done = [];
        AddressInfo[] ours = [.. socket.DumpAddresses().Where(a => a.LinkIndex == seen.Index && a.Protocol == KcoreMark.Protocol)];
        LinkChange change = new()
        {
            Group = seen.Group == KcoreMark.LinkGroup ? null : KcoreMark.LinkGroup,
            Alias = seen.Alias == _alias ? null : _alias,
            Mtu = seen.Mtu == desired.Mtu ? null : desired.Mtu,
        };
        if (change != new LinkChange())
        {
            batch.ChangeLink(seen.Index, change);
            done.Add(change.Mtu is { } mtu ? $"mtu {seen.Mtu} -> {mtu}" : "mark");
        }

        foreach (AddressInfo other in ours.Where(a => !IsWanted(a)))
        {
            batch.DeleteAddress(seen.Index, other.Address, other.PrefixLength);
            done.Add($"-{other.Address}");
        }

        if (!ours.Any(IsWanted))
        {
            batch.ReplaceAddress(seen.Index, desired.Address, Catalog.Facts.MeshPool.PrefixLength);
            done.Add($"+{desired.Address}");
        }
        else if (seen.IsUp)
        {
            InterfaceAddress own = new(seen.Name, desired.Address, Catalog.Facts.MeshPool.PrefixLength);
            IReadOnlyList<RouteInfo> routes =
                [.. socket.DumpRoutes(AddressFamily.InterNetwork, RouteSpec.MainTable), .. socket.DumpRoutes(AddressFamily.InterNetwork, RouteSpec.LocalTable)];
            foreach (AddressRoute route in AddressRoutes.Missing([(own, seen.Index)], routes))
            {
                batch.PrependRoute(AddressRoutes.Spec(route, seen.Index));
                done.Add($"+route {route.Destination}");
            }
        }

        if (!seen.IsUp)
        {
            batch.ChangeLink(seen.Index, new LinkChange { Up = true });
            done.Add("up");
        }

        if (batch.Count > 0)
        {
            socket.Execute(batch).ThrowIfFailed();
        }

        return done;

        bool IsWanted(AddressInfo a) =>
            a.Address.AddressFamily == AddressFamily.InterNetwork && a.Address.Equals(desired.Address) && a.PrefixLength == Catalog.Facts.MeshPool.PrefixLength;
    }

    public void Delete(LinkInfo seen)
    {
        RouteBatch batch = new();
        batch.DeleteLink(seen.Index);
        if (socket.Execute(batch).ErrorOf(0) is { } error && error.Errno != Errno.ENODEV)
        {
            throw new NetlinkException($"delete {MeshIntent.Device}", error);
        }
    }
}

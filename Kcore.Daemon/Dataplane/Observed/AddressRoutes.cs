using System.Net;
using System.Net.Sockets;
using Kcore.Netlink.Route;

namespace Kcore.Daemon.Dataplane.Observed;

/// <summary>
/// The routes that an IPv4 address brings along (fib_add_ifaddr in net/ipv4/fib_frontend.c): to its network, and to itself. The kernel
/// makes them once; what somebody deletes or replaces afterwards stays away, with the address still in place. Pure.
/// </summary>
internal static class AddressRoutes
{
    /// <param name="routes">Of IPv4, at least those of the main and the local table.</param>
    public static IEnumerable<AddressRoute> Missing(IEnumerable<(InterfaceAddress Address, int LinkIndex)> addresses, IReadOnlyList<RouteInfo> routes)
    {
        // A network's is there when it leaves by the device and from the address: another way to the same network is somebody else's.
        HashSet<(int, IPAddress, IPNetwork, RouteKind)> there = [];
        foreach (RouteInfo route in routes)
        {
            if (route is { LinkIndex: { } index, PreferredSource: { } source, Gateway: null, Metric: 0 }
                && (route.Kind, route.Table) is (RouteKind.Unicast, RouteSpec.MainTable) or (RouteKind.Local, RouteSpec.LocalTable))
            {
                there.Add((index, source, route.Destination, route.Kind));
            }
        }

        foreach ((InterfaceAddress address, int index) in addresses)
        {
            if (address.Local.AddressFamily != AddressFamily.InterNetwork)
            {
                continue;
            }

            foreach (RouteKind kind in (RouteKind[])[RouteKind.Local, RouteKind.Unicast])
            {
                AddressRoute route = new(address, kind);
                if ((kind == RouteKind.Local || address.PrefixLength < 32) && !there.Contains((index, address.Local, route.Destination, kind)))
                {
                    yield return route;
                }
            }
        }
    }

    /// <summary>Where the routes of these addresses lead to.</summary>
    public static IEnumerable<IPNetwork> Destinations(IEnumerable<InterfaceAddress> addresses) => addresses
        .Where(a => a.Local.AddressFamily == AddressFamily.InterNetwork)
        .SelectMany(a => (IPNetwork[])[new AddressRoute(a, RouteKind.Local).Destination, new AddressRoute(a, RouteKind.Unicast).Destination]);

    /// <summary>As the kernel makes it, so that it goes with its address.</summary>
    public static RouteSpec Spec(AddressRoute route, int linkIndex) => new()
    {
        Destination = route.Destination,
        LinkIndex = linkIndex,
        PreferredSource = route.Address.Local,
        Protocol = RouteSpec.KernelProtocol,
        Kind = route.Kind,
        Table = route.Kind == RouteKind.Local ? RouteSpec.LocalTable : RouteSpec.MainTable,
    };
}

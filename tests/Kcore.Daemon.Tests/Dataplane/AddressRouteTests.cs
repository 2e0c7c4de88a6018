using System.Net;
using Kcore.Daemon.Dataplane;
using Kcore.Daemon.Dataplane.Observed;
using Kcore.Netlink.Monitor;
using Kcore.Netlink.Route;

namespace Kcore.Daemon.Tests.Dataplane;

public sealed class AddressRouteTests
{
    private const int Bridge = 7;

    private static readonly InterfaceAddress _gateway = new("kbr-prod", IPAddress.Parse("10.88.1.1"), 23);

    private static readonly RouteInfo _local = new()
    {
        Destination = IPNetwork.Parse("10.88.1.1/32"),
        LinkIndex = Bridge,
        PreferredSource = _gateway.Local,
        Kind = RouteKind.Local,
        Table = RouteSpec.LocalTable,
    };

    private static readonly RouteInfo _network = new()
    {
        Destination = IPNetwork.Parse("10.88.0.0/23"),
        LinkIndex = Bridge,
        PreferredSource = _gateway.Local,
        Kind = RouteKind.Unicast,
        Table = RouteSpec.MainTable,
    };

    [Fact]
    public void With_both_routes_of_an_address_nothing_is_missing() => Assert.Empty(Missing(_local, _network));

    [Fact]
    public void A_route_that_is_gone_is_missing()
    {
        Assert.Equal(new AddressRoute(_gateway, RouteKind.Unicast), Assert.Single(Missing(_local)));
        Assert.Equal(new AddressRoute(_gateway, RouteKind.Local), Assert.Single(Missing(_network)));
    }

    [Fact]
    public void Another_way_to_the_same_network_is_not_ours()
    {
        Assert.Single(Missing(_local, _network with { LinkIndex = 8 }));
        Assert.Single(Missing(_local, _network with { PreferredSource = null }));
        Assert.Single(Missing(_local, _network with { Gateway = IPAddress.Parse("10.88.0.9") }));
        Assert.Single(Missing(_local, _network with { Metric = 100 }));
        Assert.Single(Missing(_local, _network with { Table = 1000 }));
        Assert.Single(Missing(_local, _network with { Kind = RouteKind.BlackHole }));
        Assert.Single(Missing(_local, _network with { Destination = IPNetwork.Parse("10.88.0.0/24") }));
    }

    [Fact]
    public void An_address_of_IPv6_and_one_of_a_single_host_have_no_network() =>
        Assert.Empty(AddressRoutes.Missing(
            [(new InterfaceAddress("kbr-six", IPAddress.Parse("fd00::1"), 64), 9), (new InterfaceAddress("kbr-one", IPAddress.Parse("10.9.9.9"), 32), Bridge)],
            [_local with { Destination = IPNetwork.Parse("10.9.9.9/32"), PreferredSource = IPAddress.Parse("10.9.9.9") }]));

    [Fact]
    public void Routes_of_others_are_no_reason_to_look()
    {
        ChangeFilter filter = new([Bridge], [], HasRefusals: false) { Networks = [.. AddressRoutes.Destinations([_gateway])] };

        Assert.True(filter.Concerns(new KernelChange.Route(_network, Removed: true)));
        Assert.True(filter.Concerns(new KernelChange.Route(_local with { LinkIndex = 1 }, Removed: false)));
        Assert.True(filter.Concerns(new KernelChange.Route(_network with { LinkIndex = 8 }, Removed: false)));
        Assert.False(filter.Concerns(new KernelChange.Route(_network with { LinkIndex = 8, Destination = IPNetwork.Parse("203.0.113.0/24") }, Removed: true)));
        Assert.False(filter.Concerns(new KernelChange.Route(_network with { Destination = IPNetwork.Parse("203.0.113.0/24") }, Removed: false)));
    }

    private static AddressRoute[] Missing(params RouteInfo[] routes) => [.. AddressRoutes.Missing([(_gateway, Bridge)], routes)];
}

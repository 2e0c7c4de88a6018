using System.Collections.Immutable;
using System.Net;
using Kcore.Daemon.Cluster.Addressing;

namespace Kcore.Daemon.Tests.Cluster.Addressing;

public sealed class AdvertisedAddressTests
{
    private static readonly HostInterface Loopback = Device("lo", "127.0.0.1", kind: InterfaceKind.Loopback);
    private static readonly HostInterface Eno1 = Device("eno1", "10.0.0.11", metric: 100);
    private static readonly HostInterface Eno2 = Device("eno2", "192.168.7.3");
    private static readonly HostInterface Docker = Device("docker0", "172.17.0.1", kind: InterfaceKind.Bridge);
    private static readonly HostInterface Overlay = Device("kbr-red", "10.99.0.1", kind: InterfaceKind.Bridge);
    private static readonly HostInterface WireGuard = Device("wg0", "10.8.0.1", kind: InterfaceKind.Tunnel, metric: 1);

    [Fact]
    public void The_default_route_decides_between_cards()
    {
        Assert.Equal(
            new AdvertisedAddress.Chosen(IPAddress.Parse("10.0.0.11"), "eno1", "the default route goes through eno1"),
            Choose([Loopback, Eno2, Eno1, Docker, Overlay]));
    }

    [Fact]
    public void A_default_route_into_a_tunnel_is_passed_over()
    {
        Assert.Equal("eno1", Interface(Choose([WireGuard, Eno1])));
        Assert.Equal("eno1", Interface(Choose([WireGuard with { Name = "corp-vpn" }, Eno1])));
    }

    [Fact]
    public void The_lower_metric_wins_between_two_default_routes() =>
        Assert.Equal("eno1", Interface(Choose([Eno2 with { DefaultRouteMetric = 600 }, Eno1])));

    [Fact]
    public void Without_a_default_route_the_only_card_is_taken()
    {
        Assert.Equal(
            new AdvertisedAddress.Chosen(IPAddress.Parse("192.168.7.3"), "eno2", "eno2 is the only device with a usable address"),
            Choose([Loopback, Docker, Overlay, Eno2]));
    }

    [Fact]
    public void A_container_whose_only_card_is_a_veth_named_eth0_has_an_address() =>
        Assert.Equal("eth0", Interface(Choose([Loopback, Device("eth0", "10.1.0.2")])));

    [Fact]
    public void Several_cards_without_a_default_route_are_not_guessed_between()
    {
        var refused = Assert.IsType<AdvertisedAddress.Refused>(Choose([Eno2, Eno1 with { DefaultRouteMetric = null }]));
        Assert.Equal(
            "no default route, and several devices have an address (eno2 192.168.7.3, eno1 10.0.0.11); choose one with --advertise",
            refused.Reason);
    }

    [Theory]
    [InlineData("veth12ab", InterfaceKind.Link)]
    [InlineData("docker0", InterfaceKind.Link)]
    [InlineData("cni0", InterfaceKind.Link)]
    [InlineData("virbr0", InterfaceKind.Link)]
    [InlineData("tap-1", InterfaceKind.Link)]
    [InlineData("vxlan7", InterfaceKind.Link)]
    [InlineData("uplink", InterfaceKind.Bridge)]
    [InlineData("uplink", InterfaceKind.Tap)]
    [InlineData("uplink", InterfaceKind.Tunnel)]
    internal void A_device_that_does_not_lead_to_other_hosts_is_never_guessed(string name, InterfaceKind kind) =>
        Assert.IsType<AdvertisedAddress.Refused>(Choose([Loopback, Device(name, "10.5.0.1", kind, metric: 1)]));

    [Fact]
    public void A_bridge_that_carries_the_default_route_is_named_with_the_flag_that_takes_it()
    {
        HostInterface bridge = Device("br0", "10.0.0.2", InterfaceKind.Bridge, metric: 0);

        Assert.Contains("--advertise br0", Assert.IsType<AdvertisedAddress.Refused>(Choose([bridge])).Reason, StringComparison.Ordinal);
        Assert.Equal("br0", Interface(Choose([bridge, Eno2], "br0")));
    }

    [Theory]
    [InlineData("eno2", "192.168.7.3")]
    [InlineData("192.168.7.3", "192.168.7.3")]
    [InlineData("10.0.0.12", "10.0.0.12")]
    public void The_flag_wins(string flag, string expected)
    {
        HostInterface two = Eno1 with { Addresses = [.. Eno1.Addresses, IPAddress.Parse("10.0.0.12")] };
        var chosen = Assert.IsType<AdvertisedAddress.Chosen>(Choose([two, Eno2], flag));

        Assert.Equal(IPAddress.Parse(expected), chosen.Address);
        Assert.Equal($"chosen by --advertise {flag}", chosen.Reason);
    }

    [Theory]
    [InlineData("10.9.9.9", "no device has this address")]
    [InlineData("eno9", "neither a device nor an IPv4 address")]
    [InlineData("2001:db8::1", "neither a device nor an IPv4 address")]
    [InlineData("1", "neither a device nor an IPv4 address")]
    [InlineData("lo", "does not lead to other hosts")]
    [InlineData("127.0.0.1", "does not lead to other hosts")]
    [InlineData("kbr-red", "does not lead to other hosts")]
    [InlineData("down0", "is down")]
    [InlineData("bare0", "has no IPv4 address")]
    public void A_flag_that_can_not_be_followed_is_refused_and_nothing_else_taken(string flag, string reason)
    {
        HostInterface down = Device("down0", "10.3.0.1") with { IsUp = false };
        HostInterface bare = Eno1 with { Name = "bare0", Addresses = [], DefaultRouteMetric = null };

        Assert.Contains(
            reason,
            Assert.IsType<AdvertisedAddress.Refused>(Choose([Loopback, Eno1, Overlay, down, bare], flag)).Reason,
            StringComparison.Ordinal);
    }

    [Fact]
    public void A_link_local_address_is_none() =>
        Assert.Equal("eno1", Interface(Choose([Device("eno3", "169.254.3.4"), Eno1 with { DefaultRouteMetric = null }])));

    [Fact]
    public void Default_routes_are_read_from_the_kernels_table()
    {
        string[] lines =
        [
            "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT",
            "eno1\t00000000\t0100000A\t0003\t0\t0\t200\t00000000\t0\t0\t0",
            "eno1\t00000000\t0100000A\t0003\t0\t0\t100\t00000000\t0\t0\t0",
            "tun0\t00000000\t00000000\t0001\t0\t0\t0\t00000080\t0\t0\t0",
            "eno2\t0007A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0",
            "*\t00000000\t00000000\t0200\t0\t0\t4294967295\t00000000\t0\t0\t0",
            "rubbish",
            "eno3\t00000000\t0\tzz\t0\t0\t1\t00000000",
        ];

        Assert.Equal(new Dictionary<string, uint> { ["eno1"] = 100 }, HostInterfaceReader.ParseDefaultRoutes(lines));
    }

    [Fact]
    public void This_machines_devices_can_be_read()
    {
        HostInterface loopback = Assert.Single(HostInterfaceReader.Read(), i => i.Name == "lo");
        Assert.Equal(InterfaceKind.Loopback, loopback.Kind);
    }

    private static HostInterface Device(
        string name, string address, InterfaceKind kind = InterfaceKind.Link, uint? metric = null) =>
        new(name, kind, IsUp: true, [IPAddress.Parse(address)], metric);

    private static AdvertisedAddress Choose(ImmutableArray<HostInterface> interfaces, string? flag = null) =>
        AdvertisedAddress.Choose(interfaces, flag);

    private static string Interface(AdvertisedAddress address) => Assert.IsType<AdvertisedAddress.Chosen>(address).Interface;
}

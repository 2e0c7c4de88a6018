using System.Net;
using Kcore.Netlink.Namespaces;
using Kcore.Netlink.Route;
using Kcore.Netlink.Tap;

namespace Kcore.Netlink.Tests.Route;

public sealed class DeviceKernelTests
{
    private static readonly IPAddress Local = IPAddress.Parse("10.9.0.1");

    [SkippableFact]
    public void A_network_of_devices_is_made_in_one_send_and_reads_back_as_asked()
    {
        using KernelSandbox box = KernelSandbox.Open();
        box.Namespace.Run(() => TapDevice.Create("tap-00000001"));
        int tap = box.Socket.FindLink("tap-00000001")!.Index;
        using NetworkNamespace guest = NetworkNamespace.CreateAnonymous();
        box.Do(batch =>
        {
            batch.CreateBridge(new BridgeSpec { Name = "kbr-a", Index = 100, Mac = KernelSandbox.Mac(1) });
            batch.ChangeLink(100, new LinkChange { Mtu = 1390, Alias = "kcore:1 net=a", GenerateIpv6Address = false });
            batch.AddAltName(100, "kbr-a-rather-long-name");
            batch.CreateVxlan(new VxlanSpec
            {
                Name = "vxlan7",
                Index = 101,
                Mac = KernelSandbox.Mac(2),
                Mtu = 1390,
                Master = 100,
                Vni = 7,
                Local = Local,
            });
            batch.ChangeBridgePort(101, new BridgePortChange { Learning = false, NeighbourSuppress = true });
            batch.ChangeLink(tap, new LinkChange { Mtu = 1390, Group = KcoreMark.LinkGroup, Master = 100, Up = true });
            batch.ChangeBridgePort(tap, new BridgePortChange { Learning = false, Locked = true, Isolated = true });
            batch.CreateVeth(new VethSpec
            {
                Name = "kve0",
                Index = 102,
                Mtu = 1390,
                Master = 100,
                PeerName = "eth0",
                PeerMac = KernelSandbox.Mac(3),
                PeerMtu = 1390,
                PeerNamespace = guest,
            });
            batch.ReplaceAddress(100, IPAddress.Parse("10.1.0.1"), 24);
        });

        LinkInfo bridge = box.Socket.FindLink("kbr-a-rather-long-name")!;
        Assert.Equal((100, "kbr-a", "bridge", 1390, 0x6b63u), (bridge.Index, bridge.Name, bridge.Kind, bridge.Mtu, bridge.Group));
        Assert.Equal(KernelSandbox.Mac(1), bridge.Mac);
        Assert.Equal("kcore:1 net=a", bridge.Alias);
        Assert.Equal("kbr-a-rather-long-name", Assert.Single(bridge.AltNames));
        Assert.Equal((false, 0u, false), (bridge.Bridge!.Stp, bridge.Bridge.ForwardDelay, bridge.Bridge.MulticastSnooping));
        Assert.True(bridge.IsUp);

        foreach ((string file, string value) in ((string, string)[])[("ipv4/conf/kbr-a/rp_filter", "2"), ("ipv4/conf/kbr-a/arp_ignore", "1"), ("ipv6/conf/kbr-a/accept_ra", "0"), ("ipv6/conf/kbr-a/disable_ipv6", "1")])
        {
            box.Namespace.Run(() => File.WriteAllText("/proc/sys/net/" + file, value));
        }

        Assert.Equal(new LinkSettings(2, 1, 0, 1), box.Socket.FindLink("kbr-a")!.Settings);

        LinkInfo vxlan = box.Socket.FindLink(101)!;
        Assert.Equal(("vxlan7", 1390, 100, KcoreMark.LinkGroup), (vxlan.Name, vxlan.Mtu, vxlan.Master, vxlan.Group));
        Assert.Equal(new VxlanInfo { Vni = 7, Local = Local, Port = 4789 }, vxlan.Vxlan);
        Assert.False(vxlan.Port!.Learning);
        Assert.True(vxlan.Port.NeighbourSuppress);

        LinkInfo port = box.Socket.FindLink("tap-00000001")!;
        Assert.Equal(("tun", 1390, 100, KcoreMark.LinkGroup), (port.Kind, port.Mtu, port.Master, port.Group));
        Assert.True(port.Port is { Locked: true, Isolated: true, Learning: false, UnicastFlood: true });

        using RouteSocket inGuest = RouteSocket.Open(guest);
        var raise = new RouteBatch();
        raise.ChangeLink(inGuest.FindLink("eth0")!.Index, new LinkChange { Up = true });
        inGuest.Execute(raise).ThrowIfFailed();
        LinkInfo peer = inGuest.FindLink("eth0")!;
        Assert.Equal((KernelSandbox.Mac(3), 1390, true), (peer.Mac, peer.Mtu, peer.IsUp));
        LinkInfo near = box.Socket.FindLink("kve0")!;
        Assert.Equal((peer.Index, "veth"), (near.LinkedIndex!.Value, near.Kind));
        Assert.NotNull(near.LinkNamespaceId);
        Assert.Null(box.Socket.FindLink("eth0"));

        AddressInfo address = Assert.Single(box.Socket.DumpAddresses(100));
        Assert.Equal((IPAddress.Parse("10.1.0.1"), 24, KcoreMark.Protocol), (address.Address, address.PrefixLength, address.Protocol));
        Assert.Equal([101], box.Socket.DumpLinks(kind: "vxlan").Select(l => l.Index));
        Assert.Equal([.. new[] { 101, 102, tap }.Order()], box.Socket.DumpLinks(master: 100).Select(l => l.Index).Order());
    }

    [SkippableFact]
    public void A_live_change_of_the_tunnel_address_keeps_index_MTU_and_entries()
    {
        using KernelSandbox box = KernelSandbox.Open();
        IPAddress moved = IPAddress.Parse("10.9.0.2");
        box.Do(batch =>
        {
            batch.CreateVxlan(new VxlanSpec { Name = "vxlan9", Index = 50, Vni = 9, Local = Local, Mtu = 1400 });
            batch.ReplaceAddress(1, moved, 32);
            batch.AppendFdbFlood(50, IPAddress.Parse("10.9.0.3"));
        });
        var before = box.Socket.DumpFdb(50);
        box.Do(batch => batch.ChangeVxlan(50, new VxlanChange { Local = moved }));

        LinkInfo link = box.Socket.FindLink("vxlan9")!;
        Assert.Equal((50, 1400, moved), (link.Index, link.Mtu, link.Vxlan!.Local));
        Assert.Equal(before, box.Socket.DumpFdb(50));
        Assert.Single(before);
    }

    [SkippableFact]
    public void An_alias_master_and_state_can_be_taken_back()
    {
        using KernelSandbox box = KernelSandbox.Open();
        box.Do(batch =>
        {
            batch.CreateBridge(new BridgeSpec { Name = "b", Index = 10 });
            batch.CreateVeth(new VethSpec { Name = "p", Index = 11, PeerName = "q", Master = 10 });
            batch.ChangeLink(11, new LinkChange { Alias = "x" });
        });
        box.Do(batch => batch.ChangeLink(11, new LinkChange { Alias = "", Master = 0, Up = false, Group = 0 }));

        LinkInfo link = box.Socket.FindLink(11)!;
        Assert.Equal((null, null, false, 0u, null), (link.Alias, link.Master, link.IsUp, link.Group, link.Port));
    }

    [SkippableFact]
    public void A_veth_into_a_closed_namespace_is_refused_before_anything_is_sent()
    {
        using KernelSandbox box = KernelSandbox.Open();
        NetworkNamespace guest = NetworkNamespace.CreateAnonymous();
        var batch = new RouteBatch();
        batch.CreateBridge(new BridgeSpec { Name = "b", Index = 10 });
        batch.CreateVeth(new VethSpec { Name = "p", PeerName = "q", PeerNamespace = guest });
        guest.Dispose();

        Assert.Throws<ObjectDisposedException>(() => box.Socket.Execute(batch));
        Assert.Null(box.Socket.FindLink("b"));
    }

    [SkippableFact]
    public void A_link_can_be_moved_and_renamed()
    {
        using KernelSandbox box = KernelSandbox.Open();
        using NetworkNamespace guest = NetworkNamespace.CreateAnonymous();
        box.Do(batch =>
        {
            batch.CreateVeth(new VethSpec { Name = "p", Index = 11, PeerName = "q", PeerIndex = 12, Up = false });
            batch.ChangeLink(12, new LinkChange { Name = "eth7", Namespace = guest });
        });

        using RouteSocket inGuest = RouteSocket.Open(guest);
        Assert.NotNull(inGuest.FindLink("eth7"));
        Assert.Null(box.Socket.FindLink(12));
    }

    [SkippableFact]
    public void Routes_are_added_replaced_found_and_deleted()
    {
        using KernelSandbox box = KernelSandbox.Open();
        var way = new RouteSpec
        {
            Destination = IPNetwork.Parse("0.0.0.0/0"),
            Gateway = IPAddress.Parse("10.1.0.254"),
            LinkIndex = 10,
        };
        RouteSpec other = way with { Gateway = IPAddress.Parse("10.1.0.253") };
        box.Do(batch =>
        {
            // A veth pair has carrier, which a bridge without ports has not; routes need a live link to be found.
            batch.CreateVeth(new VethSpec { Name = "p", Index = 10, PeerName = "q", PeerIndex = 11 });
            batch.ChangeLink(11, new LinkChange { Up = true });
            batch.ReplaceAddress(10, IPAddress.Parse("10.1.0.1"), 24);
            batch.AddRoute(way);
            batch.AddRoute(new RouteSpec { Destination = IPNetwork.Parse("10.7.0.0/16"), LinkIndex = 10, Metric = 7, Table = 1000 });
        });

        var twice = new RouteBatch();
        twice.AddRoute(way);
        twice.ReplaceRoute(other);
        Assert.Equal(Errno.EEXIST, box.Socket.Execute(twice).ErrorOf(0)?.Errno);

        RouteInfo route = Assert.Single(
            box.Socket.DumpRoutes(System.Net.Sockets.AddressFamily.InterNetwork, RouteSpec.MainTable), r => r.IsDefault);
        Assert.Equal((other.Gateway, 10, KcoreMark.Protocol, 254u), (route.Gateway, route.LinkIndex, route.Protocol, route.Table));
        RouteInfo special = Assert.Single(box.Socket.DumpRoutes(System.Net.Sockets.AddressFamily.InterNetwork, 1000));
        Assert.Equal((IPNetwork.Parse("10.7.0.0/16"), 7u, 1000u), (special.Destination, special.Metric, special.Table));
        Assert.Equal(10, box.Socket.FindRoute(IPAddress.Parse("192.0.2.1"))?.LinkIndex);
        Assert.Empty(box.Socket.DumpRoutes(System.Net.Sockets.AddressFamily.InterNetwork, 4242));

        box.Do(batch => batch.DeleteRoute(other));
        Assert.Null(box.Socket.FindRoute(IPAddress.Parse("192.0.2.1")));
    }

    [SkippableFact]
    public void An_address_is_added_once_replaced_at_will_and_deleted()
    {
        using KernelSandbox box = KernelSandbox.Open();
        IPAddress v4 = IPAddress.Parse("10.1.0.1");
        IPAddress v6 = IPAddress.Parse("fd00::1");
        box.Do(batch =>
        {
            batch.CreateBridge(new BridgeSpec { Name = "b", Index = 10 });
            batch.AddAddress(10, v4, 24, protocol: 3);
            batch.AddAddress(10, v6, 64, AddressFlags.NoDad | AddressFlags.NoPrefixRoute);
        });
        var again = new RouteBatch();
        again.AddAddress(10, v4, 24);
        Assert.Equal(Errno.EEXIST, box.Socket.Execute(again).ErrorOf(0)?.Errno);
        Assert.Equal(3, Assert.Single(box.Socket.DumpAddresses(10), a => a.Address.Equals(v4)).Protocol);

        box.Do(batch => batch.ReplaceAddress(10, v4, 24));
        Assert.Equal(KcoreMark.Protocol, Assert.Single(box.Socket.DumpAddresses(10), a => a.Address.Equals(v4)).Protocol);
        AddressInfo six = Assert.Single(box.Socket.DumpAddresses(10), a => a.Address.Equals(v6));
        Assert.True(six.Flags.HasFlag(AddressFlags.NoPrefixRoute | AddressFlags.NoDad));

        box.Do(batch =>
        {
            batch.DeleteAddress(10, v4, 24);
            batch.DeleteAddress(10, v6, 64);
        });
        Assert.DoesNotContain(box.Socket.DumpAddresses(10), a => a.Address.Equals(v4) || a.Address.Equals(v6));
    }
}

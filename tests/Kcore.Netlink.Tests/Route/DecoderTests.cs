using System.Net;
using Kcore.Netlink.Messages;
using Kcore.Netlink.Monitor;
using Kcore.Netlink.Route;

namespace Kcore.Netlink.Tests.Route;

public sealed class DecoderTests
{
    [Fact]
    public void A_capped_error_yields_text_and_offset()
    {
        NetlinkError? error = Decode(
            "34000000 0200 0003 01000000 00000000 EAFFFFFF 10000000 1000 0500 01000000 00000000 08000100 62616400 08000200 28000000",
            static (in m) => ErrorDecoder.Decode(m));
        Assert.Equal(new NetlinkError(Errno.EINVAL, "bad", 40), error);
        Assert.Equal("EINVAL: bad (attribute at byte 40)", error!.ToString());
    }

    [Fact]
    public void An_uncapped_error_quotes_the_request_before_its_attributes()
    {
        Assert.Equal(
            new NetlinkError(Errno.ENOENT, "bad"),
            Decode(
                "30000000 0200 0002 01000000 00000000 FEFFFFFF 14000000 1000 0500 01000000 00000000 AABBCCDD 08000100 62616400",
                static (in m) => ErrorDecoder.Decode(m)));
    }

    [Theory]
    [InlineData("24000000 0200 0002 01000000 00000000 FEFFFFFF FFFFFFFF 1000 0500 01000000 00000000")]
    [InlineData("24000000 0200 0001 01000000 00000000 00000080 10000000 1000 0500 01000000 00000000")]
    [InlineData("12000000 0200 0000 01000000 00000000 0000 0000")]
    public void A_senseless_error_is_refused(string hex)
    {
        Assert.Throws<NetlinkException>(() => Decode(hex, static (in m) => ErrorDecoder.Decode(m)));
    }

    [Fact]
    public void The_ways_of_a_multipath_route_are_read()
    {
        RouteInfo? route = Decode(
            "38000000 1800 0000 00000000 00000000 02000000 FE030001 00000000 14000900 10000000 02000000 08000500 0A000001 08000600 05000000",
            static (in m) => RouteDecoder.Decode(m));
        Assert.Equal(new RouteNextHop(2, IPAddress.Parse("10.0.0.1")), Assert.Single(route!.NextHops));
        Assert.True(route.IsDefault);
        Assert.Equal(5u, route.Metric);
    }

    [Fact]
    public void Host_bits_of_a_destination_are_dropped()
    {
        RouteInfo? route = Decode(
            "24000000 1800 0000 00000000 00000000 02140000 FE030001 00000000 08000100 0A0AFFFF",
            static (in m) => RouteDecoder.Decode(m));
        Assert.Equal(IPNetwork.Parse("10.10.240.0/20"), route!.Destination);
    }

    [Fact]
    public void A_VLAN_device_is_read_with_its_parent_and_its_id()
    {
        LinkInfo? link = Decode(
            "58000000 1000 0000 00000000 00000000 00000100 4D000000 01000000 00000000"
            + "0B00 0300 657468302E3700 00" + "0800 0500 02000000"
            + "2400 1280" + "0900 0100 766C616E00 000000" + "1400 0280" + "0600 0100 0700 0000" + "0600 0500 8100 0000",
            static (in m) => LinkDecoder.Decode(m));
        Assert.Equal(("eth0.7", "vlan", 2, new VlanInfo(7, 0x8100)), (link!.Name, link.Kind, link.LinkedIndex, link.Vlan));
    }

    [Fact]
    public void A_port_that_leaves_its_bridge_is_not_a_deleted_link()
    {
        List<KernelChange> changes = [];
        ChangeDecoder.Decode(
            Hex.Bytes("28000000 1100 0000 00000000 00000000 07000000 05000000 00000000 00000000 08000300 76783000"), false, changes);
        Assert.Equal([new KernelChange.BridgePort(5, "vx0", Removed: true)], changes);
    }

    [Fact]
    public void An_nftables_commit_names_its_process()
    {
        List<KernelChange> changes = [];
        ChangeDecoder.Decode(
            Hex.Bytes("2C000000 0F0A 0000 00000000 00000000 00000001 08000100 00000007 08000200 000004D2 08000300 6E667400"), true, changes);
        Assert.Equal([new KernelChange.NftablesCommit(7, 1234, "nft")], changes);
    }

    [Fact]
    public void A_notification_that_makes_no_sense_means_everything_may_have_changed()
    {
        List<KernelChange> changes = [];
        ChangeDecoder.Decode(Hex.Bytes("FF000000 1000 0000 00000000 00000000"), false, changes);
        Assert.IsType<KernelChange.Resync>(Assert.Single(changes));
    }

    private delegate T? Decoding<T>(scoped in NetlinkMessage message);

    private static T? Decode<T>(string hex, Decoding<T> decode)
    {
        var reader = new MessageReader(Hex.Bytes(hex));
        Assert.True(reader.TryRead(out NetlinkMessage message));
        return decode(message);
    }
}

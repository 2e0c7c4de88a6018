using System.Net;
using System.Net.NetworkInformation;
using Kcore.Netlink.Route;

namespace Kcore.Netlink.Tests.Route;

/// <summary>
/// Exact bytes. The expected values follow linux/if_link.h and linux/neighbour.h and were compared with what iproute2
/// 6.1 sends for the same request (attribute order and the nested flag aside).
/// </summary>
public sealed class RouteBatchTests
{
    private const string Unstamped = "00000000 00000000";
    private static readonly PhysicalAddress Mac = new([0x02, 0x6b, 0, 0, 0, 9]);
    private static readonly IPAddress Peer = IPAddress.Parse("10.0.0.9");
    private readonly RouteBatch _batch = new();

    [Fact]
    public void A_unicast_entry_is_one_replace_into_both_tables_as_static()
    {
        _batch.ReplaceFdbUnicast(77, Mac, Peer);
        Hex.Equal(
            "30000000 1C00 0105" + Unstamped + "07000000 4D000000 4200 06 00"
            + "0A00 0200 026B00000009 0000" + "0800 0100 0A000009",
            _batch.Message(0));
    }

    [Fact]
    public void A_flood_entry_is_appended_to_the_device_alone()
    {
        _batch.AppendFdbFlood(77, Peer);
        Hex.Equal(
            "30000000 1C00 010C" + Unstamped + "07000000 4D000000 8000 02 00"
            + "0A00 0200 000000000000 0000" + "0800 0100 0A000009",
            _batch.Message(0));
    }

    [Fact]
    public void A_flood_entry_is_deleted_with_its_destination()
    {
        _batch.DeleteFdbFlood(77, Peer);
        Hex.Equal(
            "30000000 1D00 0100" + Unstamped + "07000000 4D000000 0000 02 00"
            + "0A00 0200 000000000000 0000" + "0800 0100 0A000009",
            _batch.Message(0));
    }

    [Fact]
    public void A_pinned_MAC_goes_into_the_bridge_table_alone()
    {
        _batch.ReplaceFdbLocal(5, Mac);
        Hex.Equal(
            "28000000 1C00 0105" + Unstamped + "07000000 05000000 4000 04 00" + "0A00 0200 026B00000009 0000",
            _batch.Message(0));
    }

    [Fact]
    public void A_neighbour_is_permanent_and_carries_the_mark()
    {
        _batch.ReplaceNeighbour(3, IPAddress.Parse("10.1.0.2"), Mac);
        Hex.Equal(
            "38000000 1C00 0105" + Unstamped + "02000000 03000000 8000 00 00"
            + "0A00 0200 026B00000009 0000" + "0800 0100 0A010002" + "0500 0C00 6B000000",
            _batch.Message(0));
    }

    [Fact]
    public void A_VXLAN_device_is_made_in_one_message()
    {
        _batch.CreateVxlan(new VxlanSpec
        {
            Name = "vx0",
            Index = 77,
            Mac = new PhysicalAddress([2, 0x6b, 0, 0, 0, 7]),
            Mtu = 1450,
            Master = 2,
            Vni = 7,
            Local = IPAddress.Parse("10.0.0.1"),
        });
        Hex.Equal(
            "88000000 1000 0106" + Unstamped + "00000000 4D000000 01000000 01000000"
            + "0800 0300 76783000" + "0A00 0100 026B00000007 0000" + "0800 0A00 02000000" + "0800 1B00 636B0000" + "0800 0400 AA050000"
            + "3C00 1280" + "0A00 0100 7678 6C61 6E00 0000"
            + "2C00 0280" + "0800 0100 07000000" + "0800 0400 0A000001" + "0500 0500 00000000" + "0500 0700 00000000" + "0600 0F00 12B50000",
            _batch.Message(0));
    }

    [Fact]
    public void A_VLAN_device_names_its_parent_and_its_id()
    {
        _batch.CreateVlan(new VlanSpec { Name = "eth0.7", Index = 77, Parent = 2, Id = 7, Mtu = 1500, Master = 3 });
        Hex.Equal(
            "70000000 1000 0106" + Unstamped + "00000000 4D000000 01000000 01000000"
            + "0B00 0300 657468302E3700 00" + "0800 0A00 03000000" + "0800 1B00 636B0000" + "0800 0500 02000000" + "0800 0400 DC050000"
            + "2400 1280" + "0900 0100 766C616E00 000000"
            + "1400 0280" + "0600 0100 0700 0000" + "0600 0500 8100 0000",
            _batch.Message(0));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(4095)]
    public void A_VLAN_id_no_tag_can_hold_is_refused(ushort id) =>
        Assert.Throws<ArgumentOutOfRangeException>(() => _batch.CreateVlan(new VlanSpec { Name = "eth0.7", Parent = 2, Id = id }));

    [Fact]
    public void Port_flags_travel_in_a_message_of_the_bridge_family()
    {
        _batch.ChangeBridgePort(77, new BridgePortChange { Learning = false, NeighbourSuppress = true });
        Hex.Equal(
            "34000000 1300 0100" + Unstamped + "07000000 4D000000 00000000 00000000"
            + "1400 0C80" + "0500 0800 00000000" + "0500 2000 01000000",
            _batch.Message(0));
    }

    [Fact]
    public void An_address_carries_the_mark()
    {
        _batch.ReplaceAddress(2, IPAddress.Parse("10.1.0.1"), 24);
        Hex.Equal(
            "30000000 1400 0105" + Unstamped + "02180000 02000000"
            + "0800 0200 0A010001" + "0800 0100 0A010001" + "0500 0B00 6B000000",
            _batch.Message(0));
    }

    [Fact]
    public void Positions_count_up_and_describe_their_message()
    {
        Assert.Equal(0, _batch.DeleteLink(4));
        Assert.Equal(1, _batch.DeleteFdbLocal(5, Mac));
        Assert.Equal("delete the link on link 4", _batch.Describe(0));
        Assert.Equal("unpin a MAC from the port on link 5", _batch.Describe(1));
    }

    [Theory]
    [InlineData("")]
    [InlineData("..")]
    [InlineData("a/b")]
    [InlineData("a b")]
    [InlineData("tap%d")]
    [InlineData("sixteen-bytes-xx")]
    [InlineData("ääääääää")]
    public void A_name_the_kernel_would_misread_is_refused_and_leaves_the_batch_alone(string name)
    {
        Assert.Throws<ArgumentException>(() => _batch.CreateBridge(new BridgeSpec { Name = name }));
        Assert.Equal(0, _batch.Count);
    }

    [Fact]
    public void An_alias_that_is_too_long_leaves_the_batch_alone()
    {
        Assert.Throws<ArgumentOutOfRangeException>(
            () => _batch.ChangeLink(1, new LinkChange { Alias = new string('x', 256) }));
        Assert.Equal(0, _batch.Count);
    }
}

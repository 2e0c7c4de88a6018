using System.Net;
using System.Net.NetworkInformation;
using Kcore.Netlink.Packet;

namespace Kcore.Netlink.Tests.Packet;

public sealed class ArpFrameTests
{
    private static readonly PhysicalAddress _mac = new([0x52, 0x54, 0, 1, 2, 3]);

    [Fact]
    public void A_gratuitous_request_asks_for_the_senders_own_address() => Assert.Equal(
        "FFFFFFFFFFFF" + "525400010203" + "0806" + "0001" + "0800" + "06" + "04" + "0001" + "525400010203" + "0A58000B" + "000000000000" + "0A58000B" + new string('0', 36),
        Convert.ToHexString(ArpFrame.Gratuitous(_mac, IPAddress.Parse("10.88.0.11"))));

    [Fact]
    public void A_reverse_request_names_the_MAC_alone() => Assert.Equal(
        "FFFFFFFFFFFF" + "525400010203" + "8035" + "0001" + "0800" + "06" + "04" + "0003" + "525400010203" + "00000000" + "525400010203" + "00000000" + new string('0', 36),
        Convert.ToHexString(ArpFrame.Reverse(_mac)));

    [Fact]
    public void What_is_no_IPv4_address_or_no_MAC_is_refused()
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => ArpFrame.Gratuitous(_mac, IPAddress.IPv6Loopback));
        Assert.Throws<ArgumentOutOfRangeException>(() => ArpFrame.Reverse(new PhysicalAddress([1, 2])));
    }
}

using Kcore.Netlink.Messages;

namespace Kcore.Netlink.Tests.Messages;

public sealed class MessageReaderTests
{
    [Theory]
    [InlineData("10000000")]
    [InlineData("0F000000 1000 0000 00000000 00000000")]
    [InlineData("11000000 1000 0000 00000000 00000000")]
    [InlineData("FFFFFFFF 1000 0000 00000000 00000000")]
    public void An_impossible_message_length_is_refused(string hex)
    {
        NetlinkException e = Assert.Throws<NetlinkException>(() =>
        {
            var reader = new MessageReader(Hex.Bytes(hex));
            reader.TryRead(out _);
        });
        Assert.Equal(Errno.EBADMSG, e.Errno);
    }

    [Theory]
    [InlineData("0300 0100")]
    [InlineData("0900 0100 00000000")]
    [InlineData("FFFF 0100")]
    public void An_impossible_attribute_length_is_refused(string hex)
    {
        Assert.Throws<NetlinkException>(() =>
        {
            var reader = new AttributeReader(Hex.Bytes(hex));
            reader.TryRead(out _);
        });
    }

    [Fact]
    public void Two_messages_of_one_datagram_are_read_in_order()
    {
        byte[] datagram = Hex.Bytes("11000000 0100 0200 03000000 00000000 AA000000" + "10000000 0300 0000 04000000 00000000");
        var reader = new MessageReader(datagram);

        Assert.True(reader.TryRead(out NetlinkMessage first));
        Assert.Equal((1, 2, 3u, 1), (first.Type, first.Flags, first.Sequence, first.Payload.Length));
        Assert.True(reader.TryRead(out NetlinkMessage second));
        Assert.Equal((3, 4u), (second.Type, second.Sequence));
        Assert.False(reader.TryRead(out _));
    }

    [Fact]
    public void A_value_shorter_than_its_type_is_refused()
    {
        Assert.Throws<NetlinkException>(() => new NetlinkAttribute(1, [1, 2, 3]).AsUInt32());
        Assert.Throws<NetlinkException>(() => new NetlinkAttribute(1, [1, 2, 3, 4, 5]).AsAddress());
        Assert.Throws<NetlinkException>(() => new NetlinkAttribute(1, new byte[33]).AsMac());
        Assert.Throws<NetlinkException>(() => new NetlinkAttribute(1, []).AsByte());
    }

    [Fact]
    public void Flags_are_not_part_of_an_attribute_type()
    {
        var reader = new AttributeReader(Hex.Bytes("0400 12C0"));
        Assert.True(reader.TryRead(out NetlinkAttribute attribute));
        Assert.Equal(0x12, attribute.Type);
    }
}

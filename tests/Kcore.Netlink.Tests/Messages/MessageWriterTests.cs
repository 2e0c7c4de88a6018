using System.Net;
using Kcore.Netlink.Messages;

namespace Kcore.Netlink.Tests.Messages;

public sealed class MessageWriterTests
{
    [Fact]
    public void A_message_is_header_body_and_padded_attributes()
    {
        var writer = new MessageWriter(new byte[128], 16, 0x601);
        writer.Take(4)[0] = 7;
        writer.PutString(3, "ab");
        writer.PutByte(8, 1);
        writer.PutUInt16BigEndian(15, 4789);

        Hex.Equal(
            "2C000000 1000 0106 00000000 00000000" + "07000000" + "07000300 61620000" + "05000800 01000000" + "06000F00 12B50000",
            writer.Finish());
    }

    [Fact]
    public void A_nest_counts_its_padding_but_not_what_follows()
    {
        var writer = new MessageWriter(new byte[128], 1, 0);
        NestToken outer = writer.BeginNested(18);
        writer.PutString(1, "x");
        NestToken inner = writer.BeginNested(2, marked: false);
        writer.PutAddress(4, IPAddress.Parse("10.0.0.1"));
        writer.EndNested(inner);
        writer.EndNested(outer);
        writer.PutByte(9, 9);

        Assert.Equal(
            "180012800600010078000000" + "0C000200" + "080004000A000001" + "0500090009000000",
            Convert.ToHexString(writer.Finish()[16..]));
    }

    [Fact]
    public void Nothing_is_written_beyond_the_buffer()
    {
        Assert.Throws<InvalidOperationException>(() => new MessageWriter(new byte[15], 1, 0));
        Assert.Throws<InvalidOperationException>(() =>
        {
            var writer = new MessageWriter(new byte[24], 1, 0);
            writer.PutUInt32(1, 1);
            writer.PutByte(2, 1);
        });
    }

    [Fact]
    public void Nests_are_closed_in_reverse_order_and_before_the_end()
    {
        Assert.Throws<InvalidOperationException>(() =>
        {
            var writer = new MessageWriter(new byte[64], 1, 0);
            NestToken outer = writer.BeginNested(1);
            writer.BeginNested(2);
            writer.EndNested(outer);
        });
        Assert.Throws<InvalidOperationException>(() =>
        {
            var writer = new MessageWriter(new byte[64], 1, 0);
            writer.BeginNested(1);
            writer.Finish();
        });
    }
}

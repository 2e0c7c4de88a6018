using System.Buffers;
using Kcore.Gossip.Wire;

namespace Kcore.Gossip.Tests.Wire;

/// <summary>Bytes against the format table of the MessagePack specification.</summary>
public sealed class MessagePackTests
{
    private delegate void Writing(MessagePackWriter writer);

    private static string Written(Writing write)
    {
        var output = new ArrayBufferWriter<byte>();
        write(new MessagePackWriter(output));
        return Convert.ToHexStringLower(output.WrittenSpan);
    }

    private static byte[] Hex(string hex) => Convert.FromHexString(hex);

    [Theory]
    [InlineData(0UL, "00")]
    [InlineData(127UL, "7f")]
    [InlineData(128UL, "cc80")]
    [InlineData(255UL, "ccff")]
    [InlineData(256UL, "cd0100")]
    [InlineData(65535UL, "cdffff")]
    [InlineData(65536UL, "ce00010000")]
    [InlineData(4294967295UL, "ceffffffff")]
    [InlineData(4294967296UL, "cf0000000100000000")]
    [InlineData(ulong.MaxValue, "cfffffffffffffffff")]
    public void Unsigned_numbers_take_their_shortest_form(ulong value, string hex)
    {
        Assert.Equal(hex, Written(w => w.WriteUInt64(value)));
        var reader = new MessagePackReader(Hex(hex));
        Assert.Equal(value, reader.ReadUInt64());
        Assert.True(reader.End);
    }

    [Theory]
    [InlineData(-1L, "ff")]
    [InlineData(-32L, "e0")]
    [InlineData(-33L, "d0df")]
    [InlineData(-128L, "d080")]
    [InlineData(-129L, "d1ff7f")]
    [InlineData(-32768L, "d18000")]
    [InlineData(-32769L, "d2ffff7fff")]
    [InlineData(int.MinValue, "d280000000")]
    [InlineData(-2147483649L, "d3ffffffff7fffffff")]
    [InlineData(long.MinValue, "d38000000000000000")]
    [InlineData(long.MaxValue, "cf7fffffffffffffff")]
    [InlineData(5L, "05")]
    public void Signed_numbers_take_their_shortest_form(long value, string hex)
    {
        Assert.Equal(hex, Written(w => w.WriteInt64(value)));
        Assert.Equal(value, new MessagePackReader(Hex(hex)).ReadInt64());
    }

    [Theory]
    [InlineData("cc05", 5UL)]
    [InlineData("cf0000000000000005", 5UL)]
    [InlineData("d005", 5UL)]
    [InlineData("d30000000000000005", 5UL)]
    public void Longer_forms_of_other_writers_are_read(string hex, ulong value) =>
        Assert.Equal(value, new MessagePackReader(Hex(hex)).ReadUInt64());

    [Fact]
    public void Nil_booleans_and_floats_are_one_code_each()
    {
        Assert.Equal("c0", Written(w => w.WriteNil()));
        Assert.Equal("c2", Written(w => w.WriteBoolean(false)));
        Assert.Equal("c3", Written(w => w.WriteBoolean(true)));
        Assert.Equal("cb3ff8000000000000", Written(w => w.WriteDouble(1.5)));
        Assert.Equal(1.5, new MessagePackReader(Hex("cb3ff8000000000000")).ReadDouble());
        Assert.Equal(1.5, new MessagePackReader(Hex("ca3fc00000")).ReadDouble());
        Assert.True(new MessagePackReader(Hex("c3")).ReadBoolean());
        Assert.True(new MessagePackReader(Hex("c0")).TryReadNil());
        Assert.False(new MessagePackReader(Hex("c2")).TryReadNil());
    }

    [Theory]
    [InlineData(0, "a0")]
    [InlineData(31, "bf")]
    [InlineData(32, "d920")]
    [InlineData(255, "d9ff")]
    [InlineData(256, "da0100")]
    [InlineData(65535, "daffff")]
    [InlineData(65536, "db00010000")]
    public void Strings_have_four_headers(int length, string header)
    {
        string value = new('a', length);
        string hex = Written(w => w.WriteString(value));
        Assert.StartsWith(header, hex, StringComparison.Ordinal);
        Assert.Equal((header.Length / 2) + length, hex.Length / 2);
        Assert.Equal(value, new MessagePackReader(Hex(hex)).ReadString(70_000));
    }

    [Theory]
    [InlineData(0, "c400")]
    [InlineData(255, "c4ff")]
    [InlineData(256, "c50100")]
    [InlineData(65536, "c600010000")]
    public void Byte_strings_have_three_headers(int length, string header)
    {
        string hex = Written(w => w.WriteBinary(new byte[length]));
        Assert.StartsWith(header, hex, StringComparison.Ordinal);
        Assert.Equal(length, new MessagePackReader(Hex(hex)).ReadBinary(70_000).Length);
    }

    [Theory]
    [InlineData(0, "90", "80")]
    [InlineData(15, "9f", "8f")]
    [InlineData(16, "dc0010", "de0010")]
    [InlineData(65535, "dcffff", "deffff")]
    [InlineData(65536, "dd00010000", "df00010000")]
    public void Collections_have_three_headers(int count, string array, string map)
    {
        Assert.Equal(array, Written(w => w.WriteArrayHeader(count)));
        Assert.Equal(map, Written(w => w.WriteMapHeader(count)));
        Assert.Equal(count, new MessagePackReader([.. Hex(array), .. new byte[count]]).ReadArrayHeader());
        Assert.Equal(count, new MessagePackReader([.. Hex(map), .. new byte[count * 2]]).ReadMapHeader());
    }

    [Fact]
    public void Text_is_utf8()
    {
        Assert.Equal("a5c3a4e282ac", Written(w => w.WriteString("ä€")));
        Assert.Equal("ä€", new MessagePackReader(Hex("a5c3a4e282ac")).ReadString(5));
        Assert.Throws<WireFormatException>(() => new MessagePackReader(Hex("a2c328")).ReadString(5));
    }

    [Theory]
    [InlineData("00")]
    [InlineData("ff")]
    [InlineData("c0")]
    [InlineData("ca00000000")]
    [InlineData("cb0000000000000000")]
    [InlineData("cd0000")]
    [InlineData("d30000000000000000")]
    [InlineData("a3616263")]
    [InlineData("d903616263")]
    [InlineData("c403010203")]
    [InlineData("c50003010203")]
    [InlineData("c60000000201ff")]
    [InlineData("d401ff")]
    [InlineData("d501ffff")]
    [InlineData("d601ffffffff")]
    [InlineData("d701ffffffffffffffff")]
    [InlineData("d801ffffffffffffffffffffffffffffffff")]
    [InlineData("c70201ffff")]
    [InlineData("c8000201ffff")]
    [InlineData("c90000000201ffff")]
    [InlineData("93010203")]
    [InlineData("dc000201a161")]
    [InlineData("82a161010293c0c2c3")]
    [InlineData("de00010102")]
    public void Any_value_can_be_stepped_over_and_captured(string hex)
    {
        byte[] bytes = [.. Hex(hex), 0x2a];
        var reader = new MessagePackReader(bytes);
        Assert.Equal(hex, Convert.ToHexStringLower(reader.ReadRaw()));
        Assert.Equal(42UL, reader.ReadUInt64());
        for (int cut = 0; cut < bytes.Length - 1; cut++)
        {
            Assert.Throws<WireFormatException>(() => new MessagePackReader(bytes.AsSpan(0, cut)).Skip());
        }
    }

    [Theory]
    [InlineData("ddffffffff")]
    [InlineData("dfffffffff")]
    [InlineData("dfffffffff0000")]
    [InlineData("dc0010010203")]
    [InlineData("c6ffffffff00")]
    [InlineData("dbffffffff00")]
    [InlineData("c9ffffffff00")]
    [InlineData("c1")]
    public void Announced_lengths_beyond_the_input_are_refused(string hex)
    {
        Assert.Throws<WireFormatException>(() => new MessagePackReader(Hex(hex)).Skip());
        Assert.Throws<WireFormatException>(() => new MessagePackReader(Hex(hex)).ReadArrayHeader());
        Assert.Throws<WireFormatException>(() => new MessagePackReader(Hex(hex)).ReadMapHeader());
        Assert.Throws<WireFormatException>(() => new MessagePackReader(Hex(hex)).ReadBinary(100));
        Assert.Throws<WireFormatException>(() => new MessagePackReader(Hex(hex)).ReadString(100));
    }

    [Fact]
    public void Nesting_is_followed_only_so_far()
    {
        byte[] deep = [.. Enumerable.Repeat((byte)0x91, MessagePackReader.MaxDepth), 0xc0];
        var reader = new MessagePackReader(deep);
        reader.Skip();
        Assert.True(reader.End);
        byte[] deeper = [.. Enumerable.Repeat((byte)0x91, 100_000), 0xc0];
        Assert.Throws<WireFormatException>(() => new MessagePackReader(deeper).Skip());
    }

    [Fact]
    public void Limits_of_the_caller_hold()
    {
        Assert.Throws<WireFormatException>(() => new MessagePackReader(Hex("a3616263")).ReadString(2));
        Assert.Throws<WireFormatException>(() => new MessagePackReader(Hex("c403010203")).ReadBinary(2));
        Assert.Throws<WireFormatException>(() => new MessagePackReader(Hex("93010203")).ReadArrayHeader(2));
        Assert.Throws<WireFormatException>(() => new MessagePackReader(Hex("cd0100")).ReadByte());
        Assert.Throws<WireFormatException>(() => new MessagePackReader(Hex("ff")).ReadUInt64());
        Assert.Throws<WireFormatException>(() => new MessagePackReader(Hex("cfffffffffffffffff")).ReadInt64());
    }
}

using System.Buffers;
using System.Buffers.Binary;
using System.Text;

namespace Kcore.Gossip.Wire;

/// <summary>
/// Writes MessagePack (https://github.com/msgpack/msgpack/blob/master/spec.md), every value in its shortest form, so
/// that equal values have equal bytes and hashes can be taken over what was written.
/// </summary>
public readonly ref struct MessagePackWriter(IBufferWriter<byte> output)
{
    private readonly IBufferWriter<byte> _output = output;

    public void WriteNil() => WriteByteCode(0xc0);

    public void WriteBoolean(bool value) => WriteByteCode(value ? (byte)0xc3 : (byte)0xc2);

    public void WriteUInt64(ulong value)
    {
        switch (value)
        {
            case <= 0x7f:
                WriteByteCode((byte)value);
                break;
            case <= byte.MaxValue:
                WriteCode8(0xcc, (byte)value);
                break;
            case <= ushort.MaxValue:
                WriteCode16(0xcd, (ushort)value);
                break;
            case <= uint.MaxValue:
                WriteCode32(0xce, (uint)value);
                break;
            default:
                WriteCode64(0xcf, value);
                break;
        }
    }

    public void WriteInt64(long value)
    {
        switch (value)
        {
            case >= 0:
                WriteUInt64((ulong)value);
                break;
            case >= -32:
                WriteByteCode(unchecked((byte)value));
                break;
            case >= sbyte.MinValue:
                WriteCode8(0xd0, unchecked((byte)value));
                break;
            case >= short.MinValue:
                WriteCode16(0xd1, unchecked((ushort)value));
                break;
            case >= int.MinValue:
                WriteCode32(0xd2, unchecked((uint)value));
                break;
            default:
                WriteCode64(0xd3, unchecked((ulong)value));
                break;
        }
    }

    public void WriteDouble(double value) => WriteCode64(0xcb, BitConverter.DoubleToUInt64Bits(value));

    public void WriteString(ReadOnlySpan<char> value)
    {
        int bytes = Encoding.UTF8.GetByteCount(value);
        WriteStringHeader(bytes);
        Span<byte> span = _output.GetSpan(bytes);
        _output.Advance(Encoding.UTF8.GetBytes(value, span));
    }

    public void WriteBinary(ReadOnlySpan<byte> value)
    {
        switch (value.Length)
        {
            case <= byte.MaxValue:
                WriteCode8(0xc4, (byte)value.Length);
                break;
            case <= ushort.MaxValue:
                WriteCode16(0xc5, (ushort)value.Length);
                break;
            default:
                WriteCode32(0xc6, (uint)value.Length);
                break;
        }

        _output.Write(value);
    }

    public void WriteArrayHeader(int count)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        WriteCollectionHeader(count, 0x90, 0xdc, 0xdd);
    }

    public void WriteMapHeader(int count)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        WriteCollectionHeader(count, 0x80, 0xde, 0xdf);
    }

    /// <summary>Copies bytes that already are MessagePack, for instance fields a newer version wrote.</summary>
    public void WriteRaw(ReadOnlySpan<byte> encoded) => _output.Write(encoded);

    private void WriteStringHeader(int bytes)
    {
        switch (bytes)
        {
            case <= 31:
                WriteByteCode((byte)(0xa0 | bytes));
                break;
            case <= byte.MaxValue:
                WriteCode8(0xd9, (byte)bytes);
                break;
            case <= ushort.MaxValue:
                WriteCode16(0xda, (ushort)bytes);
                break;
            default:
                WriteCode32(0xdb, (uint)bytes);
                break;
        }
    }

    private void WriteCollectionHeader(int count, byte fix, byte code16, byte code32)
    {
        switch (count)
        {
            case <= 15:
                WriteByteCode((byte)(fix | count));
                break;
            case <= ushort.MaxValue:
                WriteCode16(code16, (ushort)count);
                break;
            default:
                WriteCode32(code32, (uint)count);
                break;
        }
    }

    private void WriteByteCode(byte code)
    {
        _output.GetSpan(1)[0] = code;
        _output.Advance(1);
    }

    private void WriteCode8(byte code, byte value)
    {
        Span<byte> span = _output.GetSpan(2);
        span[0] = code;
        span[1] = value;
        _output.Advance(2);
    }

    private void WriteCode16(byte code, ushort value)
    {
        Span<byte> span = _output.GetSpan(3);
        span[0] = code;
        BinaryPrimitives.WriteUInt16BigEndian(span[1..], value);
        _output.Advance(3);
    }

    private void WriteCode32(byte code, uint value)
    {
        Span<byte> span = _output.GetSpan(5);
        span[0] = code;
        BinaryPrimitives.WriteUInt32BigEndian(span[1..], value);
        _output.Advance(5);
    }

    private void WriteCode64(byte code, ulong value)
    {
        Span<byte> span = _output.GetSpan(9);
        span[0] = code;
        BinaryPrimitives.WriteUInt64BigEndian(span[1..], value);
        _output.Advance(9);
    }
}

using System.Buffers.Binary;
using System.Text;
using System.Text.Unicode;

namespace Kcore.Gossip.Wire;

/// <summary>
/// Reads MessagePack from hostile bytes. Every length is checked against what is left before anything is allocated;
/// whatever is wrong ends in a <see cref="WireFormatException"/>. Longer forms than necessary are accepted, because
/// other writers may use them.
/// </summary>
public ref struct MessagePackReader(ReadOnlySpan<byte> bytes)
{
    /// <summary>Collections inside collections that <see cref="Skip()"/> follows before it gives up.</summary>
    public const int MaxDepth = 16;

    private readonly ReadOnlySpan<byte> _bytes = bytes;

    /// <summary>Bytes read so far.</summary>
    public int Position { get; private set; }

    public readonly int Remaining => _bytes.Length - Position;

    public readonly bool End => Position == _bytes.Length;

    /// <summary>Reads a nil if the next value is one; otherwise moves nothing.</summary>
    public bool TryReadNil()
    {
        if (End || _bytes[Position] != 0xc0)
        {
            return false;
        }

        Position++;
        return true;
    }

    public bool ReadBoolean() => Take() switch
    {
        0xc2 => false,
        0xc3 => true,
        byte code => throw Unexpected("a boolean", code),
    };

    public ulong ReadUInt64()
    {
        byte code = Take();
        switch (code)
        {
            case <= 0x7f:
                return code;
            case 0xcc:
                return Take();
            case 0xcd:
                return BinaryPrimitives.ReadUInt16BigEndian(Take(2));
            case 0xce:
                return BinaryPrimitives.ReadUInt32BigEndian(Take(4));
            case 0xcf:
                return BinaryPrimitives.ReadUInt64BigEndian(Take(8));
            case 0xd0 or 0xd1 or 0xd2 or 0xd3:
                long value = ReadSigned(code);
                return value >= 0 ? (ulong)value : throw new WireFormatException("a negative number where none may be");
            default:
                throw Unexpected("an unsigned integer", code);
        }
    }

    public uint ReadUInt32() => (uint)ReadUInt64(uint.MaxValue);

    public ushort ReadUInt16() => (ushort)ReadUInt64(ushort.MaxValue);

    public byte ReadByte() => (byte)ReadUInt64(byte.MaxValue);

    public ulong ReadUInt64(ulong max)
    {
        ulong value = ReadUInt64();
        return value <= max ? value : throw new WireFormatException($"number {value} above {max}");
    }

    public long ReadInt64()
    {
        byte code = Take();
        switch (code)
        {
            case >= 0xe0:
                return unchecked((sbyte)code);
            case 0xd0 or 0xd1 or 0xd2 or 0xd3:
                return ReadSigned(code);
            default:
                Position--;
                return (long)ReadUInt64(long.MaxValue);
        }
    }

    public double ReadDouble()
    {
        byte code = Take();
        return code switch
        {
            0xcb => BinaryPrimitives.ReadDoubleBigEndian(Take(8)),
            0xca => BinaryPrimitives.ReadSingleBigEndian(Take(4)),
            _ => throw Unexpected("a float", code),
        };
    }

    /// <summary>Reads a valid UTF-8 string of at most <paramref name="maxBytes"/> bytes.</summary>
    public string ReadString(int maxBytes)
    {
        byte code = Take();
        uint length = code switch
        {
            >= 0xa0 and <= 0xbf => (uint)(code & 0x1f),
            0xd9 => Take(),
            0xda => BinaryPrimitives.ReadUInt16BigEndian(Take(2)),
            0xdb => BinaryPrimitives.ReadUInt32BigEndian(Take(4)),
            _ => throw Unexpected("a string", code),
        };
        ReadOnlySpan<byte> utf8 = TakeBounded(length, maxBytes);
        return Utf8.IsValid(utf8) ? Encoding.UTF8.GetString(utf8) : throw new WireFormatException("a string that is not UTF-8");
    }

    /// <summary>Reads a byte string of at most <paramref name="maxBytes"/> bytes; the span points into the input.</summary>
    public ReadOnlySpan<byte> ReadBinary(int maxBytes)
    {
        byte code = Take();
        uint length = code switch
        {
            0xc4 => Take(),
            0xc5 => BinaryPrimitives.ReadUInt16BigEndian(Take(2)),
            0xc6 => BinaryPrimitives.ReadUInt32BigEndian(Take(4)),
            _ => throw Unexpected("a byte string", code),
        };
        return TakeBounded(length, maxBytes);
    }

    /// <summary>Reads an array header; the count never exceeds the bytes left, because each element takes at least one.</summary>
    public int ReadArrayHeader(int max = int.MaxValue)
    {
        byte code = Take();
        uint count = code switch
        {
            >= 0x90 and <= 0x9f => (uint)(code & 0x0f),
            0xdc => BinaryPrimitives.ReadUInt16BigEndian(Take(2)),
            0xdd => BinaryPrimitives.ReadUInt32BigEndian(Take(4)),
            _ => throw Unexpected("an array", code),
        };
        return Count(count, bytesPerItem: 1, max);
    }

    /// <summary>Reads a map header; the count never exceeds half the bytes left.</summary>
    public int ReadMapHeader(int max = int.MaxValue)
    {
        byte code = Take();
        uint count = code switch
        {
            >= 0x80 and <= 0x8f => (uint)(code & 0x0f),
            0xde => BinaryPrimitives.ReadUInt16BigEndian(Take(2)),
            0xdf => BinaryPrimitives.ReadUInt32BigEndian(Take(4)),
            _ => throw Unexpected("a map", code),
        };
        return Count(count, bytesPerItem: 2, max);
    }

    /// <summary>Steps over one value of any type, extensions included.</summary>
    public void Skip() => Skip(MaxDepth);

    /// <summary>Steps over one value and returns its bytes, to be relayed unchanged.</summary>
    public ReadOnlySpan<byte> ReadRaw()
    {
        int start = Position;
        Skip();
        return _bytes[start..Position];
    }

    /// <summary>The input from <paramref name="start"/>, an earlier <see cref="Position"/>, up to here.</summary>
    public readonly ReadOnlySpan<byte> Since(int start) => _bytes[start..Position];

    private void Skip(int depth)
    {
        if (depth < 0)
        {
            throw new WireFormatException($"more than {MaxDepth} nested collections");
        }

        byte code = Take();
        switch (code)
        {
            case <= 0x7f or >= 0xe0 or 0xc0 or 0xc2 or 0xc3:
                break;
            case <= 0x8f:
                SkipItems(2L * (code & 0x0f), depth);
                break;
            case <= 0x9f:
                SkipItems(code & 0x0f, depth);
                break;
            case <= 0xbf:
                Take(code & 0x1f);
                break;
            case 0xc4 or 0xd9:
                Take(Take());
                break;
            case 0xc5 or 0xda:
                Take(BinaryPrimitives.ReadUInt16BigEndian(Take(2)));
                break;
            case 0xc6 or 0xdb:
                TakeBounded(BinaryPrimitives.ReadUInt32BigEndian(Take(4)), int.MaxValue);
                break;
            case 0xc7:
                Take(Take() + 1);
                break;
            case 0xc8:
                Take(BinaryPrimitives.ReadUInt16BigEndian(Take(2)) + 1);
                break;
            case 0xc9:
                uint length = BinaryPrimitives.ReadUInt32BigEndian(Take(4));
                Take(1);
                TakeBounded(length, int.MaxValue);
                break;
            case 0xcc or 0xd0:
                Take(1);
                break;
            case 0xcd or 0xd1:
                Take(2);
                break;
            case 0xca or 0xce or 0xd2:
                Take(4);
                break;
            case 0xcb or 0xcf or 0xd3:
                Take(8);
                break;
            case >= 0xd4 and <= 0xd8:
                Take((1 << (code - 0xd4)) + 1);
                break;
            case 0xdc:
                SkipItems(BinaryPrimitives.ReadUInt16BigEndian(Take(2)), depth);
                break;
            case 0xdd:
                SkipItems(BinaryPrimitives.ReadUInt32BigEndian(Take(4)), depth);
                break;
            case 0xde:
                SkipItems(2L * BinaryPrimitives.ReadUInt16BigEndian(Take(2)), depth);
                break;
            case 0xdf:
                SkipItems(2L * BinaryPrimitives.ReadUInt32BigEndian(Take(4)), depth);
                break;
            default:
                throw Unexpected("a value", code);
        }
    }

    private void SkipItems(long count, int depth)
    {
        if (count > Remaining)
        {
            throw new WireFormatException($"{count} items announced, {Remaining} bytes left");
        }

        for (long i = 0; i < count; i++)
        {
            Skip(depth - 1);
        }
    }

    private long ReadSigned(byte code) => code switch
    {
        0xd0 => unchecked((sbyte)Take()),
        0xd1 => BinaryPrimitives.ReadInt16BigEndian(Take(2)),
        0xd2 => BinaryPrimitives.ReadInt32BigEndian(Take(4)),
        _ => BinaryPrimitives.ReadInt64BigEndian(Take(8)),
    };

    private readonly int Count(uint count, int bytesPerItem, int max)
    {
        if (count > (uint)(Remaining / bytesPerItem) || count > (uint)max)
        {
            throw new WireFormatException($"{count} items announced, {Remaining} bytes left, at most {max} allowed");
        }

        return (int)count;
    }

    private ReadOnlySpan<byte> TakeBounded(uint length, int max) =>
        length <= (uint)max && length <= (uint)Remaining
            ? Take((int)length)
            : throw new WireFormatException($"{length} bytes announced, {Remaining} left, at most {max} allowed");

    private byte Take() => End ? throw new WireFormatException("the input ends inside a value") : _bytes[Position++];

    private ReadOnlySpan<byte> Take(int length)
    {
        if (length > Remaining)
        {
            throw new WireFormatException($"{length} bytes announced, {Remaining} left");
        }

        ReadOnlySpan<byte> taken = _bytes.Slice(Position, length);
        Position += length;
        return taken;
    }

    private static WireFormatException Unexpected(string wanted, byte code) => new($"wanted {wanted}, found 0x{code:x2}");
}

using System.Buffers.Binary;
using System.Text;

namespace Kcore.Raft;

/// <summary>Appends fixed-width little-endian fields and length-prefixed bytes to a growing buffer.</summary>
public sealed class FieldWriter(int capacity = 256)
{
    private byte[] _buffer = new byte[capacity];

    /// <summary>Bytes written so far.</summary>
    public int Length { get; private set; }

    /// <summary>What was written; valid until the next write.</summary>
    public ReadOnlySpan<byte> Written => _buffer.AsSpan(0, Length);

    public byte[] ToArray() => Written.ToArray();

    /// <summary>Forgets what was written and keeps the buffer.</summary>
    public void Clear() => Length = 0;

    public void U8(byte value) => Room(1)[0] = value;

    public void Flag(bool value) => U8(value ? (byte)1 : (byte)0);

    public void U32(uint value) => BinaryPrimitives.WriteUInt32LittleEndian(Room(4), value);

    public void U64(ulong value) => BinaryPrimitives.WriteUInt64LittleEndian(Room(8), value);

    /// <summary>Sixteen bytes in the order in which the identifier is printed.</summary>
    public void Id(Guid value) => value.TryWriteBytes(Room(16), bigEndian: true, out _);

    public void Member(MemberId value)
    {
        Id(value.NodeUid);
        Id(value.StoreId);
    }

    /// <summary>The bytes alone, without their length.</summary>
    public void Raw(ReadOnlySpan<byte> value) => value.CopyTo(Room(value.Length));

    /// <summary>A 32-bit length and the bytes.</summary>
    public void Bytes(ReadOnlySpan<byte> value)
    {
        U32((uint)value.Length);
        Raw(value);
    }

    /// <summary>A 32-bit length in bytes and UTF-8.</summary>
    public void Text(string value)
    {
        int length = Encoding.UTF8.GetByteCount(value);
        U32((uint)length);
        Encoding.UTF8.GetBytes(value, Room(length));
    }

    private Span<byte> Room(int length)
    {
        int needed = checked(Length + length);
        if (needed > _buffer.Length)
        {
            Array.Resize(ref _buffer, (int)Math.Min(Math.Max(needed, _buffer.Length * 2L), Array.MaxLength));
        }

        Span<byte> room = _buffer.AsSpan(Length, length);
        Length = needed;
        return room;
    }
}

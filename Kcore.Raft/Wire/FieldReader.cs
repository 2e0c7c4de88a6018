using System.Buffers.Binary;
using System.Text;
using System.Text.Unicode;

namespace Kcore.Raft;

/// <summary>
/// Reads what <see cref="FieldWriter"/> wrote, from bytes that may be anything. The first field that does not fit makes
/// the reader invalid; from then on every read gives zero or nothing, so a caller checks once, at the end.
/// </summary>
public ref struct FieldReader
{
    private ReadOnlySpan<byte> _rest;

    public FieldReader(ReadOnlySpan<byte> bytes)
    {
        _rest = bytes;
        IsValid = true;
    }

    /// <summary>False once a field was missing, too long or malformed.</summary>
    public bool IsValid { get; private set; }

    /// <summary>True if everything was read and all of it made sense.</summary>
    public readonly bool IsAtValidEnd => IsValid && _rest.IsEmpty;

    /// <summary>Bytes not read yet.</summary>
    public readonly int Remaining => _rest.Length;

    public byte U8() => Take(1) is [var value] ? value : (byte)0;

    public bool Flag()
    {
        byte value = U8();
        if (value > 1)
        {
            Fail();
        }

        return value == 1;
    }

    public uint U32() => Take(4) is { Length: 4 } bytes ? BinaryPrimitives.ReadUInt32LittleEndian(bytes) : 0;

    public ulong U64() => Take(8) is { Length: 8 } bytes ? BinaryPrimitives.ReadUInt64LittleEndian(bytes) : 0;

    public Guid Id() => Take(16) is { Length: 16 } bytes ? new Guid(bytes, bigEndian: true) : Guid.Empty;

    public MemberId Member()
    {
        Guid node = Id();
        return new MemberId(node, Id());
    }

    /// <summary>Exactly <paramref name="length"/> bytes, or none when they are not there.</summary>
    public ReadOnlySpan<byte> Take(int length)
    {
        if (length < 0 || length > _rest.Length)
        {
            Fail();
            return [];
        }

        ReadOnlySpan<byte> taken = _rest[..length];
        _rest = _rest[length..];
        return taken;
    }

    /// <summary>A length of at most <paramref name="max"/> and that many bytes.</summary>
    public ReadOnlySpan<byte> Bytes(int max)
    {
        uint length = U32();
        if (length > (uint)max)
        {
            Fail();
            return [];
        }

        return Take((int)length);
    }

    /// <summary>Valid UTF-8 of at most <paramref name="maxBytes"/>.</summary>
    public string Text(int maxBytes)
    {
        ReadOnlySpan<byte> bytes = Bytes(maxBytes);
        if (Utf8.IsValid(bytes))
        {
            return Encoding.UTF8.GetString(bytes);
        }

        Fail();
        return "";
    }

    /// <summary>
    /// A count of at most <paramref name="max"/> elements which, at <paramref name="elementBytesMin"/> each, can be in
    /// what remains; so a small hostile message can't ask for a large allocation.
    /// </summary>
    public int Count(int max, int elementBytesMin)
    {
        uint count = U32();
        if (count > (uint)max || count * (ulong)elementBytesMin > (ulong)_rest.Length)
        {
            Fail();
            return 0;
        }

        return (int)count;
    }

    /// <summary>Makes the reader invalid, for a value that was read and can't be.</summary>
    public void Fail()
    {
        IsValid = false;
        _rest = [];
    }
}

using System.Buffers.Binary;
using System.Net;
using System.Net.NetworkInformation;
using System.Text;

namespace Kcore.Netlink.Messages;

/// <summary>Walks netlink attributes; every length is checked against what is left.</summary>
public ref struct AttributeReader(ReadOnlySpan<byte> attributes)
{
    internal const int HeaderBytes = 4;
    private const ushort TypeMask = 0x3fff;

    private ReadOnlySpan<byte> _rest = attributes;

    /// <summary>Takes the next attribute; false at the end.</summary>
    /// <exception cref="NetlinkException">A length is impossible.</exception>
    public bool TryRead(out NetlinkAttribute attribute)
    {
        // Fewer than four trailing bytes are padding (nla_ok in linux/netlink.h treats them the same way).
        if (_rest.Length < HeaderBytes)
        {
            attribute = default;
            return false;
        }

        ushort length = BinaryPrimitives.ReadUInt16LittleEndian(_rest);
        if (length < HeaderBytes || length > _rest.Length)
        {
            throw NetlinkException.Malformed($"an attribute claims {length} bytes where {_rest.Length} are left");
        }

        attribute = new NetlinkAttribute(
            (ushort)(BinaryPrimitives.ReadUInt16LittleEndian(_rest[2..]) & TypeMask),
            _rest[HeaderBytes..length]);
        _rest = _rest[Math.Min(MessageWriter.Align(length), _rest.Length)..];
        return true;
    }
}

/// <summary>One attribute; the typed getters refuse a value of the wrong size with a <see cref="NetlinkException"/>.</summary>
public readonly ref struct NetlinkAttribute(ushort type, ReadOnlySpan<byte> value)
{
    /// <summary>The type without the nested and byte-order flags.</summary>
    public ushort Type { get; } = type;

    public ReadOnlySpan<byte> Value { get; } = value;

    public AttributeReader Nested => new(Value);

    public byte AsByte() => Sized(1)[0];

    public ushort AsUInt16() => BinaryPrimitives.ReadUInt16LittleEndian(Sized(2));

    public ushort AsUInt16BigEndian() => BinaryPrimitives.ReadUInt16BigEndian(Sized(2));

    public uint AsUInt32() => BinaryPrimitives.ReadUInt32LittleEndian(Sized(4));

    public int AsInt32() => BinaryPrimitives.ReadInt32LittleEndian(Sized(4));

    /// <summary>Text up to the first zero byte; bytes that are not UTF-8 become replacement characters.</summary>
    public string AsString()
    {
        int end = Value.IndexOf((byte)0);
        return Encoding.UTF8.GetString(end < 0 ? Value : Value[..end]);
    }

    public IPAddress AsAddress() =>
        Value.Length is 4 or 16
            ? new IPAddress(Value)
            : throw NetlinkException.Malformed($"attribute {Type} holds an IP address of {Value.Length} bytes");

    /// <summary>A link-layer address; its length depends on the device, 32 bytes at most (MAX_ADDR_LEN).</summary>
    public PhysicalAddress AsMac() =>
        Value.Length <= 32
            ? new PhysicalAddress(Value.ToArray())
            : throw NetlinkException.Malformed($"attribute {Type} holds a link-layer address of {Value.Length} bytes");

    private ReadOnlySpan<byte> Sized(int bytes) =>
        Value.Length >= bytes
            ? Value[..bytes]
            : throw NetlinkException.Malformed($"attribute {Type} has {Value.Length} bytes where {bytes} are needed");
}

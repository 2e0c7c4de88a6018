using System.Buffers.Binary;
using System.Globalization;

namespace Kcore.Gossip;

/// <summary>
/// 128 random bits made at a node's first start. Names and addresses change and are copied; this does neither.
/// Written as 32 lower-case hexadecimal digits.
/// </summary>
/// <remarks>
/// Two words and no <see cref="UInt128"/> inside: code that so much as passes one on cannot be compiled ahead of time, and
/// this one is passed on everywhere (docs/decisions/runtime-settings.md).
/// </remarks>
public readonly record struct NodeId : IComparable<NodeId>
{
    public const int ByteCount = 16;
    private const int Digits = 32;
    private readonly ulong _high;
    private readonly ulong _low;

    public NodeId(UInt128 value)
        : this((ulong)(value >> 64), (ulong)value)
    {
    }

    private NodeId(ulong high, ulong low) => (_high, _low) = (high, low);

    /// <summary>The pseudo-origin of what Raft has committed: no node, all ones.</summary>
    public static NodeId Raft => new(ulong.MaxValue, ulong.MaxValue);

    public UInt128 Value => new(_high, _low);

    /// <summary>The first eight digits, for people.</summary>
    public string Short => ToString()[..8];

    public static bool TryParse(ReadOnlySpan<char> text, out NodeId id)
    {
        bool parsed = text.Length == Digits & TryParseWord(text, 0, out ulong high) & TryParseWord(text, Digits / 2, out ulong low);
        id = parsed ? new NodeId(high, low) : default;
        return parsed;
    }

    /// <summary>Reads the 16 big-endian bytes used on the wire.</summary>
    public static NodeId FromBytes(ReadOnlySpan<byte> bytes) =>
        new(BinaryPrimitives.ReadUInt64BigEndian(bytes), BinaryPrimitives.ReadUInt64BigEndian(bytes[sizeof(ulong)..]));

    public void WriteBytes(Span<byte> destination)
    {
        BinaryPrimitives.WriteUInt64BigEndian(destination, _high);
        BinaryPrimitives.WriteUInt64BigEndian(destination[sizeof(ulong)..], _low);
    }

    public int CompareTo(NodeId other)
    {
        int order = _high.CompareTo(other._high);
        return order != 0 ? order : _low.CompareTo(other._low);
    }

    public static bool operator <(NodeId left, NodeId right) => left.CompareTo(right) < 0;

    public static bool operator <=(NodeId left, NodeId right) => left.CompareTo(right) <= 0;

    public static bool operator >(NodeId left, NodeId right) => left.CompareTo(right) > 0;

    public static bool operator >=(NodeId left, NodeId right) => left.CompareTo(right) >= 0;

    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{_high:x16}{_low:x16}");

    /// <summary>A stable hash: the order of no dictionary reaches the wire, but traces compare across processes.</summary>
    public override int GetHashCode() => unchecked((int)(_low ^ _high ^ (_low >> 32) ^ (_high >> 32)));

    private static bool TryParseWord(ReadOnlySpan<char> text, int start, out ulong word)
    {
        word = 0;
        return text.Length >= start + (Digits / 2)
            && ulong.TryParse(text.Slice(start, Digits / 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out word);
    }
}

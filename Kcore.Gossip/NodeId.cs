using System.Buffers.Binary;
using System.Globalization;

namespace Kcore.Gossip;

/// <summary>
/// 128 random bits made at a node's first start. Names and addresses change and are copied; this does neither.
/// Written as 32 lower-case hexadecimal digits.
/// </summary>
public readonly record struct NodeId(UInt128 Value) : IComparable<NodeId>
{
    public const int ByteCount = 16;

    /// <summary>The pseudo-origin of what Raft has committed: no node, all ones.</summary>
    public static NodeId Raft => new(UInt128.MaxValue);

    /// <summary>The first eight digits, for people.</summary>
    public string Short => ToString()[..8];

    public static bool TryParse(ReadOnlySpan<char> text, out NodeId id)
    {
        bool parsed = text.Length == 32
            & UInt128.TryParse(text, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out UInt128 value);
        id = new NodeId(parsed ? value : default);
        return parsed;
    }

    /// <summary>Reads the 16 big-endian bytes used on the wire.</summary>
    public static NodeId FromBytes(ReadOnlySpan<byte> bytes) => new(BinaryPrimitives.ReadUInt128BigEndian(bytes));

    public void WriteBytes(Span<byte> destination) => BinaryPrimitives.WriteUInt128BigEndian(destination, Value);

    public int CompareTo(NodeId other) => Value.CompareTo(other.Value);

    public static bool operator <(NodeId left, NodeId right) => left.Value < right.Value;

    public static bool operator <=(NodeId left, NodeId right) => left.Value <= right.Value;

    public static bool operator >(NodeId left, NodeId right) => left.Value > right.Value;

    public static bool operator >=(NodeId left, NodeId right) => left.Value >= right.Value;

    public override string ToString() => Value.ToString("x32", CultureInfo.InvariantCulture);

    /// <summary>A stable hash: the order of no dictionary reaches the wire, but traces compare across processes.</summary>
    public override int GetHashCode() => unchecked((int)(ulong)(Value ^ (Value >> 64) ^ (Value >> 32) ^ (Value >> 96)));
}

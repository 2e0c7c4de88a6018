namespace Kcore.Raft;

/// <summary>
/// Who votes: a node together with one Raft store of that node. A node whose store was wiped comes back with a new
/// <paramref name="StoreId"/> and is somebody else, because it has forgotten what it promised.
/// </summary>
/// <param name="NodeUid">The 128 random bits a node makes at its first start.</param>
/// <param name="StoreId">The 128 random bits made with the store directory.</param>
public readonly record struct MemberId(Guid NodeUid, Guid StoreId) : IComparable<MemberId>
{
    /// <summary>Nobody: an unknown leader or a vote not yet given.</summary>
    public static readonly MemberId None;

    /// <summary>True for <see cref="None"/>.</summary>
    public bool IsNone => this == None;

    /// <summary>A total order that every node computes alike; it carries no meaning.</summary>
    public int CompareTo(MemberId other)
    {
        int byNode = NodeUid.CompareTo(other.NodeUid);
        return byNode != 0 ? byNode : StoreId.CompareTo(other.StoreId);
    }

    public static bool operator <(MemberId left, MemberId right) => left.CompareTo(right) < 0;

    public static bool operator >(MemberId left, MemberId right) => left.CompareTo(right) > 0;

    public static bool operator <=(MemberId left, MemberId right) => left.CompareTo(right) <= 0;

    public static bool operator >=(MemberId left, MemberId right) => left.CompareTo(right) >= 0;

    public override string ToString() => $"{NodeUid:N}/{StoreId.ToString("N")[..8]}";
}

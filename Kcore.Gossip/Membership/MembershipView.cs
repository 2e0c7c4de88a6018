using System.Collections.Immutable;

namespace Kcore.Gossip;

/// <summary>An immutable picture of all known members, sorted by id. The revision rises with every change.</summary>
public sealed record MembershipView(ulong Revision, NodeId Self, ImmutableArray<Member> Members)
{
    public Member? Find(NodeId id)
    {
        int low = 0, high = Members.Length - 1;
        while (low <= high)
        {
            int middle = (low + high) >>> 1;
            int order = Members[middle].Id.CompareTo(id);
            if (order == 0)
            {
                return Members[middle];
            }

            (low, high) = order < 0 ? (middle + 1, high) : (low, middle - 1);
        }

        return null;
    }
}

using System.Collections.Immutable;

namespace Kcore.Gossip;

/// <summary>All member records, merged by their order, with the digest of their statements.</summary>
internal sealed class MemberTable(NodeId self)
{
    private readonly SortedDictionary<NodeId, Member> _members = [];
    private readonly SortedSet<NodeId> _active = [];
    private NodeId[]? _others;
    private MembershipView? _view;

    public ulong Revision { get; private set; }

    /// <summary>Sum of the hashes of all statements.</summary>
    public ulong Root { get; private set; }

    public int Count => _members.Count;

    /// <summary>Alive and suspected members, this node included.</summary>
    public int ActiveCount => _active.Count;

    public IEnumerable<Member> All => _members.Values;

    /// <summary>Alive and suspected members but this node, in the order of their ids: draws must not depend on hashing.</summary>
    public NodeId[] Others => _others ??= [.. _active.Where(id => id != self)];

    public MembershipView View => _view ??= new MembershipView(Revision, self, [.. _members.Values]);

    public Member? Find(NodeId id) => _members.GetValueOrDefault(id);

    public bool IsActive(NodeId id) => _active.Contains(id);

    /// <summary>Stores a record that supersedes what is held.</summary>
    public void Set(Member member)
    {
        if (_members.TryGetValue(member.Id, out Member? before))
        {
            Root = unchecked(Root - Digest.OfMember(before));
        }

        _members[member.Id] = member;
        Root = unchecked(Root + Digest.OfMember(member));
        if (member.IsActive ? _active.Add(member.Id) : _active.Remove(member.Id))
        {
            _others = null;
        }

        Changed();
    }

    public Member? Remove(NodeId id)
    {
        if (_members.Remove(id, out Member? member))
        {
            Root = unchecked(Root - Digest.OfMember(member));
            _active.Remove(id);
            _others = null;
            Changed();
        }

        return member;
    }

    private void Changed()
    {
        Revision++;
        _view = null;
    }
}

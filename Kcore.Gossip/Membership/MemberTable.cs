using System.Collections.Immutable;
using System.Runtime.InteropServices;

namespace Kcore.Gossip;

/// <summary>
/// All member records with the digest of their statements. Everything that a probe or an acknowledgement needs takes
/// constant time; only what lists all members depends on their number.
/// </summary>
internal sealed class MemberTable
{
    private readonly Dictionary<NodeId, MemberSlot> _slots = [];
    private readonly List<NodeId> _others = [];

    /// <summary>Which active other member has a name; of several the first.</summary>
    private readonly Dictionary<string, NodeId> _names = new(StringComparer.Ordinal);
    private readonly ulong[] _buckets = new ulong[BucketSet.Most];
    private readonly MemberSlot _self;
    private MemberSlot[]? _sorted;
    private NodeId[]? _ring;
    private MembershipView? _view;

    public MemberTable(Member self)
    {
        _self = new MemberSlot(self);
        _slots[self.Id] = _self;
        Count(self, self, add: true);
    }

    public Member Self => _self.Record;

    /// <summary>Somebody has shown that it holds the present statement of this node: then it spreads without us.</summary>
    public bool IsSelfKnown { get; set; }

    public ulong Revision { get; private set; }

    /// <summary>Sum of the hashes of all statements.</summary>
    public ulong Root { get; private set; }

    /// <summary>The same sum by bucket, of the finest division.</summary>
    public ReadOnlySpan<ulong> Buckets => _buckets;

    public int Total => _slots.Count;

    /// <summary>Alive and suspected members, this node included.</summary>
    public int ActiveCount => _others.Count + (Self.IsActive ? 1 : 0);

    /// <summary>All records by id.</summary>
    public IEnumerable<Member> All => Sorted.Select(s => s.Record);

    /// <summary>
    /// Alive and suspected members but this node. Their order follows from the order in which they came and went, never
    /// from hashing, so draws from it replay.
    /// </summary>
    public ReadOnlySpan<NodeId> Others => CollectionsMarshal.AsSpan(_others);

    /// <summary>The same in the ring of all ids, beginning with the next after this node.</summary>
    public ReadOnlySpan<NodeId> Ring => _ring ??= [.. _others.OrderBy(id => id < Self.Id).ThenBy(id => id)];

    public MembershipView View => _view ??= new MembershipView(Revision, Self.Id, [.. All]);

    private MemberSlot[] Sorted => _sorted ??= [.. _slots.Values.OrderBy(s => s.Record.Id)];

    public MemberSlot? Slot(NodeId id) => _slots.GetValueOrDefault(id);

    public Member? Find(NodeId id) => _slots.TryGetValue(id, out MemberSlot? slot) ? slot.Record : null;

    public bool IsActive(NodeId id) => _slots.TryGetValue(id, out MemberSlot? slot) && slot.Record.IsActive;

    public ulong AcknowledgedBy(NodeId id) => _slots.TryGetValue(id, out MemberSlot? slot) ? slot.Acknowledged : 0;

    /// <summary>The active member, this node included, that has the name; null when nobody has.</summary>
    public NodeId? HolderOf(string name) =>
        name == Self.Name ? Self.Id : _names.TryGetValue(name, out NodeId holder) ? holder : null;

    /// <summary>A new epoch of the own origin: what was acknowledged of the old one says nothing.</summary>
    public void ForgetAcknowledgements()
    {
        foreach (MemberSlot slot in _slots.Values)
        {
            slot.Acknowledged = 0;
        }
    }

    /// <summary>Stores a record that supersedes what is held.</summary>
    public void Set(Member member)
    {
        if (_slots.TryGetValue(member.Id, out MemberSlot? slot))
        {
            Count(slot.Record, member, add: false);
            Unname(slot.Record);
            slot.Record = member;
        }
        else
        {
            _slots[member.Id] = slot = new MemberSlot(member);
            Count(member, member, add: true);
            _sorted = null;
        }

        if (slot == _self)
        {
            IsSelfKnown = false;
        }
        else
        {
            Enlist(slot);
        }

        Changed();
    }

    public void Remove(NodeId id)
    {
        if (id != Self.Id && _slots.Remove(id, out MemberSlot? slot))
        {
            Root = unchecked(Root - Digest.OfMember(slot.Record));
            _buckets[BucketSet.Finest(id)] -= Digest.OfMember(slot.Record);
            Delist(slot);
            Unname(slot.Record);
            _sorted = null;
            Changed();
        }
    }

    private void Enlist(MemberSlot slot)
    {
        if (!slot.Record.IsActive)
        {
            Delist(slot);
            return;
        }

        _names.TryAdd(slot.Record.Name, slot.Record.Id);
        if (slot.Place < 0)
        {
            _ring = null;
            slot.Place = _others.Count;
            _others.Add(slot.Record.Id);
        }
    }

    private void Unname(Member member)
    {
        if (_names.TryGetValue(member.Name, out NodeId holder) && holder == member.Id)
        {
            _names.Remove(member.Name);
        }
    }

    private void Delist(MemberSlot slot)
    {
        if (slot.Place < 0)
        {
            return;
        }

        _ring = null;
        NodeId last = _others[^1];
        _others[slot.Place] = last;
        _slots.GetValueOrDefault(last, slot).Place = slot.Place;
        _others.RemoveAt(_others.Count - 1);
        slot.Place = -1;
    }

    private void Count(Member before, Member after, bool add)
    {
        ulong change = unchecked(Digest.OfMember(after) - (add ? 0 : Digest.OfMember(before)));
        Root = unchecked(Root + change);
        int bucket = BucketSet.Finest(after.Id);
        _buckets[bucket] = unchecked(_buckets[bucket] + change);
    }

    private void Changed()
    {
        Revision++;
        _view = null;
    }
}

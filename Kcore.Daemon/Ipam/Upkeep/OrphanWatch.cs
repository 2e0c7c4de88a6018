using Kcore.Daemon.Catalog;
using Kcore.Daemon.Catalog.Facts;
using Kcore.Daemon.Cluster;
using Kcore.Gossip;

namespace Kcore.Daemon.Ipam.Upkeep;

/// <summary>
/// Finds leases whose NIC is known nowhere: their node is removed, or it is alive, we know what it states, and that NIC is
/// not among it. A node that is silent proves nothing. What is found is only marked, and unmarked when the NIC shows again.
/// </summary>
internal sealed class OrphanWatch
{
    /// <summary>A NIC must be missed for this long without a break.</summary>
    public static readonly TimeSpan Wait = TimeSpan.FromSeconds(60);

    private readonly Dictionary<UInt128, (TimeSpan Since, NodeId Node)> _missedSince = [];
    private readonly SortedDictionary<UInt128, NodeId> _found = [];

    // There may be a lease for each NIC of the cluster: where nothing has changed, nothing is looked at again.
    private CatalogSnapshot? _seen;

    /// <summary>Nothing is known of the past: this node did not lead.</summary>
    public void Forget()
    {
        _missedSince.Clear();
        _found.Clear();
        _seen = null;
    }

    /// <summary>What the leader should propose now.</summary>
    public IReadOnlyList<ReplicatedCommand> Due(CatalogSnapshot facts, TimeSpan now)
    {
        if (!ReferenceEquals(_seen?.View, facts.View) || _seen.Gossip.Members.Revision != facts.Gossip.Members.Revision)
        {
            Look(facts, now);
            _seen = facts;
        }

        return
        [
            .. _missedSince.Where(row => now - row.Value.Since >= Wait).OrderBy(row => row.Key)
                .Select(row => new ReplicatedCommand.MarkOrphaned(new AttachmentId(Uid.ToGuid(row.Key)), Uid.ToGuid(row.Value.Node.Value))),
            .. _found.Select(row => new ReplicatedCommand.Adopt(new AttachmentId(Uid.ToGuid(row.Key)), Uid.ToGuid(row.Value.Value))),
        ];
    }

    private void Look(CatalogSnapshot facts, TimeSpan now)
    {
        // Of two NICs with one MAC the view shows one; here both count.
        HashSet<(NodeId, string)> stated =
        [
            .. facts.Gossip.Entries.Where(e => (FactKind)e.Kind == FactKind.Nic && !e.IsTombstone).Select(e => (e.Origin, e.Key)),
        ];
        var heard = new Dictionary<NodeId, (bool IsRemoved, bool IsHeard)>();
        var missed = new HashSet<UInt128>();
        _found.Clear();
        foreach (LeaseFact lease in facts.View.Leases.Values)
        {
            if (!heard.TryGetValue(lease.Node, out (bool IsRemoved, bool IsHeard) node))
            {
                heard[lease.Node] = node = (facts.View.Removals.ContainsKey(lease.Node), IsHeard(lease.Node, facts));
            }

            if (!lease.Orphaned && (node.IsRemoved || (node.IsHeard && !IsStated(lease))))
            {
                missed.Add(lease.AttachmentId);
                _missedSince.TryAdd(lease.AttachmentId, (now, lease.Node));
            }
            else if (lease.Orphaned && !node.IsRemoved && IsStated(lease))
            {
                _found.Add(lease.AttachmentId, lease.Node);
            }
        }

        foreach (UInt128 back in _missedSince.Keys.Where(id => !missed.Contains(id)).ToArray())
        {
            _missedSince.Remove(back);
        }

        bool IsStated(LeaseFact lease) => stated.Contains((lease.Node, FactKeys.Nic(lease.AttachmentId)));
    }

    private static bool IsHeard(NodeId node, CatalogSnapshot facts) =>
        facts.Gossip.Members.Find(node) is { Status: MemberStatus.Alive } && facts.View.Nodes.ContainsKey(node);
}

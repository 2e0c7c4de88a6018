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

    private readonly Dictionary<UInt128, TimeSpan> _missedSince = [];

    /// <summary>Nothing is known of the past: this node did not lead.</summary>
    public void Forget() => _missedSince.Clear();

    /// <summary>What the leader should propose now.</summary>
    public IReadOnlyList<ReplicatedCommand> Due(CatalogSnapshot facts, TimeSpan now)
    {
        // Of two NICs with one MAC the view shows one; here both count.
        HashSet<(NodeId, string)> stated =
        [
            .. facts.Gossip.Entries.Where(e => (FactKind)e.Kind == FactKind.Nic && !e.IsTombstone).Select(e => (e.Origin, e.Key)),
        ];
        var due = new List<ReplicatedCommand>();
        var missed = new HashSet<UInt128>();
        foreach (LeaseFact lease in facts.View.Leases.Values.OrderBy(l => l.AttachmentId))
        {
            bool isRemoved = facts.View.Removals.ContainsKey(lease.Node);
            bool isStated = stated.Contains((lease.Node, FactKeys.Nic(lease.AttachmentId)));
            bool isMissed = isRemoved || (!isStated && IsHeard(lease.Node, facts));
            if (isMissed && !lease.Orphaned)
            {
                missed.Add(lease.AttachmentId);
                _missedSince.TryAdd(lease.AttachmentId, now);
                if (now - _missedSince[lease.AttachmentId] >= Wait)
                {
                    due.Add(new ReplicatedCommand.MarkOrphaned(new AttachmentId(Uid.ToGuid(lease.AttachmentId)), Uid.ToGuid(lease.Node.Value)));
                }
            }
            else if (lease.Orphaned && isStated && !isRemoved)
            {
                due.Add(new ReplicatedCommand.Adopt(new AttachmentId(Uid.ToGuid(lease.AttachmentId)), Uid.ToGuid(lease.Node.Value)));
            }
        }

        foreach (UInt128 found in _missedSince.Keys.Where(id => !missed.Contains(id)).ToArray())
        {
            _missedSince.Remove(found);
        }

        return due;
    }

    private static bool IsHeard(NodeId node, CatalogSnapshot facts) =>
        facts.Gossip.Members.Find(node) is { Status: MemberStatus.Alive } && facts.View.Nodes.ContainsKey(node);
}

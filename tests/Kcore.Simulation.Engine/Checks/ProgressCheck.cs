using Kcore.Gossip;

namespace Kcore.Simulation.Engine.Checks;

/// <summary>
/// Invariants 3 and 6: nothing that counts upwards goes back (watermarks within an epoch, epochs, incarnations), and
/// nobody holds more of an owner than the owner ever wrote.
/// </summary>
public sealed class ProgressCheck(GossipCluster cluster) : ClusterCheck(cluster)
{
    private readonly Dictionary<int, Seen> _seen = [];

    public override void OnStart(SimulatedNode node)
    {
        // A life begins with what the disk held, which may be older than what the last life had in memory.
        var seen = new Seen();
        foreach (OriginState origin in node.Core!.Catalog.Origins)
        {
            seen.Heads[origin.Origin] = (origin.Epoch, origin.Version);
        }

        _seen[node.Index] = seen;
    }

    public override void OnEffect(SimulatedNode node, GossipEffect effect)
    {
        switch (effect)
        {
            case GossipEffect.Persist persist:
                foreach (OriginHead head in persist.Heads)
                {
                    OnHead(node, head);
                }

                foreach (NodeId gone in persist.RemovedOrigins)
                {
                    _seen[node.Index].Heads.Remove(gone);
                    if (!Cluster.Truth.Forgotten.Contains(gone))
                    {
                        throw Cluster.Violation($"node {node.Index} drops the origin {gone.Short}, which nobody removed");
                    }
                }

                break;
            case GossipEffect.MemberChanged changed:
                OnMember(node, changed);
                break;
            case GossipEffect.MemberForgotten forgotten:
                _seen[node.Index].Members.Remove(forgotten.Member.Id);
                break;
        }
    }

    private void OnHead(SimulatedNode node, OriginHead head)
    {
        (ulong Epoch, ulong Version) now = (head.Epoch, head.Version);
        Dictionary<NodeId, (ulong Epoch, ulong Version)> heads = _seen[node.Index].Heads;
        if (heads.TryGetValue(head.Origin, out (ulong Epoch, ulong Version) before) && now.CompareTo(before) < 0)
        {
            throw Cluster.Violation($"node {node.Index} fell back from {before} to {now} of {head.Origin.Short}");
        }

        heads[head.Origin] = now;
        (ulong Epoch, ulong Version) written = Cluster.Truth.Reached(head.Origin);
        if (now.CompareTo(written) > 0 && Cluster.Truth.IsIntact(head.Origin))
        {
            throw Cluster.Violation($"node {node.Index} holds {now} of {head.Origin.Short}, whose owner has only written {written}");
        }
    }

    private void OnMember(SimulatedNode node, GossipEffect.MemberChanged changed)
    {
        Member after = changed.After;
        Dictionary<NodeId, Member> members = _seen[node.Index].Members;
        if (members.TryGetValue(after.Id, out Member? before) && after.CompareStatement(before) <= 0)
        {
            throw Cluster.Violation($"node {node.Index} goes back from {Name(before)} to {Name(after)} of {after.Id.Short}");
        }

        if (changed.Before is null != before is null && changed.Before?.Id != node.Id)
        {
            throw Cluster.Violation($"node {node.Index} reports {Name(after)} of {after.Id.Short} after {Name(changed.Before)}, but last reported {Name(before)}");
        }

        members[after.Id] = after;
    }

    private static string Name(Member? member) => member is null ? "nothing" : $"{member.Epoch}.{member.Incarnation} {member.Status}";

    private sealed class Seen
    {
        public Dictionary<NodeId, (ulong Epoch, ulong Version)> Heads { get; } = [];

        public Dictionary<NodeId, Member> Members { get; } = [];
    }
}

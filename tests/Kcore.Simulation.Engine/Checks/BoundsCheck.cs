using Kcore.Gossip;
using Kcore.Gossip.Wire;

namespace Kcore.Simulation.Engine.Checks;

/// <summary>
/// Invariant 11 and the format: what a core holds is bounded by what exists, one input makes a bounded number of
/// datagrams, and cores never find each other's frames malformed or each other's contents different.
/// </summary>
public sealed class BoundsCheck(GossipCluster cluster) : ClusterCheck(cluster)
{
    private readonly Dictionary<int, long> _before = [];

    public override void OnStart(SimulatedNode node) => _before[node.Index] = node.Sent.Datagrams;

    public override void OnEffect(SimulatedNode node, GossipEffect effect)
    {
        // The repair hides the cause, so the owner's verdict is a failure in itself. Others may pass through different
        // content at one watermark while a cut delta is on its way.
        if (effect is GossipEffect.ContentDiverged diverged && diverged.Origin == node.Id && Cluster.Truth.IsIntact(node.Id))
        {
            throw Cluster.Violation($"node {diverged.Peer.Short} claims a watermark of node {node.Index} without its content");
        }
    }

    public override void OnHandled(SimulatedNode node)
    {
        GossipCore core = node.Core!;
        long sent = node.Sent.Datagrams - _before[node.Index];
        _before[node.Index] = node.Sent.Datagrams;
        // The whole rumor budget of a burst, a greeting or news for everybody, answers and probes.
        long limit = (64 * 1024 / 100) + ((Cluster.Nodes.Count + 8) * 16L);
        if (sent > limit)
        {
            throw Cluster.Violation($"node {node.Index} answers one input with {sent} datagrams");
        }

        if (core.Catalog.Origins.Count > Cluster.Truth.OwnerCount + 1)
        {
            throw Cluster.Violation($"node {node.Index} knows {core.Catalog.Origins.Count} origins, more than ever were");
        }

        // Streams of removed nodes and of copies of oneself are refused and counted as well.
        bool strangers = Cluster.Truth.Forgotten.Count > 0 || !Cluster.Truth.AllIntact;
        if ((core.MalformedInputs != 0 && !strangers) || core.UnknownFrames != 0)
        {
            throw Cluster.Violation($"node {node.Index} found {core.MalformedInputs} frames of its peers malformed and {core.UnknownFrames} unknown");
        }
    }

    public override void OnQuiet()
    {
        foreach (SimulatedNode node in Cluster.Running)
        {
            foreach (OriginState origin in node.Core!.Catalog.Origins)
            {
                if (origin.Entries.Count() > WireLimits.EntriesPerOrigin)
                {
                    throw Cluster.Violation($"node {node.Index} holds {origin.Entries.Count()} entries of {origin.Origin.Short}");
                }
            }
        }
    }
}

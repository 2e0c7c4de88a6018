using Kcore.Gossip;

namespace Kcore.Simulation.Engine.Checks;

/// <summary>Remembers what shells were told, for assertions about a whole run. It checks nothing by itself.</summary>
public sealed class EffectRecord(GossipCluster cluster) : ClusterCheck(cluster)
{
    public List<(TimeSpan At, SimulatedNode Observer, GossipEffect Effect)> Effects { get; } = [];

    public override void OnEffect(SimulatedNode node, GossipEffect effect)
    {
        if (effect is not GossipEffect.Persist and not GossipEffect.RememberMembers)
        {
            Effects.Add((Cluster.Now, node, effect));
        }
    }
}

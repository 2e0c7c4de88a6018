using Kcore.Gossip;

namespace Kcore.Simulation.Engine;

/// <summary>Something that must hold at every step. It sees what every shell sees, and the truth behind it.</summary>
public abstract class ClusterCheck(GossipCluster cluster)
{
    protected GossipCluster Cluster { get; } = cluster;

    /// <summary>A process has begun with what its disk held.</summary>
    public virtual void OnStart(SimulatedNode node)
    {
    }

    public virtual void OnStop(SimulatedNode node)
    {
    }

    /// <summary>Before the core sees it.</summary>
    public virtual void OnInput(SimulatedNode node, GossipInput input)
    {
    }

    /// <summary>In the order in which the core gave them; sends and pieces of streams are left out.</summary>
    public virtual void OnEffect(SimulatedNode node, GossipEffect effect)
    {
    }

    /// <summary>After all effects of one input.</summary>
    public virtual void OnHandled(SimulatedNode node)
    {
    }

    /// <summary>After heal and quiet.</summary>
    public virtual void OnQuiet()
    {
    }
}

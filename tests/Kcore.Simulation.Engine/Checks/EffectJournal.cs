using Kcore.Gossip;

namespace Kcore.Simulation.Engine.Checks;

/// <summary>Writes what happens, a line each, for people who look for the cause of a failed seed.</summary>
public sealed class EffectJournal(GossipCluster cluster, TextWriter output) : ClusterCheck(cluster)
{
    public override void OnStart(SimulatedNode node) => Line(
        node, $"starts as {node.Id.Short}, epoch {node.Disk.Epoch}, boot nonce {node.BootNonce:x}, at {node.Endpoint}, own origin at {node.Core!.Catalog.Find(node.Id)?.Head}");

    public override void OnStop(SimulatedNode node) => Line(node, "stops");

    public override void OnInput(SimulatedNode node, GossipInput input)
    {
        if (input is GossipInput.Put or GossipInput.PutCluster or GossipInput.Leave or GossipInput.Forget or GossipInput.Readvertise or GossipInput.Contact)
        {
            Line(node, $"is told {input}");
        }
    }

    public override void OnEffect(SimulatedNode node, GossipEffect effect)
    {
        switch (effect)
        {
            case GossipEffect.RememberMembers:
                break;
            case GossipEffect.Persist persist:
                foreach (OriginHead head in persist.Heads)
                {
                    Line(node, $"stores {head.Origin.Short} at epoch {head.Epoch} version {head.Version} floor {head.GcFloor}");
                }

                break;
            case GossipEffect.CatalogChanged changed:
                Line(node, $"shows {string.Join(", ", changed.Changed)}");
                break;
            case GossipEffect.MemberChanged changed:
                Line(node, $"sees {changed.After.Id.Short} {changed.After.Status} {changed.After.Epoch}.{changed.After.Incarnation} nonce {changed.After.BootNonce:x} at {changed.After.Endpoint}, accused by {changed.Accuser?.Short ?? "nobody"}");
                break;
            default:
                Line(node, effect.ToString());
                break;
        }
    }

    private void Line(SimulatedNode node, string what) => output.WriteLine($"{Cluster.Now.TotalSeconds:0.000000} node {node.Index} ({node.Id.Short}): {what}");
}

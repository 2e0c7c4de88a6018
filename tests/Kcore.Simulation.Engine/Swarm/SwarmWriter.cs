using System.Text;
using Kcore.Gossip;
using Kcore.Gossip.Wire;

namespace Kcore.Simulation.Engine.Swarm;

/// <summary>The users of the simulated cluster: they state facts, change them and take them back.</summary>
internal sealed class SwarmWriter(SwarmPlan plan, GossipCluster cluster, SimulatedLog log)
{
    private const int Keys = 12;
    private readonly SeedStream _random = new(plan.Seed, StreamPurpose.Workload);
    private ulong _number;

    public void Write()
    {
        // Every draw is made whatever comes of it, so that what one write does never shifts the next.
        SimulatedNode node = cluster.Nodes[_random.Next(plan.Nodes)];
        int key = _random.Next(Keys);
        double kind = _random.NextDouble();
        double size = _random.NextDouble();
        _number++;
        if (plan.Has(SwarmFaults.Log) && kind < 0.25)
        {
            log.Commit($"lease-{key}", plan.Has(SwarmFaults.Deletions) && size < 0.3 ? null : SimulatedLog.Value(_number));
        }
        else if (plan.Has(SwarmFaults.Deletions) && kind < 0.5)
        {
            cluster.Put(node, LocalWrite.Remove($"key-{key}", 1));
        }
        else if (plan.Has(SwarmFaults.WriteBursts) && kind < 0.6)
        {
            int count = 10 + (int)(150 * size * size);
            cluster.Put(node, [.. Enumerable.Range(0, count).Select(i => new LocalWrite($"burst-{(key * 20) + i}", 2, Value(40)))]);
        }
        else
        {
            int length = plan.Has(SwarmFaults.BigFacts) && size < 0.2 ? WireLimits.ValueBytes - 200 - (int)(size * 10_000) : (int)(size * 300);
            cluster.Put(node, new LocalWrite($"key-{key}", 1, Value(length)));
        }
    }

    private byte[] Value(int length) => Encoding.UTF8.GetBytes($"{_number} ".PadRight(length, 'v'));
}

using System.Globalization;
using System.Text;
using Kcore.Gossip;
using Kcore.Simulation.Engine;

namespace Kcore.Bench.GossipSim.Goals;

/// <summary>G12, G13 and G23: what idling and a steady stream of updates cost, and how fast both are simulated.</summary>
internal static class LoadGoals
{
    /// <summary>So many keys an owner writes in turn.</summary>
    private const int KeysPerNode = 20;

    public static IEnumerable<Row> Measure(BenchOptions options)
    {
        if (options.Wants("G12") || options.Wants("G23"))
        {
            foreach (int nodes in options.Sizes(10, 100, 1000))
            {
                foreach (Row row in Idle(options, nodes))
                {
                    yield return row;
                }
            }
        }

        if (options.Wants("G13"))
        {
            foreach (int nodes in options.Sizes(100, 1000))
            {
                yield return Stream(options, nodes, perSecond: nodes);
            }
        }
    }

    private static IEnumerable<Row> Idle(BenchOptions options, int nodes)
    {
        var bench = new Bench();
        GossipCluster cluster = Bench.Formed(options.Seed, nodes, rest: TimeSpan.FromSeconds(30));
        var time = TimeSpan.FromSeconds(nodes <= 100 ? 600 : 60);
        long before = cluster.Nodes.Sum(n => n.Sent.WireBytes);
        long inputs = cluster.Inputs;
        bench.Begin();
        cluster.RunFor(time);
        bench.Count(time);
        double rate = (cluster.Nodes.Sum(n => n.Sent.WireBytes) - before) / time.TotalSeconds / nodes;
        double perSecond = (cluster.Inputs - inputs) / time.TotalSeconds * bench.Speed;
        if (options.Wants("G12"))
        {
            yield return new Row(
                "G12", nodes, "bytes a second and node, idle (sealing, UDP and IP counted)", "≤ 512 B/s", $"{rate:0} B/s", "", "1", $"{options.Seed}", Sample.Judge((rate, 512)), bench.Speed);
        }

        if (options.Wants("G23"))
        {
            double goal = nodes <= 1000 ? 10 : 1;
            yield return new Row(
                "G23", nodes, $"idle, simulated ({perSecond / 1000:0} k inputs a second)", $"≥ {goal} × real time", $"{bench.Speed:0.0} ×", "", "1", $"{options.Seed}",
                bench.Speed >= goal ? "reached" : $"**missed: {bench.Speed / goal * 100:0} % of it**", bench.Speed);
        }
    }

    private static Row Stream(BenchOptions options, int nodes, int perSecond)
    {
        var bench = new Bench();
        GossipCluster cluster = Bench.Formed(options.Seed, nodes);
        var random = new SeedStream(options.Seed, StreamPurpose.Workload);
        var spread = new Dictionary<string, (TimeSpan At, int Nodes)>(StringComparer.Ordinal);
        Sample all = new();
        cluster.Watch = (_, effect) =>
        {
            foreach (CatalogEntry entry in effect is GossipEffect.CatalogChanged changed ? changed.Changed : [])
            {
                if (spread.TryGetValue(entry.Key, out (TimeSpan At, int Nodes) seen))
                {
                    spread[entry.Key] = seen with { Nodes = seen.Nodes + 1 };
                    if (seen.Nodes + 1 == nodes)
                    {
                        all.Add(cluster.Now - seen.At);
                    }
                }
            }
        };
        int seconds = options.RunsOf(10);
        long[] before = [.. cluster.Nodes.Select(n => n.Sent.WireBytes)];
        bench.Begin();
        TimeSpan begun = cluster.Now;
        int updates = seconds * perSecond;
        for (int i = 0; i < updates; i++)
        {
            SimulatedNode writer = cluster.Nodes[random.Next(nodes)];
            // Every twentieth has a key of its own, so that its arrival everywhere can be told.
            string key = i % 20 == 0 ? $"probe-{i}" : $"mac-{i % KeysPerNode}";
            if (i % 20 == 0)
            {
                spread[key] = (cluster.Now, 0);
            }

            cluster.Put(writer, new LocalWrite(key, 1, Encoding.UTF8.GetBytes($"10.0.0.1 {i}")));
            cluster.RunFor(TimeSpan.FromSeconds(1.0 / perSecond));
        }

        double[] rates = [.. cluster.Nodes.Select((n, i) => (n.Sent.WireBytes - before[i]) / (cluster.Now - begun).TotalSeconds / 1024)];
        TimeSpan drained = cluster.RunUntil(cluster.InSync, TimeSpan.FromMinutes(5), "the stream has been digested", TimeSpan.FromMilliseconds(100));
        bench.Count(cluster.Now - begun);
        double mean = rates.Average();
        return new Row(
            "G13", nodes,
            string.Create(CultureInfo.InvariantCulture, $"{perSecond} updates a second: to all ({mean:0} KB/s a node, {rates.Max():0} at most; in sync {drained.TotalSeconds:0.0} s after the last)"),
            "p99 ≤ 2 s, ≤ 600 KB/s", all.MedianSeconds, all.P99Seconds, string.Create(CultureInfo.InvariantCulture, $"{updates}"), $"{options.Seed}",
            Sample.Judge((all.P99, 2), (mean, 600)), bench.Speed);
    }
}

using System.Globalization;
using Kcore.Gossip;
using Kcore.Simulation.Engine;

namespace Kcore.Bench.GossipSim.Goals;

/// <summary>G7 and G8: how soon a crash is known by all.</summary>
internal static class DetectionGoals
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    public static IEnumerable<Row> Measure(BenchOptions options)
    {
        if (options.Wants("G7"))
        {
            foreach (int nodes in options.Sizes(3, 10, 100, 1000))
            {
                yield return OneCrash(options, nodes);
            }
        }

        if (options.Wants("G8") && options.Sizes(100).Any(n => n >= 100))
        {
            yield return QuarterDies(options, 128);
        }
    }

    private static Row OneCrash(BenchOptions options, int nodes)
    {
        var bench = new Bench();
        Sample first = new(), all = new();
        int runs = options.RunsOf(nodes <= 100 ? 200 : 20);
        int perCluster = Math.Max(1, Math.Min(nodes / 3, 20));
        int seeds = 0;
        for (int done = 0; done < runs;)
        {
            GossipCluster cluster = Bench.Formed(options.Seed + (ulong)seeds++, nodes);
            if (seeds == 1)
            {
                bench.Begin();
            }

            TimeSpan begun = cluster.Now;
            // Each victim once: who dies again within minutes is given more time on purpose.
            for (int i = 0; i < perCluster && done < runs; i++, done++)
            {
                Crash(cluster, [cluster.Nodes[nodes - 1 - i]], first, all);
                cluster.Start(cluster.Nodes[nodes - 1 - i], [cluster.Nodes[0].Endpoint]);
                cluster.RunUntil(() => cluster.InSync() && cluster.AllSeeAll(), Limit, "the victim is back", TimeSpan.FromMilliseconds(50));
                cluster.RunFor(TimeSpan.FromSeconds(1 + (0.37 * i % 1)));
            }

            bench.Count(cluster.Now - begun);
        }

        (double median, double p99) = nodes <= 10 ? (3.7, 5.3) : nodes <= 100 ? (4.8, 6.8) : nodes <= 1000 ? (5.8, 7.7) : (6.9, 9.0);
        return new Row(
            "G7", nodes, $"a crash is known by all (by the first: {first.MedianSeconds})", $"≤ {median} s / {p99} s", all.MedianSeconds, all.P99Seconds,
            runs.ToString(CultureInfo.InvariantCulture), $"{options.Seed}..{options.Seed + (ulong)seeds - 1}", Sample.Judge((all.Median, median), (all.P99, p99)), bench.Speed);
    }

    private static Row QuarterDies(BenchOptions options, int nodes)
    {
        var bench = new Bench();
        Sample first = new(), all = new();
        int runs = options.RunsOf(20);
        for (int run = 0; run < runs; run++)
        {
            GossipCluster cluster = Bench.Formed(options.Seed + (ulong)run, nodes);
            if (run == 0)
            {
                bench.Begin();
            }

            TimeSpan begun = cluster.Now;
            Crash(cluster, [.. cluster.Nodes.Where(n => n.Index % 4 == 3)], first, all);
            bench.Count(cluster.Now - begun);
        }

        return new Row(
            "G8", nodes, "a quarter dies at once, all known by all", "max ≤ 9 s", all.MedianSeconds, all.P99Seconds,
            runs.ToString(CultureInfo.InvariantCulture), $"{options.Seed}..{options.Seed + (ulong)runs - 1}", Sample.Judge((all.Max, 9)), bench.Speed);
    }

    /// <summary>Kills the victims and waits until every survivor has declared every one of them dead.</summary>
    private static void Crash(GossipCluster cluster, List<SimulatedNode> victims, Sample first, Sample all)
    {
        HashSet<NodeId> dead = [.. victims.Select(v => v.Id)];
        var known = new HashSet<(int, NodeId)>();
        TimeSpan start = cluster.Now;
        TimeSpan? firstAt = null;
        TimeSpan lastAt = start;
        cluster.Watch = (node, effect) =>
        {
            if (effect is GossipEffect.MemberChanged { After: { Status: MemberStatus.Dead } after } && dead.Contains(after.Id) && known.Add((node.Index, after.Id)))
            {
                firstAt ??= cluster.Now;
                lastAt = cluster.Now;
            }
        };
        foreach (SimulatedNode victim in victims)
        {
            cluster.Crash(victim, loseWriteBehind: false, hostIsUp: false);
        }

        int wanted = (cluster.Nodes.Count - victims.Count) * victims.Count;
        cluster.RunUntil(() => known.Count == wanted, Limit, "the crash is known by all", TimeSpan.FromMilliseconds(20));
        cluster.Watch = null;
        first.Add(firstAt!.Value - start);
        all.Add(lastAt - start);
    }
}

using System.Globalization;
using System.Text;
using Kcore.Gossip;
using Kcore.Simulation.Engine;

namespace Kcore.Bench.GossipSim.Goals;

/// <summary>G14 and G16, and the three cases in which digests must be equal within two seconds.</summary>
internal static class HealGoals
{
    public static IEnumerable<Row> Measure(BenchOptions options)
    {
        if (options.Wants("G14"))
        {
            foreach (int nodes in options.Sizes(10, 100, 1000))
            {
                yield return Split(options, nodes, TimeSpan.FromHours(options.Hours ?? (nodes <= 100 ? 1 : 1 / 6.0)), options.RunsOf(nodes <= 10 ? 50 : nodes <= 100 ? 10 : 1), "G14", "a split of");
            }
        }

        if (options.Wants("G16"))
        {
            foreach (int nodes in options.Sizes(3, 10, 100))
            {
                yield return Restart(options, nodes);
            }
        }

        if (options.Wants("equal"))
        {
            foreach (int nodes in options.Sizes(3, 8, 32))
            {
                yield return Swallowed(options, nodes);
                yield return Split(options, nodes, TimeSpan.FromSeconds(20), options.RunsOf(100), "equal", "catalogs after a split of");
                yield return BackAfterCollection(options, nodes);
            }
        }
    }

    private static Row Split(BenchOptions options, int nodes, TimeSpan length, int runs, string goal, string what)
    {
        var bench = new Bench();
        Sample heal = new(), kilobytes = new();
        for (int run = 0; run < runs; run++)
        {
            GossipCluster cluster = Bench.Formed(options.Seed + (ulong)run, nodes);
            if (run == 0)
            {
                bench.Begin();
            }

            TimeSpan begun = cluster.Now;
            cluster.Network.Split(i => i % 2);
            for (int i = 0; i < 20; i++)
            {
                cluster.RunFor(length / 20);
                cluster.Put(cluster.Nodes[(2 * i) % nodes], Fact($"left-{i}"));
                cluster.Put(cluster.Nodes[((2 * i) + 1) % nodes], Fact($"right-{i}"));
            }

            long[] before = [.. cluster.Nodes.Select(n => n.Sent.WireBytes)];
            cluster.Network.Mend();
            // "Equal" is about the catalog; G14 wants the members back too.
            bool members = goal == "G14";
            heal.Add(cluster.RunUntil(
                () => members ? cluster.InSync() && cluster.AllSeeAll() : cluster.Nodes.Select(n => n.Core!.CatalogDigest).Distinct().Count() == 1,
                TimeSpan.FromMinutes(5), "healed", TimeSpan.FromMilliseconds(20)));
            kilobytes.Add(cluster.Nodes.Max(n => n.Sent.WireBytes - before[n.Index]) / 1024.0);
            bench.Count(cluster.Now - begun);
        }

        double limit = goal == "equal" ? 2 : nodes <= 100 ? 3 : 10;
        return new Row(
            goal, nodes, string.Create(CultureInfo.InvariantCulture, $"{what} {length.TotalSeconds:0} s with writes on both sides ({kilobytes.Max:0} KB from one node at most)"),
            string.Create(CultureInfo.InvariantCulture, $"≤ {limit:0} s"), heal.MedianSeconds, heal.P99Seconds, runs.ToString(CultureInfo.InvariantCulture),
            $"{options.Seed}..{options.Seed + (ulong)runs - 1}", Sample.Judge((heal.Max, limit)), bench.Speed);
    }

    private static Row Restart(BenchOptions options, int nodes)
    {
        var bench = new Bench();
        int runs = options.RunsOf(60);
        GossipCluster cluster = Bench.Formed(options.Seed, nodes);
        foreach (SimulatedNode node in cluster.Nodes)
        {
            cluster.Put(node, [.. Enumerable.Range(0, 20).Select(i => Fact($"mac-{i}"))]);
        }

        cluster.RunUntil(cluster.InSync, TimeSpan.FromMinutes(1), "facts are everywhere");
        cluster.RunFor(TimeSpan.FromSeconds(5));
        int changes = 0;
        cluster.Watch = (_, effect) => changes += effect is GossipEffect.CatalogChanged or GossipEffect.CatalogResync ? 1 : 0;
        Sample back = new();
        bench.Begin();
        TimeSpan begun = cluster.Now;
        for (int run = 0; run < runs; run++)
        {
            SimulatedNode node = cluster.Nodes[run % nodes];
            cluster.Crash(node, loseWriteBehind: false);
            cluster.RunFor(TimeSpan.FromSeconds(1 + (run % 60)));
            cluster.Start(node, [cluster.Nodes[(node.Index + 1) % nodes].Endpoint]);
            cluster.Put(node, [.. Enumerable.Range(0, 20).Select(i => Fact($"mac-{i}"))]);
            back.Add(cluster.RunUntil(() => cluster.InSync() && cluster.AllSeeAll(), TimeSpan.FromMinutes(2), "back"));
            cluster.RunFor(TimeSpan.FromSeconds(3));
        }

        bench.Count(cluster.Now - begun);
        return new Row(
            "G16", nodes, $"changes of the view by a restart of 1 to 60 s (seen alive by all after {back.MedianSeconds}, {back.P99Seconds})", "0", changes.ToString(CultureInfo.InvariantCulture), "",
            runs.ToString(CultureInfo.InvariantCulture), $"{options.Seed}", Sample.Judge((changes, 0)), bench.Speed);
    }

    private static Row Swallowed(BenchOptions options, int nodes)
    {
        var bench = new Bench();
        int runs = options.RunsOf(200);
        byte[] needle = "swallowed"u8.ToArray();
        GossipCluster cluster = Bench.Formed(options.Seed, nodes);
        cluster.Network.Swallow = payload => payload.Span.IndexOf(needle) >= 0;
        Sample equal = new();
        bench.Begin();
        TimeSpan begun = cluster.Now;
        for (int run = 0; run < runs; run++)
        {
            cluster.Put(cluster.Nodes[run % nodes], Fact($"swallowed-{run}"));
            equal.Add(cluster.RunUntil(cluster.InSync, TimeSpan.FromMinutes(1), "equal without the datagrams"));
            cluster.RunFor(TimeSpan.FromSeconds(3.17));
        }

        bench.Count(cluster.Now - begun);
        return new Row(
            "equal", nodes, "a fact whose datagrams are all lost", "≤ 2 s", equal.MedianSeconds, equal.P99Seconds, runs.ToString(CultureInfo.InvariantCulture), $"{options.Seed}",
            Sample.Judge((equal.Max, 2)), bench.Speed);
    }

    private static Row BackAfterCollection(BenchOptions options, int nodes)
    {
        var bench = new Bench();
        int runs = options.RunsOf(30);
        Sample equal = new();
        int risen = 0;
        for (int run = 0; run < runs; run++)
        {
            GossipCluster cluster = Bench.Formed(options.Seed + (ulong)run, nodes);
            if (run == 0)
            {
                bench.Begin();
            }

            TimeSpan begun = cluster.Now;
            SimulatedNode absent = cluster.Nodes[nodes - 1];
            SimulatedNode owner = cluster.Nodes[0];
            cluster.Put(owner, [.. Enumerable.Range(0, 10).Select(i => Fact($"gone-{i}")), Fact("kept")]);
            cluster.RunFor(TimeSpan.FromSeconds(3));
            cluster.Crash(absent, loseWriteBehind: false);
            cluster.Put(owner, [.. Enumerable.Range(0, 10).Select(i => LocalWrite.Remove($"gone-{i}", 1))]);
            cluster.RunFor(TimeSpan.FromMinutes(30));
            risen += owner.Core!.Catalog.Find(owner.Id)!.Entries.Count() == 1 ? 0 : 1;
            cluster.Start(absent, [cluster.Nodes[1].Endpoint]);
            equal.Add(cluster.RunUntil(() => cluster.Nodes.Select(n => n.Core!.CatalogDigest).Distinct().Count() == 1, TimeSpan.FromMinutes(1), "equal again"));
            cluster.RunFor(TimeSpan.FromSeconds(5));
            risen += cluster.Nodes.Sum(n => n.Core!.Catalog.Entries.Count(e => !e.IsTombstone && e.Key.StartsWith("gone", StringComparison.Ordinal)));
            bench.Count(cluster.Now - begun);
        }

        return new Row(
            "equal", nodes, $"a node back after its tombstones were collected ({risen} risen)", "≤ 2 s", equal.MedianSeconds, equal.P99Seconds, runs.ToString(CultureInfo.InvariantCulture),
            $"{options.Seed}..{options.Seed + (ulong)runs - 1}", Sample.Judge((equal.Max, 2), (risen, 0)), bench.Speed);
    }

    private static LocalWrite Fact(string key) => new(key, 1, Encoding.UTF8.GetBytes($"10.1.2.3 {key}"));
}

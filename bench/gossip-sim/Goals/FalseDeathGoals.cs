using System.Globalization;
using Kcore.Gossip;
using Kcore.Simulation.Engine;

namespace Kcore.Bench.GossipSim.Goals;

/// <summary>G9 to G11: that the living are not buried, whatever the network loses and whoever is stopped for a while.</summary>
internal static class FalseDeathGoals
{
    private static readonly double[] Stalls = [1, 1.5, 2, 2.5, 3, 3.5, 4, 5, 6, 7, 8, 9, 10];

    public static IEnumerable<Row> Measure(BenchOptions options)
    {
        if (options.Wants("G9"))
        {
            foreach (int nodes in options.Sizes(10, 100))
            {
                yield return RandomLoss(options, nodes, 0.2, 0);
                yield return RandomLoss(options, nodes, 0.4, 0.01);
            }
        }

        if (options.Wants("G10") && options.Sizes(100).Any(n => n >= 100))
        {
            yield return StallStorm(options, 128);
        }

        if (options.Wants("G11"))
        {
            foreach (int nodes in options.Sizes(3, 10, 100))
            {
                yield return ToleratedStall(options, nodes, "lan", GossipOptions.Lan, 2.5);
                yield return ToleratedStall(options, nodes, "lan-safe", GossipOptions.LanSafe, 8);
            }
        }
    }

    private static Row RandomLoss(BenchOptions options, int nodes, double loss, double goal)
    {
        var bench = new Bench();
        double hours = options.Hours ?? (options.Quick ? 0.2 : nodes <= 10 ? 10 : 1);
        GossipCluster cluster = Bench.Formed(options.Seed, nodes);
        cluster.Network.Loss = loss;
        int suspicions = 0, deaths = 0;
        cluster.Watch = (node, effect) =>
        {
            if (effect is GossipEffect.MemberChanged changed && changed.Accuser == node.Id)
            {
                suspicions += changed.After.Status == MemberStatus.Suspect ? 1 : 0;
                deaths += changed.After.Status == MemberStatus.Dead ? 1 : 0;
            }
        };
        bench.Begin();
        cluster.RunFor(TimeSpan.FromHours(hours));
        bench.Count(TimeSpan.FromHours(hours));
        double perHour = deaths / (hours * nodes);
        return new Row(
            "G9", nodes, string.Create(CultureInfo.InvariantCulture, $"false deaths a node-hour at {loss * 100:0} % loss ({suspicions / (hours * nodes):0.00} suspicions)"),
            goal == 0 ? "0" : $"≤ {goal}", perHour.ToString("0.####", CultureInfo.InvariantCulture), $"{deaths} in all",
            string.Create(CultureInfo.InvariantCulture, $"{hours:0.#} h"), $"{options.Seed}", Sample.Judge((perHour, goal)), bench.Speed);
    }

    /// <summary>Lifeguard's experiment: some members stand still again and again, and the others must not pay for it.</summary>
    private static Row StallStorm(BenchOptions options, int nodes)
    {
        var bench = new Bench();
        int runs = options.RunsOf(30);
        long healthy = 0, stalledDeaths = 0;
        var seconds = TimeSpan.FromSeconds(120);
        for (int run = 0; run < runs; run++)
        {
            ulong seed = options.Seed + (ulong)run;
            GossipCluster cluster = Bench.Formed(seed, nodes);
            if (run == 0)
            {
                bench.Begin();
            }

            var random = new SeedStream(seed, StreamPurpose.Faults);
            int stalled = 1 << (run % 6);
            HashSet<NodeId> sick = [.. cluster.Nodes.Take(stalled).Select(n => n.Id)];
            cluster.Watch = (node, effect) =>
            {
                if (effect is GossipEffect.MemberChanged { After: { Status: MemberStatus.Dead } after })
                {
                    healthy += sick.Contains(after.Id) ? 0 : 1;
                    stalledDeaths += sick.Contains(after.Id) ? 1 : 0;
                }
            };
            TimeSpan stall = TimeSpan.FromSeconds(2 * Math.Pow(16.5, random.NextDouble()));
            foreach (SimulatedNode node in cluster.Nodes.Take(stalled))
            {
                Repeat(cluster, node, stall, random, cluster.Now + seconds);
            }

            TimeSpan begun = cluster.Now;
            cluster.RunFor(seconds);
            bench.Count(cluster.Now - begun);
        }

        return new Row(
            "G10", nodes, $"healthy members declared dead in a storm of stalls of 2 to 33 s ({stalledDeaths} events about stalled ones)", "0",
            healthy.ToString(CultureInfo.InvariantCulture), "", runs.ToString(CultureInfo.InvariantCulture), $"{options.Seed}..{options.Seed + (ulong)runs - 1}",
            Sample.Judge((healthy, 0)), bench.Speed);
    }

    private static void Repeat(GossipCluster cluster, SimulatedNode node, TimeSpan stall, SeedStream random, TimeSpan end)
    {
        if (cluster.Now >= end)
        {
            return;
        }

        cluster.Stall(node, stall);
        cluster.At(cluster.Now + stall + random.Exponential(TimeSpan.FromSeconds(0.5)), () => Repeat(cluster, node, stall, random, end));
    }

    private static Row ToleratedStall(BenchOptions options, int nodes, string profile, GossipOptions gossip, double goal)
    {
        var bench = new Bench();
        int runs = options.RunsOf(nodes <= 10 ? 100 : 30);
        GossipCluster cluster = Bench.Formed(options.Seed, nodes, gossip);
        bench.Begin();
        TimeSpan begun = cluster.Now;
        double tolerated = 0;
        foreach (double stall in Stalls)
        {
            int deaths = 0;
            cluster.Watch = (_, effect) => deaths += effect is GossipEffect.MemberChanged { After.Status: MemberStatus.Dead } ? 1 : 0;
            for (int run = 0; run < runs && deaths == 0; run++)
            {
                cluster.Stall(cluster.Nodes[run % nodes], TimeSpan.FromSeconds(stall));
                cluster.RunFor(TimeSpan.FromSeconds(stall + 6.13));
            }

            if (deaths > 0)
            {
                break;
            }

            tolerated = stall;
        }

        bench.Count(cluster.Now - begun);
        return new Row(
            "G11", nodes, $"longest stall without a death, `{profile}`", $"≥ {goal} s", string.Create(CultureInfo.InvariantCulture, $"{tolerated} s"), "",
            runs.ToString(CultureInfo.InvariantCulture), $"{options.Seed}", tolerated >= goal ? "reached" : $"**missed by {goal - tolerated:0.0} s**", bench.Speed);
    }
}

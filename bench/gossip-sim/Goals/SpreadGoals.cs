using System.Globalization;
using Kcore.Simulation.Engine;

namespace Kcore.Bench.GossipSim.Goals;

/// <summary>G1 to G6: how fast one fact is everywhere, at what cost, and that none is late.</summary>
internal static class SpreadGoals
{
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(2);

    public static IEnumerable<Row> Measure(BenchOptions options)
    {
        foreach (int nodes in options.Sizes(10, 33, 100, 1000))
        {
            foreach (double loss in (double[])[0, 0.2])
            {
                foreach (Row row in Measure(options, nodes, loss))
                {
                    yield return row;
                }
            }
        }
    }

    private static IEnumerable<Row> Measure(BenchOptions options, int nodes, double loss)
    {
        string[] goals = loss == 0 ? ["G1", "G2", "G4", "G5", "G6"] : ["G3", "G6"];
        if (!goals.Any(options.Wants))
        {
            yield break;
        }

        var bench = new Bench();
        int updates = options.RunsOf(nodes <= 33 ? 2000 : nodes <= 100 ? 600 : nodes <= 1000 ? 60 : 10);
        Sample most = new(), all = new(), sends = new();
        int late = 0;
        GossipCluster cluster = Bench.Formed(options.Seed, nodes);
        cluster.Network.Loss = loss;
        bench.Begin();
        TimeSpan begun = cluster.Now;
        var writers = new SeedStream(options.Seed, StreamPurpose.Workload);
        for (int i = 0; i < updates; i++)
        {
            var meter = new SpreadMeter(cluster, cluster.Nodes[writers.Next(nodes)], $"fact-number-{i}", countDatagrams: loss == 0);
            cluster.RunFor(Pause);
            late += meter.IsEverywhere ? 0 : 1;
            cluster.RunUntil(() => meter.IsEverywhere, TimeSpan.FromMinutes(2), "an update is everywhere", TimeSpan.FromMilliseconds(100));
            most.Add(meter.Until(0.99));
            all.Add(meter.Until(1));
            sends.Add((double)meter.Datagrams / nodes);
        }

        bench.Count(cluster.Now - begun);
        Row Make(string goal, string what, string target, string median, string p99, string verdict) =>
            new(goal, nodes, what, target, median, p99, updates.ToString(CultureInfo.InvariantCulture), $"{options.Seed}", verdict, bench.Speed);

        if (options.Wants("G1") && loss == 0 && nodes >= 100)
        {
            yield return Make("G1", "update to 99 %", "median ≤ 100 ms (at 1,000)", most.MedianSeconds, most.P99Seconds, Sample.Judge((most.Median, 0.1)));
        }

        if (options.Wants("G2") && loss == 0 && nodes > 33)
        {
            yield return Make("G2", "update to all", "≤ 0.3 s / 0.6 s (at 1,000)", all.MedianSeconds, all.P99Seconds, Sample.Judge((all.Median, 0.3), (all.P99, 0.6)));
        }

        if (options.Wants("G4") && loss == 0 && nodes <= 33)
        {
            yield return Make("G4", "update to all", "p99 ≤ 5 ms", all.MedianSeconds, all.P99Seconds, Sample.Judge((all.P99, 0.005)));
        }

        if (options.Wants("G3") && loss > 0)
        {
            double goal = nodes <= 33 ? 1.6 : 1.2;
            yield return Make("G3", "update to all at 20 % loss", $"p99 ≤ {goal} s", all.MedianSeconds, all.P99Seconds, Sample.Judge((all.P99, goal)));
        }

        if (options.Wants("G5") && loss == 0)
        {
            double goal = nodes <= 33 ? 3 : Math.Ceiling(Math.Log(nodes + 1)) + 4;
            yield return Make(
                "G5", "datagrams a node that carry one update", $"≤ {goal}", sends.Median.ToString("0.0", CultureInfo.InvariantCulture), sends.P99.ToString("0.0", CultureInfo.InvariantCulture), Sample.Judge((sends.Median, goal)));
        }

        if (options.Wants("G6"))
        {
            yield return Make("G6", $"updates later than 2 s at {loss * 100:0} % loss", "0", late.ToString(CultureInfo.InvariantCulture), "", Sample.Judge((late, 0)));
        }
    }
}

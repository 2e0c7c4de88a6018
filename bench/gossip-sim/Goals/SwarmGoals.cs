using System.Globalization;
using Kcore.Simulation.Engine;
using Kcore.Simulation.Engine.Swarm;

namespace Kcore.Bench.GossipSim.Goals;

/// <summary>G17: random clusters under random faults, and single ones of them again.</summary>
internal static class SwarmGoals
{
    public static IEnumerable<Row> Measure(BenchOptions options)
    {
        if (options.Wants("G17") && options.Nodes.Count == 0)
        {
            yield return Swarm(options, (ulong)options.RunsOf(2000), out _);
        }
    }

    /// <summary>Runs seeds and prints what fails.</summary>
    public static Row Swarm(BenchOptions options, ulong count, out int failures)
    {
        var bench = new Bench();
        Sample heal = new();
        failures = 0;
        long inputs = 0;
        bench.Begin();
        for (ulong seed = options.Seed; seed < options.Seed + count; seed++)
        {
            try
            {
                SwarmResult result = SwarmRun.Run(SwarmPlan.From(seed));
                heal.Add(result.HealTime);
                inputs += result.Inputs;
                bench.Count(result.VirtualTime);
            }
            catch (InvariantViolationException e)
            {
                failures++;
                Console.Error.WriteLine(e.Message);
            }
        }

        return new Row(
            "G17", 12, $"swarm seeds of 3 to 12 nodes that break an invariant (healed after {heal.MedianSeconds}, {heal.P99Seconds}; {inputs} inputs)", "0",
            failures.ToString(CultureInfo.InvariantCulture), "", count.ToString(CultureInfo.InvariantCulture), $"{options.Seed}..{options.Seed + count - 1}", Sample.Judge((failures, 0)), bench.Speed);
    }

    /// <summary>One seed twice; 0 when it passes and both traces are one.</summary>
    public static int Replay(ulong seed, string? journal)
    {
        var plan = SwarmPlan.From(seed);
        Console.WriteLine(plan);
        try
        {
            using TextWriter? writer = journal is null ? null : new StreamWriter(journal);
            SwarmResult first = SwarmRun.Run(plan, writer);
            SwarmResult second = SwarmRun.Run(plan);
            Console.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"passed: healed after {first.HealTime}, {first.Inputs} inputs, {first.FalseDeaths} deaths of running members, trace {first.TraceHash:x16} and {second.TraceHash:x16}"));
            return first.TraceHash == second.TraceHash ? 0 : 1;
        }
        catch (InvariantViolationException e)
        {
            Console.WriteLine(e.Message);
            return 1;
        }
    }
}

using Kcore.Bench.GossipSim;
using Kcore.Bench.GossipSim.Goals;

// What the gossip core reaches of its goals, measured with the core itself under virtual time. Prints a table in Markdown.
if (BenchOptions.Parse(args) is not { } options)
{
    Console.Error.WriteLine(BenchOptions.Usage);
    return 2;
}

if (options.Replay is { } seed)
{
    return SwarmGoals.Replay(seed, options.Journal);
}

Console.WriteLine(Row.Head);
if (options.Swarm is { } count)
{
    Console.WriteLine(SwarmGoals.Swarm(options, count, out int failures));
    return failures == 0 ? 0 : 1;
}

foreach (IEnumerable<Row> rows in (IEnumerable<Row>[])
    [
        SpreadGoals.Measure(options), DetectionGoals.Measure(options), FalseDeathGoals.Measure(options), LoadGoals.Measure(options),
        HealGoals.Measure(options), SwarmGoals.Measure(options),
    ])
{
    foreach (Row row in rows)
    {
        Console.WriteLine(row);
    }
}

return 0;

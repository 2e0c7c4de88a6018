using Kcore.Gossip;

namespace Kcore.Simulation.Engine.Swarm;

/// <summary>Everything a seed decides before its run: size, faults, their strength, how long, how fast facts change.</summary>
public sealed record SwarmPlan
{
    private static readonly SwarmFaults[] All = Enum.GetValues<SwarmFaults>()[1..];

    public required ulong Seed { get; init; }

    public required int Nodes { get; init; }

    public required SwarmFaults Faults { get; init; }

    public required GossipOptions Options { get; init; }

    public double Loss { get; init; }

    public double Duplication { get; init; }

    public TimeSpan DelayMax { get; init; }

    public double Tail { get; init; }

    public double StreamFailure { get; init; }

    public TimeSpan BurstMean { get; init; }

    /// <summary>Mean time between two faults.</summary>
    public TimeSpan FaultPause { get; init; }

    /// <summary>Mean time between two writes in the whole cluster.</summary>
    public TimeSpan WritePause { get; init; }

    /// <summary>How long the faults go on.</summary>
    public TimeSpan Length { get; init; }

    public bool Has(SwarmFaults fault) => Faults.HasFlag(fault);

    /// <param name="nodes">Null: drawn, 3 to 12.</param>
    public static SwarmPlan From(ulong seed, int? nodes = null)
    {
        var random = new SeedStream(seed, StreamPurpose.Plan);
        // Half of the seeds have few kinds of faults, so that each kind is also met nearly alone.
        double share = random.Chance(0.5) ? 0.15 : 0.5;
        SwarmFaults faults = SwarmFaults.None;
        foreach (SwarmFaults fault in All)
        {
            faults |= random.Chance(share) ? fault : SwarmFaults.None;
        }

        int drawn = 3 + (int)(10 * Math.Pow(random.NextDouble(), 2));
        TimeSpan tombstones = random.Between(TimeSpan.FromSeconds(5), TimeSpan.FromSeconds(40));
        return new SwarmPlan
        {
            Seed = seed,
            Nodes = nodes ?? drawn,
            Faults = faults,
            Options = new GossipOptions { TombstoneMin = tombstones, TombstoneMax = tombstones * (1 + (3 * random.NextDouble())) },
            Loss = !faults.HasFlag(SwarmFaults.Loss) ? 0 : random.NextDouble() * 0.35,
            Duplication = !faults.HasFlag(SwarmFaults.Duplication) ? 0 : random.NextDouble() * 0.3,
            DelayMax = TimeSpan.FromMilliseconds(!faults.HasFlag(SwarmFaults.LongDelays) ? 1 : 2 + (random.NextDouble() * 80)),
            Tail = !faults.HasFlag(SwarmFaults.HeavyTail) ? 0 : random.NextDouble() * 0.1,
            StreamFailure = !faults.HasFlag(SwarmFaults.StreamFailures) ? 0 : random.NextDouble() * 0.6,
            BurstMean = !faults.HasFlag(SwarmFaults.Bursts) ? TimeSpan.Zero : random.Between(TimeSpan.FromMilliseconds(50), TimeSpan.FromSeconds(3)),
            FaultPause = random.Between(TimeSpan.FromSeconds(0.5), TimeSpan.FromSeconds(6)),
            WritePause = random.Between(TimeSpan.FromMilliseconds(50), TimeSpan.FromSeconds(2)),
            Length = random.Between(TimeSpan.FromSeconds(15), TimeSpan.FromSeconds(60)),
        };
    }

    public override string ToString() =>
        $"seed {Seed}: {Nodes} nodes, {Length.TotalSeconds:0} s, loss {Loss:0.00}, a fault every {FaultPause.TotalSeconds:0.0} s, faults {Faults}";
}

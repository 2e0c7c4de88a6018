using System.Globalization;
using Kcore.Simulation.Engine;
using Kcore.Simulation.Engine.Swarm;
using Xunit.Abstractions;

namespace Kcore.Simulation.Gossip;

/// <summary>
/// Random clusters under random faults, one seed each; every invariant is checked at every step. KCORE_SIM_SEED replays
/// one seed, KCORE_SIM_SEEDS=1000 runs that many and KCORE_SIM_FIRST=1 says from which.
/// </summary>
public sealed class SwarmTests(ITestOutputHelper output)
{
    private const int Seeds = 1000;

    /// <summary>The first failures tell enough; the rest would only take time.</summary>
    private const int ShownFailures = 3;

    private static ulong Setting(string name, ulong otherwise) =>
        Environment.GetEnvironmentVariable(name) is { Length: > 0 } text ? ulong.Parse(text, CultureInfo.InvariantCulture) : otherwise;

    public static TheoryData<ulong, string> Corpus()
    {
        var data = new TheoryData<ulong, string>();
        using var reader = new StreamReader(typeof(SwarmTests).Assembly.GetManifestResourceStream("corpus")!);
        while (reader.ReadLine() is { } line)
        {
            if (line.Length > 0 && line[0] != '#')
            {
                string[] parts = line.Split(' ', 2);
                data.Add(ulong.Parse(parts[0], CultureInfo.InvariantCulture), parts[1]);
            }
        }

        return data;
    }

    [Fact]
    public void Swarms_of_faults_break_no_invariant()
    {
        ulong replay = Setting("KCORE_SIM_SEED", 0);
        ulong first = replay != 0 ? replay : Setting("KCORE_SIM_FIRST", 1);
        ulong count = replay != 0 ? 1 : Setting("KCORE_SIM_SEEDS", Seeds);
        List<string> failures = [];
        long inputs = 0;
        TimeSpan longestHeal = TimeSpan.Zero;
        for (ulong seed = first; seed < first + count && failures.Count < ShownFailures; seed++)
        {
            try
            {
                SwarmResult result = SwarmRun.Run(SwarmPlan.From(seed));
                inputs += result.Inputs;
                longestHeal = result.HealTime > longestHeal ? result.HealTime : longestHeal;
            }
            catch (InvariantViolationException e)
            {
                failures.Add(e.Message);
            }
        }

        output.WriteLine($"{count} seeds from {first}: {inputs} inputs, longest heal {longestHeal}");
        Assert.True(failures.Count == 0, string.Join("\n\n", failures));
    }

    [Theory]
    [MemberData(nameof(Corpus))]
    public void Seeds_that_once_failed_pass(ulong seed, string provenance)
    {
        output.WriteLine(provenance);
        SwarmRun.Run(SwarmPlan.From(seed));
    }

    [Fact]
    public void The_same_seed_gives_the_same_trace_in_any_swarm()
    {
        for (ulong seed = 1; seed <= 20; seed++)
        {
            Assert.Equal(SwarmRun.Run(SwarmPlan.From(seed)).TraceHash, SwarmRun.Run(SwarmPlan.From(seed)).TraceHash);
        }
    }
}

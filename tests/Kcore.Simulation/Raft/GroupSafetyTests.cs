using System.Diagnostics;
using Xunit.Abstractions;

namespace Kcore.Simulation.Raft;

/// <summary>
/// Many short, bad lives of whole groups. A failure prints the size and seed that repeat it. KCORE_RAFT_SEEDS sets how many
/// seeds are run of each size (default: what fits the build), KCORE_RAFT_FIRST_SEED where they begin.
/// </summary>
public sealed class GroupSafetyTests(ITestOutputHelper output)
{
    /// <summary>Seeds that once failed stay here.</summary>
    private static readonly (int Size, int Seed)[] Corpus =
    [
        (3, 22), // a write that failed in the middle of a sector, which no disk does
        (5, 2), // a member whose disk had been full refused proposals for ever
        (2, 1051), (3, 1004), // a leader that had left, and alone held the entry that said so, could not be elected again
        (4, 1051), (5, 1144), // learners stood by a leader that was gone
        (2, 1204), (5, 1081), // a crash between an installed snapshot and the log learning of it left a hole
        (5, 1117), // a snapshot fell due while a leader's was being installed over the log it would have been of
    ];

    private static readonly int? SeedsWanted = ReadNumber("KCORE_RAFT_SEEDS");
    private static readonly int FirstSeed = ReadNumber("KCORE_RAFT_FIRST_SEED") ?? 1;

    /// <summary>The part that takes seconds: a planted mistake in core or storage should fail here.</summary>
    [Theory]
    [InlineData(1, 30)]
    [InlineData(2, 30)]
    [InlineData(3, 80)]
    [InlineData(5, 30)]
    public void Quick_lives_stay_safe_and_recover(int size, int seeds) => Live(size, Enumerable.Range(1, seeds), 8_000_000);

    [Theory]
    [InlineData(1, 150)]
    [InlineData(2, 250)]
    [InlineData(3, 500)]
    [InlineData(4, 150)]
    [InlineData(5, 250)]
    public void Long_lives_stay_safe_and_recover(int size, int seeds) =>
        Live(size, Enumerable.Range(FirstSeed + 1000, SeedsWanted ?? seeds), 15_000_000);

    /// <summary>A network whose addresses are given again, orphans, requests released before they were granted, comparisons.</summary>
    [Theory]
    [InlineData(1, 15)]
    [InlineData(3, 30)]
    [InlineData(5, 15)]
    public void Lives_in_which_addresses_come_back_stay_safe_and_recover(int size, int seeds) =>
        Live(size, Enumerable.Range(1, seeds), 10_000_000, upkeep: 4);

    /// <summary>Hosts that help themselves out of their reserves, whether or not they must, detach, give up, and lose their records.</summary>
    [Theory]
    [InlineData(1, 15)]
    [InlineData(3, 40)]
    [InlineData(5, 15)]
    public void Lives_in_which_hosts_use_their_reserves_stay_safe_and_recover(int size, int seeds) =>
        Live(size, Enumerable.Range(1, seeds), 10_000_000, upkeep: 2, reserve: 4);

    /// <summary>NICs that move from host to host, by clients that know nothing of each other and repeat themselves.</summary>
    [Theory]
    [InlineData(3, 20)]
    [InlineData(5, 5)]
    public void Lives_in_which_NICs_move_stay_safe_and_recover(int size, int seeds) =>
        Live(size, Enumerable.Range(1, seeds), 10_000_000, moves: 5);

    [Fact]
    public void Seeds_that_once_failed_stay_repaired()
    {
        foreach ((int size, int seed) in Corpus)
        {
            Live(size, [seed], 15_000_000);
        }
    }

    /// <summary>The simulation's own test: with a disk that lies about its syncs it must not pass.</summary>
    [Fact]
    public void A_disk_whose_syncs_do_nothing_is_caught()
    {
        for (int seed = 1; seed <= 20; seed++)
        {
            try
            {
                GroupRun.WithFaults(seed, 3, 8_000_000, member => member.Disk.IgnoreSyncs = true);
            }
            catch (InvariantException caught)
            {
                output.WriteLine($"seed {seed}: {caught.Message}");
                return;
            }
        }

        Assert.Fail("Nobody noticed in 20 lives.");
    }

    internal static int? ReadNumber(string variable) => int.TryParse(Environment.GetEnvironmentVariable(variable), out int value) ? value : null;

    private void Live(int size, IEnumerable<int> seeds, long faultMicros, int upkeep = 0, int reserve = 0, int moves = 0)
    {
        long start = Stopwatch.GetTimestamp();
        var runs = new List<RunSummary>();
        foreach (int seed in seeds)
        {
            try
            {
                runs.Add(GroupRun.WithFaults(seed, size, faultMicros, upkeep: upkeep, reserve: reserve, moves: moves));
            }
            catch (Exception failure)
            {
                Assert.Fail($"{size} members, seed {seed}, {faultMicros} µs of faults: {failure}");
            }
        }

        output.WriteLine(
            $"{size} members, {runs.Count} seeds in {Stopwatch.GetElapsedTime(start).TotalSeconds:F1} s: {runs.Sum(r => r.Events)} events, {runs.Sum(r => (long)r.Committed)} entries committed, {runs.Sum(r => r.Leaders)} leaders, {runs.Sum(r => r.Faults)} faults, {runs.Sum(r => r.Recoveries)} recoveries, {runs.Sum(r => r.Changes)} changes of configuration, {runs.Sum(r => r.Transfers)} transfers, {runs.Sum(r => r.Answered)} answers");

        // Otherwise nothing was tested.
        Assert.True(runs.Sum(run => run.Answered) > runs.Count * 20, "The clients got hardly any answers.");
        if (moves > 0)
        {
            output.WriteLine($"{runs.Sum(r => r.Moved)} hand-overs");
            Assert.True(runs.Sum(run => run.Moved) > runs.Count * 5, "Hardly any NIC moved.");
        }

        if (reserve > 0)
        {
            output.WriteLine($"{runs.Sum(r => r.Helped)} addresses taken from reserves, {runs.Sum(r => r.Lost)} records lost");
            Assert.True(runs.Sum(run => run.Helped) > runs.Count * 3 && runs.Sum(run => run.Lost) > 0, "Hardly anybody helped himself, or no record was lost.");
        }
        else if (upkeep > 0)
        {
            output.WriteLine($"{runs.Sum(r => r.Reused)} addresses given again, {runs.Sum(r => r.Comparisons)} comparisons of all states");
            Assert.True(runs.Sum(run => run.Reused) > runs.Count && runs.Sum(run => run.Comparisons) > runs.Count, "Hardly any address came back, or states were hardly compared.");
        }
    }
}

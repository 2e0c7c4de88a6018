namespace Kcore.Simulation.Raft;

/// <summary>Thousands of short, bad lives of a group. A failure prints the seed that repeats it.</summary>
public sealed class RaftSafetyTests
{
    /// <summary>Seeds that once failed stay here.</summary>
    private static readonly int[] Corpus = [];

    [Theory]
    [InlineData(1, 60)]
    [InlineData(3, 600)]
    [InlineData(5, 250)]
    public void A_group_stays_safe_whatever_happens_and_recovers_when_it_ends(int size, int seeds)
    {
        ulong committed = 0;
        int leaders = 0;
        foreach (int seed in Corpus.Concat(Enumerable.Range(1, seeds)))
        {
            try
            {
                var group = new SimulatedGroup(seed, size);
                group.Run(6000);
                group.Heal(400);
                committed += group.Committed;
                leaders += group.Leaders;
            }
            catch (Exception failure)
            {
                Assert.Fail($"{size} members, seed {seed}: {failure}");
            }
        }

        // Otherwise nothing was tested.
        Assert.True(committed > (ulong)seeds * 20, $"only {committed} entries were committed in {seeds} lives");
        Assert.True(leaders > seeds * 2, $"only {leaders} leaders in {seeds} lives");
    }

    [Theory]
    [InlineData(Mutation.AcknowledgeEarly)]
    [InlineData(Mutation.ForgetVote)]
    [InlineData(Mutation.LoseTail)]
    public void A_disk_that_lies_is_caught(Mutation mutation)
    {
        for (int seed = 1; seed <= 2000; seed++)
        {
            try
            {
                var group = new SimulatedGroup(seed, 3, mutation);
                group.Run(6000);
            }
            catch (Exception caught) when (caught is InvariantException or InvalidOperationException or ArgumentException)
            {
                return;
            }
        }

        Assert.Fail($"{mutation} was not caught in 2000 lives.");
    }
}

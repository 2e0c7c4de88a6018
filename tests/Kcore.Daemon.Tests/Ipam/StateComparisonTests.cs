using Kcore.Daemon.Ipam;

namespace Kcore.Daemon.Tests.Ipam;

public sealed class StateComparisonTests
{
    [Fact]
    public void Equal_members_find_themselves_equal()
    {
        ReplicatedState one = Commands.Founded(), other = Commands.Founded();
        var hashed = Assert.IsType<ReplicatedResult.Hashed>(one.Do(new ReplicatedCommand.HashState(), 5).Result);
        Assert.Equal(hashed, other.Do(new ReplicatedCommand.HashState(), 5).Result);
        other.Do(Commands.Pool(), 6);
        Assert.Empty(other.Do(new ReplicatedCommand.CompareState(hashed.Index, hashed.Hash), 7).Changes);
        Assert.Equal(new StateComparison(5, IsEqual: true), other.Comparison);
    }

    [Fact]
    public void A_member_that_differs_says_so_and_stays_as_it_is()
    {
        ReplicatedState leader = Commands.Founded(), other = Commands.Founded();
        leader.Do(Commands.Pool(), 2);
        other.Do(Commands.Pool(exclusions: "10.250.0.9"), 2);
        var hashed = Assert.IsType<ReplicatedResult.Hashed>(leader.Do(new ReplicatedCommand.HashState(), 5).Result);
        other.Do(new ReplicatedCommand.HashState(), 5);
        var compare = new ReplicatedCommand.CompareState(hashed.Index, hashed.Hash);
        Assert.Empty(leader.Do(compare, 6).Changes);

        // The answer is the same everywhere; what differs is said beside it.
        Kcore.Daemon.Cluster.Consensus.ApplyOutcome<ReplicatedResult, ReplicatedChange> outcome = other.Do(compare, 6);
        Assert.Equal(ReplicatedResult.Done.Instance, outcome.Result);
        Assert.Equal((5UL, hashed.Hash), (Assert.IsType<ReplicatedChange.StateDiffers>(Assert.Single(outcome.Changes)).Index, ((ReplicatedChange.StateDiffers)outcome.Changes[0]).Leaders));
        Assert.Equal(new StateComparison(5, IsEqual: false), other.Comparison);

        // Not forgotten because of a later hash that happens to agree.
        var own = Assert.IsType<ReplicatedResult.Hashed>(other.Do(new ReplicatedCommand.HashState(), 7).Result);
        other.Do(new ReplicatedCommand.CompareState(own.Index, own.Hash), 8);
        Assert.Equal(new StateComparison(5, IsEqual: false), other.Comparison);
    }

    [Fact]
    public void Whoever_has_no_hash_of_that_index_compares_nothing()
    {
        ReplicatedState leader = Commands.Founded(), late = new();
        var hashed = Assert.IsType<ReplicatedResult.Hashed>(leader.Do(new ReplicatedCommand.HashState(), 5).Result);
        late.Restore(leader.TakeSnapshot());
        Assert.Empty(late.Do(new ReplicatedCommand.CompareState(hashed.Index, hashed.Hash + 1), 6).Changes);
        Assert.Null(late.Comparison);

        // Only so many are kept.
        for (ulong index = 6; index < 10; index++)
        {
            leader.Do(new ReplicatedCommand.HashState(), index);
        }

        leader.Do(new ReplicatedCommand.CompareState(hashed.Index, hashed.Hash), 11);
        Assert.Null(leader.Comparison);
    }
}

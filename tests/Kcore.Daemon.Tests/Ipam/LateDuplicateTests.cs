using Kcore.Daemon.Ipam;

namespace Kcore.Daemon.Tests.Ipam;

/// <summary>
/// Requests travel and are repeated: what was sent first may be committed last. An attachment that was released must not
/// get a lease then, for nobody would ever give it back.
/// </summary>
public sealed class LateDuplicateTests
{
    private const ulong Lifetime = ReplicatedState.RequestLifetime;

    [Fact]
    public void A_release_that_overtakes_its_allocate_keeps_it_from_being_granted()
    {
        ReplicatedState state = Commands.Founded();
        state.Do(Commands.Pool());
        Assert.IsType<ReplicatedResult.Done>(state.Do(Commands.ReleaseOn(1), 10).Result);
        Assert.Equal(RefusalCode.FailedPrecondition, state.Do(Commands.AllocateUntil(1, 5 + Lifetime), 11).Refusal().Code);
        Assert.Equal(0, state.Statistics(new NetworkUid(Commands.Id(1)))!.Used);
    }

    [Fact]
    public void A_release_also_overtakes_the_pool()
    {
        ReplicatedState state = Commands.Founded();
        Assert.IsType<ReplicatedResult.Done>(state.Do(Commands.ReleaseOn(1), 10).Result);
        state.Do(Commands.Pool(), 11);
        Assert.Equal(RefusalCode.FailedPrecondition, state.Do(Commands.AllocateUntil(1, 5 + Lifetime), 12).Refusal().Code);
    }

    [Fact]
    public void A_request_that_is_too_old_is_not_carried_out_and_may_be_asked_again()
    {
        ReplicatedState state = Commands.Founded();
        state.Do(Commands.Pool());
        Assert.Equal(RefusalCode.Unavailable, state.Do(Commands.AllocateUntil(1, 5 + Lifetime), 6 + Lifetime).Refusal().Code);
        Assert.Equal("10.250.0.2", state.Do(Commands.AllocateUntil(1, 6 + (2 * Lifetime)), 7 + Lifetime).Address());

        // What is held is told however late it is asked for.
        Assert.Equal("10.250.0.2", state.Do(Commands.AllocateUntil(1, 5 + Lifetime), 8 + Lifetime).Address());
    }

    [Fact]
    public void A_request_cannot_make_itself_valid_for_longer_than_releases_are_remembered()
    {
        ReplicatedState state = Commands.Founded();
        state.Do(Commands.Pool());
        Assert.Equal(RefusalCode.Unavailable, state.Do(Commands.AllocateUntil(1, 11 + Lifetime), 10).Refusal().Code);
        Assert.Equal(RefusalCode.Unavailable, state.Do(Commands.AllocateUntil(1, ulong.MaxValue), 10).Refusal().Code);
        Assert.Equal("10.250.0.2", state.Do(Commands.AllocateUntil(1, 10 + Lifetime), 10).Address());
    }

    [Fact]
    public void Releases_are_forgotten_when_no_request_from_before_them_is_valid_any_more_and_not_a_moment_earlier()
    {
        ReplicatedState state = Commands.Founded();
        state.Do(Commands.Pool());
        for (uint i = 1; i <= 500; i++)
        {
            state.Do(Commands.AllocateUntil(i, 2 + Lifetime), 2);
            state.Do(Commands.ReleaseOn(i), 10);
        }

        Assert.Equal(500, state.RetiredCount);
        state.Do(Commands.ReleaseOn(1), 10 + Lifetime);
        Assert.Equal(500, state.RetiredCount);

        // Proposed when the release was not committed yet: as late as it can be.
        Assert.Equal(RefusalCode.FailedPrecondition, state.Do(Commands.AllocateUntil(2, 9 + Lifetime), 9 + Lifetime).Refusal().Code);
        state.Do(Commands.Pool(), 11 + Lifetime);
        Assert.Equal(0, state.RetiredCount);
        Assert.Equal(RefusalCode.Unavailable, state.Do(Commands.AllocateUntil(2, 9 + Lifetime), 11 + Lifetime).Refusal().Code);
    }

    [Fact]
    public void What_is_remembered_of_releases_goes_with_a_snapshot()
    {
        ReplicatedState state = Commands.Founded();
        state.Do(Commands.Pool());
        state.Do(Commands.ReleaseOn(1), 10);
        var restored = new ReplicatedState();
        restored.Restore(state.TakeSnapshot());
        Assert.Equal(RefusalCode.FailedPrecondition, restored.Do(Commands.AllocateUntil(1, 5 + Lifetime), 11).Refusal().Code);
        restored.Do(Commands.Pool(), 11 + Lifetime);
        state.Do(Commands.Pool(), 11 + Lifetime);
        Assert.Equal(0, restored.RetiredCount);
        Assert.True(state.StateHash().SequenceEqual(restored.StateHash()));
    }

    [Fact]
    public void What_older_versions_wrote_means_what_it_meant()
    {
        ReplicatedState state = Commands.Founded();
        state.Do(Commands.Pool());
        Assert.Equal(RefusalCode.NotFound, state.Do(Commands.Release(1), 10).Refusal().Code);
        Assert.Equal("10.250.0.2", state.Do(Commands.Allocate(1), 11 + (3 * Lifetime)).Address());
        state.Do(Commands.Release(1), 12 + (3 * Lifetime));
        Assert.Equal(RefusalCode.FailedPrecondition, state.Do(Commands.Allocate(1), 13 + (9 * Lifetime)).Refusal().Code);
    }
}

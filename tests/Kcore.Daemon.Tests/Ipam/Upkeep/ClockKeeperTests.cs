using Kcore.Daemon.Ipam;
using Kcore.Daemon.Ipam.Upkeep;

namespace Kcore.Daemon.Tests.Ipam.Upkeep;

public sealed class ClockKeeperTests
{
    private static readonly object Log = new();

    [Fact]
    public void The_clock_moves_by_what_went_by_since_it_was_seen_where_it_stands_and_only_while_something_rests()
    {
        var keeper = new ClockKeeper();
        keeper.Hear(Log, 1000, At(100));
        keeper.Hear(Log, 1000, At(101));
        Assert.Null(keeper.Due(isNeeded: true, 7, At(129)));
        Assert.Null(keeper.Due(isNeeded: false, 7, At(500)));
        Assert.Equal(new ReplicatedCommand.AdvanceClock(7, 31_000), keeper.Due(isNeeded: true, 7, At(130)));

        // Another leader moved it.
        keeper.Hear(Log, 20_000, At(131));
        Assert.Null(keeper.Due(isNeeded: true, 8, At(160)));
        Assert.Equal(new ReplicatedCommand.AdvanceClock(9, 50_500), keeper.Due(isNeeded: true, 9, At(161.5)));
    }

    [Fact]
    public void What_went_by_in_another_cluster_does_not_count()
    {
        var keeper = new ClockKeeper();
        keeper.Hear(Log, 0, At(0));
        keeper.Hear(new object(), 0, At(1000));
        Assert.Null(keeper.Due(isNeeded: true, 1, At(1001)));
    }

    [Fact]
    public void A_long_rest_of_the_clock_is_one_step_that_every_member_takes()
    {
        var keeper = new ClockKeeper();
        keeper.Hear(Log, 5, At(0));
        ReplicatedCommand.AdvanceClock advance = keeper.Due(isNeeded: true, 1, TimeSpan.FromDays(30))!;
        Assert.Equal(5 + ReplicatedState.ClockStepMax, advance.Millis);
        ReplicatedState state = Commands.Founded();
        state.Do(new ReplicatedCommand.AdvanceClock(1, 5), 2);
        Assert.IsType<ReplicatedResult.Done>(state.Do(advance, 3).Result);
    }

    private static TimeSpan At(double seconds) => TimeSpan.FromSeconds(seconds);
}

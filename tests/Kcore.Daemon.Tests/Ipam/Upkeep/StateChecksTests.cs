using Kcore.Daemon.Ipam.Upkeep;

namespace Kcore.Daemon.Tests.Ipam.Upkeep;

public sealed class StateChecksTests
{
    [Fact]
    public void Members_compare_after_many_entries_or_after_some_time_and_never_while_nothing_is_written()
    {
        var checks = new StateChecks();
        Assert.False(checks.IsDue(500, At(0)));
        Assert.False(checks.IsDue(500 + StateChecks.EveryEntries - 1, At(1)));
        Assert.True(checks.IsDue(500 + StateChecks.EveryEntries, At(2)));
        checks.Done(1530, At(3));
        Assert.False(checks.IsDue(1530, At(100)));
        Assert.False(checks.IsDue(1531, At(9)));
        Assert.True(checks.IsDue(1531, At(13)));

        // A new leader begins to count.
        checks.Forget();
        Assert.False(checks.IsDue(9999, At(50)));
    }

    private static TimeSpan At(int minutes) => TimeSpan.FromMinutes(minutes);
}

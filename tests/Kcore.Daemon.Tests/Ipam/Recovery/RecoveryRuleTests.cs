using Kcore.Daemon.Ipam.Recovery;

namespace Kcore.Daemon.Tests.Ipam.Recovery;

public sealed class RecoveryRuleTests
{
    private static readonly StoreView Store = new(
        "a", Commands.Cluster, 1, 1, 1, new LogPosition(3, 128), 120, [new LogMemberName("b", true), new LogMemberName("c", true), new LogMemberName("d", false)], true);

    [Fact]
    public void Most_voters_lost_and_the_best_copy_is_here() =>
        Assert.Null(RecoveryRule.Reject(Store, [new Survivor("d", new LogPosition(3, 128))], ["b", "c"]));

    [Fact]
    public void Everybody_else_has_to_be_named()
    {
        Assert.Contains("nothing is said of c, d", RecoveryRule.Reject(Store, [], ["b"]), StringComparison.Ordinal);
        Assert.Contains("named twice", RecoveryRule.Reject(Store, [new Survivor("b", default)], ["b", "c", "d"]), StringComparison.Ordinal);
        Assert.Contains("no part", RecoveryRule.Reject(Store, [], ["b", "c", "d", "e"]), StringComparison.Ordinal);
        Assert.Contains("this node", RecoveryRule.Reject(Store, [], ["a", "b", "c", "d"]), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(3, 129)]
    [InlineData(4, 1)]
    public void A_copy_that_is_ahead_is_the_one_to_take(ulong term, ulong index) =>
        Assert.Contains("recover there", RecoveryRule.Reject(Store, [new Survivor("d", new LogPosition(term, index))], ["b", "c"]), StringComparison.Ordinal);

    [Fact]
    public void A_majority_that_has_its_disks_is_started_instead() =>
        Assert.Contains("2 of 3 voters", RecoveryRule.Reject(Store, [new Survivor("b", new LogPosition(3, 1))], ["c", "d"]), StringComparison.Ordinal);

    [Fact]
    public void A_learner_may_be_all_that_is_left() =>
        Assert.Null(RecoveryRule.Reject(Store with { Votes = false, Others = [new LogMemberName("b", true)] }, [], ["b"]));

    [Theory]
    [InlineData("node-a=3:128", true)]
    [InlineData("a=b=3:0", true)]
    [InlineData("node-a=3", false)]
    [InlineData("=3:128", false)]
    [InlineData("node-a=-3:128", false)]
    [InlineData("node-a=3:128:1", false)]
    [InlineData("node-a=3:18446744073709551616", false)]
    public void A_position_is_read_as_it_is_printed(string text, bool isValid)
    {
        Assert.Equal(isValid, Survivor.TryParse(text, out Survivor? survivor));
        Assert.Equal(isValid ? text : null, survivor is null ? null : $"{survivor.Name}={survivor.Position}");
    }
}

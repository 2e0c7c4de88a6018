using FsCheck;
using FsCheck.Fluent;
using Kcore.Daemon.Cluster;
using Kcore.Daemon.Cluster.Founding;

namespace Kcore.Daemon.Tests.Cluster.Founding;

public sealed class MeetingRuleTests
{
    private static readonly Guid Small = Uid.ToGuid(1);
    private static readonly Guid Large = Uid.ToGuid(UInt128.One << 127);

    [Theory]
    [InlineData(true, true, nameof(MeetingOutcome.Nothing), nameof(MeetingOutcome.Yield))]
    [InlineData(true, false, nameof(MeetingOutcome.Yield), nameof(MeetingOutcome.Nothing))]
    [InlineData(false, true, nameof(MeetingOutcome.Nothing), nameof(MeetingOutcome.Yield))]
    [InlineData(false, false, nameof(MeetingOutcome.Conflict), nameof(MeetingOutcome.Conflict))]
    public void A_virgin_yields_to_one_that_is_not_and_of_two_virgins_the_larger_yields(bool smallVirgin, bool largeVirgin, string small, string large)
    {
        Assert.Equal(small, MeetingRule.Decide(Small, smallVirgin, Large, largeVirgin).ToString());
        Assert.Equal(large, MeetingRule.Decide(Large, largeVirgin, Small, smallVirgin).ToString());
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_cluster_has_nothing_to_decide_with_itself(bool virgin) =>
        Assert.Equal(MeetingOutcome.Nothing, MeetingRule.Decide(Small, virgin, Small, !virgin));

    [Fact]
    public void Two_clusters_never_both_yield_and_always_agree_on_a_conflict() =>
        Prop.ForAll(Clusters(2), pair =>
        {
            MeetingOutcome mine = MeetingRule.Decide(pair[0].Id, pair[0].Virgin, pair[1].Id, pair[1].Virgin);
            MeetingOutcome theirs = MeetingRule.Decide(pair[1].Id, pair[1].Virgin, pair[0].Id, pair[0].Virgin);
            return (mine, theirs) is (MeetingOutcome.Yield, MeetingOutcome.Nothing) or (MeetingOutcome.Nothing, MeetingOutcome.Yield)
                or (MeetingOutcome.Conflict, MeetingOutcome.Conflict);
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void Yielding_never_goes_in_a_circle_so_any_number_of_clusters_ends_in_one_or_in_a_conflict() =>
        Prop.ForAll(Clusters(8), clusters =>
        {
            List<(Guid Id, bool Virgin)> left = [.. clusters];
            while (left.FirstOrDefault(c => left.Any(o => MeetingRule.Decide(c.Id, c.Virgin, o.Id, o.Virgin) == MeetingOutcome.Yield)) is var yields && yields.Id != Guid.Empty)
            {
                // Whoever yields must rank behind somebody who is not on the way out itself.
                Assert.Contains(left, o => left.All(x => MeetingRule.Decide(o.Id, o.Virgin, x.Id, x.Virgin) != MeetingOutcome.Yield));
                left.Remove(yields);
            }

            return left.Count == Math.Max(1, clusters.Count(c => !c.Virgin));
        }).QuickCheckThrowOnFailure();

    [Theory]
    [InlineData(1, false, 1, true, MeetingOutcome.Nothing)]
    [InlineData(1, false, 2, true, MeetingOutcome.Follow)]
    [InlineData(1, false, 2, false, MeetingOutcome.Follow)]
    [InlineData(1, true, 2, true, MeetingOutcome.Conflict)]
    [InlineData(2, true, 1, true, MeetingOutcome.Conflict)]
    [InlineData(2, true, 1, false, MeetingOutcome.Nothing)]
    [InlineData(2, false, 1, false, MeetingOutcome.Nothing)]
    public void Of_two_epochs_of_one_cluster_the_older_follows_unless_it_decides(uint mine, bool mineDecides, uint other, bool otherDecides, object outcome) =>
        Assert.Equal((MeetingOutcome)outcome, MeetingRule.DecideEpochs(mine, mineDecides, other, otherDecides));

    private static Arbitrary<(Guid Id, bool Virgin)[]> Clusters(int count) =>
        (from ids in Gen.ArrayOf(ArbMap.Default.GeneratorFor<Guid>(), count)
         from virgin in Gen.ArrayOf(ArbMap.Default.GeneratorFor<bool>(), count)
         where ids.Append(Guid.Empty).Distinct().Count() == count + 1
         select ids.Select((id, i) => (Id: id, Virgin: virgin[i])).ToArray()).ToArbitrary();
}

namespace Kcore.Raft.Tests;

public sealed class JointQuorumTests
{
    [Theory]
    [InlineData(new ulong[] { 5 }, 5)]
    [InlineData(new ulong[] { 5, 0 }, 0)]
    [InlineData(new ulong[] { 5, 3, 0 }, 3)]
    [InlineData(new ulong[] { 9, 7, 3, 0 }, 3)]
    [InlineData(new ulong[] { 9, 9, 7, 0, 0 }, 7)]
    [InlineData(new ulong[] { }, 0)]
    public void The_committed_index_is_what_a_majority_of_all_voters_holds(ulong[] matches, ulong committed)
    {
        Configuration configuration = Configuration.Of(Enumerable.Range(0, matches.Length).Select(Members.Id));
        Assert.Equal(committed, JointQuorum.CommittedIndex(configuration, member => matches[configuration.Voters.IndexOf(member)]));
    }

    [Fact]
    public void A_joint_configuration_needs_both_majorities_and_learners_count_for_nothing()
    {
        Configuration joint = Configuration.Of(
            [Members.Id(1), Members.Id(2), Members.Id(4)],
            [Members.Id(1), Members.Id(2), Members.Id(3)],
            [Members.Id(9)]);
        Assert.True(JointQuorum.Holds(joint, member => member == Members.Id(1) || member == Members.Id(2)));
        Assert.False(JointQuorum.Holds(joint, member => member == Members.Id(1) || member == Members.Id(4) || member == Members.Id(9)));
        Assert.False(JointQuorum.Holds(Configuration.Empty, _ => true));
        Assert.Equal(3UL, JointQuorum.CommittedIndex(joint, member => member == Members.Id(4) ? 0UL : member == Members.Id(3) ? 9UL : 3UL));
    }
}

namespace Kcore.Raft.Tests;

public sealed class MembershipTests
{
    [Fact]
    public void Voters_change_through_a_joint_configuration_that_is_left_by_itself()
    {
        var room = new Room(1, learners: 2);
        RaftNode leader = room.Elect(1);
        Assert.Equal(ProposeOutcome.Appended, leader.ProposeConfiguration(Of(1, 2, 3), out ulong index));
        Assert.True(leader.Configuration.IsJoint);
        room.Settle();
        Assert.Equal(Of(1, 2, 3), leader.Configuration);
        Assert.Equal(index + 1, leader.ConfigurationIndex);
        Assert.True(leader.IsConfigurationCommitted);
        room.Tick(1);
        Assert.All(room.Nodes.Values, node => Assert.Equal(Of(1, 2, 3), node.Configuration));
        Assert.Equal(ProposeOutcome.Unchanged, leader.ProposeConfiguration(Of(1, 2, 3), out _));
    }

    [Fact]
    public void I12_a_learner_gets_the_log_and_counts_for_nothing()
    {
        var room = new Room(1, learners: 1);
        RaftNode leader = room.Elect(1);
        Assert.Equal(ProposeOutcome.Appended, leader.ProposeConfiguration(Configuration.Of([Members.Id(1)], learners: [Members.Id(2)]), out _));
        Assert.False(leader.Configuration.IsJoint);
        room.Settle();
        room.IsLost = message => message.From == Members.Id(2);
        room.Propose(1, 2);
        Assert.Equal(leader.LastIndex, leader.CommitIndex);
        Assert.Equal(leader.LastIndex, room[2].LastIndex);
        room.Tick(60, 2);
        Assert.Equal(RaftRole.Follower, room[2].Role);
        Assert.False(Assert.Single(leader.Peers).IsVoter);
    }

    [Fact]
    public void P8_a_change_waits_for_an_entry_of_the_own_term_and_for_the_change_before()
    {
        RaftNode leader = Members.Leader();
        Assert.Equal(ProposeOutcome.ChangeUnderWay, leader.ProposeConfiguration(Of(1, 2), out _));
        leader.Pump();
        leader.Step(new RaftMessage.AppendReply(true, 2, 0, 0) { Group = Members.Group, From = Members.Id(2), To = Members.Id(1), Term = 2 });
        Assert.True(leader.HasCommittedInTerm);
        Assert.Equal(ProposeOutcome.Appended, leader.ProposeConfiguration(Of(1, 2), out _));
        Assert.Equal(ProposeOutcome.ChangeUnderWay, leader.ProposeConfiguration(Of(1, 3), out _));
        Assert.Equal(ProposeOutcome.NotLeader, Members.Of(2, 3).ProposeConfiguration(Of(1, 2), out _));
        Assert.Throws<ArgumentException>(() => leader.ProposeConfiguration(Configuration.Of([]), out _));
    }

    [Fact]
    public void A_joint_configuration_commits_only_with_a_majority_of_both_halves()
    {
        foreach ((int a, int b) in new[] { (4, 5), (2, 3) })
        {
            var room = new Room(3, learners: 2);
            RaftNode leader = room.Elect(1);
            room.IsLost = message => message.To == Members.Id(a) || message.To == Members.Id(b);
            leader.ProposeConfiguration(Of(1, 4, 5), out ulong index);
            room.Tick(5, 1);
            Assert.True(leader.CommitIndex < index);
            room.IsLost = _ => false;
            room.Tick(20, 1);
            Assert.Equal(Of(1, 4, 5), leader.Configuration);
        }
    }

    [Fact]
    public void P10_a_member_that_does_not_know_yet_that_it_votes_votes()
    {
        var room = new Room(1, learners: 1);
        room[2].Step(new RaftMessage.VoteRequest(false, 9, 3) { Group = Members.Group, From = Members.Id(1), To = Members.Id(2), Term = 4 });
        Assert.True(Assert.IsType<RaftMessage.VoteReply>(Assert.Single(room[2].Pump())).Granted);
    }

    [Fact]
    public void P12_a_leader_that_leaves_leads_until_the_others_can_do_without_it()
    {
        var room = new Room(3);
        RaftNode leader = room.Elect(1);
        room.IsLost = message => message.To == Members.Id(1) && message is RaftMessage.AppendReply;
        leader.ProposeConfiguration(Of(2, 3), out _);
        room.Settle();
        Assert.Equal(RaftRole.Leader, leader.Role);
        room.IsLost = _ => false;
        room.Tick(25, 1);
        Assert.NotEqual(RaftRole.Leader, leader.Role);
        Assert.Contains(room.Sent, message => message is RaftMessage.TimeoutNow);
        Assert.Single(room.Nodes.Values, node => node.Role == RaftRole.Leader);
        Assert.Equal(Of(2, 3), leader.Configuration);
        room.Tick(60, 1);
        Assert.Equal(RaftRole.Follower, leader.Role);
    }

    [Fact]
    public void Who_left_and_alone_knows_it_can_be_elected_to_tell_the_others()
    {
        var room = new Room(1, learners: 1);
        RaftNode leader = room.Elect(1);

        // The joint entry is committed on both; the one that leaves it stays on the member that leaves.
        room.IsLost = message => message is RaftMessage.AppendRequest { Entries: [.., var last] } && last.Index > 3;
        leader.ProposeConfiguration(Of(2), out _);
        room.Settle();
        Assert.Equal(Of(2), leader.Configuration);
        Assert.True(room[2].Configuration.IsJoint);
        room.Tick(11, 1);
        room.IsLost = _ => false;
        room.Tick(100);
        Assert.Equal(RaftRole.Leader, room[2].Role);
        Assert.Equal(Of(2), room[2].Configuration);
    }

    [Fact]
    public void A_learner_does_not_stand_by_a_leader_that_is_silent()
    {
        var room = new Room(1, learners: 1);
        RaftNode learner = room[2];
        learner.Step(new RaftMessage.Heartbeat(0) { Group = Members.Group, From = Members.Id(1), To = Members.Id(2), Term = 4 });
        room.Tick(21, 2);
        Assert.True(learner.Leader.IsNone);
        learner.Step(new RaftMessage.VoteRequest(true, 9, 3) { Group = Members.Group, From = Members.Id(3), To = Members.Id(2), Term = 5 });
        Assert.True(Assert.IsType<RaftMessage.VoteReply>(Assert.Single(learner.Pump())).Granted);
    }

    [Fact]
    public void A_message_of_another_cluster_or_epoch_is_not_looked_at()
    {
        RaftNode node = Members.Of(1, 3);
        foreach (RaftGroup group in new[] { Members.Group with { Epoch = 2 }, Members.Group with { ClusterId = Guid.Empty } })
        {
            node.Step(new RaftMessage.Heartbeat(0) { Group = group, From = Members.Id(2), To = Members.Id(1), Term = 90 });
            Assert.Equal((1UL, MemberId.None), (node.Term, node.Leader));
        }
    }

    private static Configuration Of(params int[] voters) => Configuration.Of(voters.Select(Members.Id));
}

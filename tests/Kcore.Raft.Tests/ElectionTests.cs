namespace Kcore.Raft.Tests;

public sealed class ElectionTests
{
    [Fact]
    public void P4_a_sole_voter_leads_and_commits_only_after_its_disk_answered()
    {
        RaftNode node = Members.Of(1, 1);
        node.Campaign();
        StorageBatch vote = node.TakeReady().Batch!;
        Assert.Equal((2UL, Members.Id(1)), (vote.HardState.Term, vote.HardState.Vote));
        Assert.Equal(RaftRole.Candidate, node.Role);
        node.StorageAck(vote.Id);
        Assert.Equal(RaftRole.Leader, node.Role);
        StorageBatch first = node.TakeReady().Batch!;
        Assert.Equal(0UL, node.CommitIndex);
        node.Propose(new byte[] { 1 }, out ulong index);
        node.StorageAck(first.Id);
        Assert.True(node.CommitIndex < index);
        Ready ready = node.TakeReady();
        Assert.DoesNotContain(ready.Committed, entry => entry.Index == index);
        node.StorageAck(ready.Batch!.Id);
        Assert.Equal(index, node.CommitIndex);
    }

    [Fact]
    public void A_pre_vote_changes_neither_term_nor_vote()
    {
        RaftNode node = Members.Of(1, 3);
        for (int i = 0; i < 1000; i++)
        {
            node.Tick();
        }

        Assert.Equal(1UL, node.Term);
        Assert.All(node.Pump(), message => Assert.True(Assert.IsType<RaftMessage.VoteRequest>(message).Pre));
    }

    [Fact]
    public void P1_a_vote_leaves_only_after_it_is_durable_and_is_given_once_in_a_term()
    {
        RaftNode node = Members.Of(1, 3);
        node.Step(new RaftMessage.VoteRequest(false, 5, 1) { Group = Members.Group, From = Members.Id(2), To = Members.Id(1), Term = 7 });
        Ready ready = node.TakeReady();
        Assert.Empty(ready.Messages);
        Assert.Equal(new HardState(7, Members.Id(2), 0), ready.Batch!.HardState);
        node.StorageAck(ready.Batch.Id);
        Assert.True(Assert.IsType<RaftMessage.VoteReply>(Assert.Single(node.Pump())).Granted);
        node.Step(new RaftMessage.VoteRequest(false, 9, 1) { Group = Members.Group, From = Members.Id(3), To = Members.Id(1), Term = 7 });
        Assert.False(Assert.IsType<RaftMessage.VoteReply>(Assert.Single(node.Pump())).Granted);
    }

    [Fact]
    public void P2_stepping_down_within_a_term_remembers_the_vote()
    {
        RaftNode node = Members.Of(1, 3);
        node.Campaign();
        node.Pump();
        node.Step(new RaftMessage.VoteReply(true, true) { Group = Members.Group, From = Members.Id(2), To = Members.Id(1), Term = 2 });
        node.Pump();
        node.Step(new RaftMessage.VoteReply(false, false) { Group = Members.Group, From = Members.Id(2), To = Members.Id(1), Term = 2 });
        node.Step(new RaftMessage.VoteReply(false, false) { Group = Members.Group, From = Members.Id(3), To = Members.Id(1), Term = 2 });
        Assert.Equal((RaftRole.Follower, 2UL), (node.Role, node.Term));
        node.Step(new RaftMessage.VoteRequest(false, 9, 1) { Group = Members.Group, From = Members.Id(3), To = Members.Id(1), Term = 2 });
        Assert.False(Assert.IsType<RaftMessage.VoteReply>(Assert.Single(node.Pump())).Granted);
    }

    [Fact]
    public void A_shorter_or_older_log_gets_no_vote()
    {
        RaftNode node = Members.Of(1, 3);
        node.Step(new RaftMessage.VoteRequest(false, 0, 0) { Group = Members.Group, From = Members.Id(2), To = Members.Id(1), Term = 7 });
        Assert.False(Assert.IsType<RaftMessage.VoteReply>(Assert.Single(node.Pump())).Granted);
    }

    [Fact]
    public void Who_hears_a_leader_does_not_help_to_depose_it()
    {
        RaftNode node = Members.Of(1, 3);
        node.Step(new RaftMessage.Heartbeat(0) { Group = Members.Group, From = Members.Id(2), To = Members.Id(1), Term = 3 });
        node.Pump();
        foreach (bool isPre in new[] { true, false })
        {
            node.Step(new RaftMessage.VoteRequest(isPre, 99, 3) { Group = Members.Group, From = Members.Id(3), To = Members.Id(1), Term = 9 });
            Assert.Empty(node.Pump());
            Assert.Equal((3UL, Members.Id(2)), (node.Term, node.Leader));
        }
    }

    [Fact]
    public void A_leader_that_hears_no_quorum_steps_down()
    {
        RaftNode node = Members.Leader();
        for (int i = 0; i < 25; i++)
        {
            node.Tick();
            node.Pump();
        }

        Assert.NotEqual(RaftRole.Leader, node.Role);
        Assert.True(node.Leader.IsNone);
    }

    [Fact]
    public void P13_a_leader_whose_disk_hangs_steps_down_although_its_followers_answer()
    {
        RaftNode node = Members.Leader();
        node.Propose(new byte[] { 1 }, out _);
        Assert.NotNull(node.TakeReady().Batch);
        for (int i = 0; i < 12; i++)
        {
            node.Tick();
            node.TakeReady();
            node.Step(new RaftMessage.HeartbeatReply { Group = Members.Group, From = Members.Id(2), To = Members.Id(1), Term = 2 });
        }

        Assert.Equal(RaftRole.Follower, node.Role);
        Assert.True(node.IsStorageStalled);
        node.Campaign();
        Assert.Equal(RaftRole.Follower, node.Role);
    }

    [Fact]
    public void P11_a_leader_of_an_older_term_is_told_so()
    {
        RaftNode node = Members.Of(1, 3);
        node.Step(new RaftMessage.VoteRequest(false, 9, 1) { Group = Members.Group, From = Members.Id(3), To = Members.Id(1), Term = 7 });
        node.Pump();
        node.Step(new RaftMessage.Heartbeat(0) { Group = Members.Group, From = Members.Id(2), To = Members.Id(1), Term = 3 });
        Assert.Equal(7UL, Assert.Single(node.Pump()).Term);
    }
}

namespace Kcore.Raft.Tests;

/// <summary>Giving leadership away, reading through it, and losing it with the disk.</summary>
public sealed class LeadershipTests
{
    [Fact]
    public void Leadership_goes_to_the_member_asked_for_without_waiting_for_a_time_out()
    {
        var room = new Room(3);
        RaftNode leader = room.Elect(1);
        Assert.Equal(TransferOutcome.Started, leader.Transfer(Members.Id(3)));
        Assert.Equal(ProposeOutcome.Transferring, leader.Propose(new byte[1], out _));
        room.Settle();
        Assert.Equal(RaftRole.Leader, room[3].Role);
        Assert.Equal(RaftRole.Follower, leader.Role);
        Assert.Equal(TransferOutcome.NotLeader, leader.Transfer(Members.Id(2)));
        Assert.Equal(TransferOutcome.IsSelf, room[3].Transfer(Members.Id(3)));
        Assert.Equal(TransferOutcome.NotAVoter, room[3].Transfer(Members.Id(9)));
    }

    [Fact]
    public void A_transfer_to_a_member_that_lags_waits_for_it_and_to_a_silent_one_is_given_up()
    {
        var room = new Room(3);
        RaftNode leader = room.Elect(1);
        room.IsLost = message => message.To == Members.Id(3);
        room.Propose(1, 5);
        leader.Transfer(Members.Id(3));
        room.Tick(11, 1, 2);
        Assert.Equal(RaftRole.Leader, leader.Role);
        Assert.True(leader.TransferTarget.IsNone);
        Assert.DoesNotContain(room.Sent, message => message is RaftMessage.TimeoutNow);
        Assert.Equal(ProposeOutcome.Appended, leader.Propose(new byte[1], out _));
        leader.Transfer(Members.Id(3));
        room.IsLost = _ => false;
        room.Tick(3, 1);
        Assert.Equal(RaftRole.Leader, room[3].Role);
    }

    [Fact]
    public void P25_a_request_to_take_over_counts_only_from_the_leader_of_the_term_and_with_its_whole_log()
    {
        RaftNode node = Members.Of(1, 3);
        node.Step(new RaftMessage.Heartbeat(0) { Group = Members.Group, From = Members.Id(2), To = Members.Id(1), Term = 3 });
        node.Pump();
        foreach ((int from, ulong term, ulong lastIndex, ulong lastTerm) in new[] { (3, 3UL, 1UL, 1UL), (2, 2UL, 1UL, 1UL), (2, 3UL, 2UL, 1UL), (2, 3UL, 1UL, 2UL) })
        {
            node.Step(new RaftMessage.TimeoutNow(lastIndex, lastTerm) { Group = Members.Group, From = Members.Id(from), To = Members.Id(1), Term = term });
            Assert.Equal(RaftRole.Follower, node.Role);
        }

        node.Step(new RaftMessage.TimeoutNow(1, 1) { Group = Members.Group, From = Members.Id(2), To = Members.Id(1), Term = 3 });
        Assert.Equal((RaftRole.Candidate, 4UL), (node.Role, node.Term));
        Assert.All(node.Pump(), message => Assert.True(Assert.IsType<RaftMessage.VoteRequest>(message).IsTransfer));
    }

    [Fact]
    public void A_read_is_confirmed_by_a_quorum_that_answered_after_it_was_asked()
    {
        var room = new Room(3);
        RaftNode leader = room.Elect(1);
        room.IsLost = message => message.To != Members.Id(1) && message is RaftMessage.Heartbeat;
        Assert.True(leader.ReadIndex(7));
        room.Settle();
        Assert.Empty(room.Reads);
        room.IsLost = message => message.To == Members.Id(3);
        room.Tick(1, 1);
        Assert.Equal((Members.Id(1), 7UL), Assert.Single(room.Reads));
    }

    [Fact]
    public void A_follower_forwards_a_read_and_answers_it_after_it_applied_what_was_committed_then()
    {
        var room = new Room(3);
        RaftNode leader = room.Elect(1);
        room.IsLost = message => message.To == Members.Id(2) && message is RaftMessage.AppendRequest;
        room.Propose(1);
        Assert.True(room[2].ReadIndex(8));
        room.Settle();
        Assert.Empty(room.Reads);
        room.IsLost = _ => false;
        room.Tick(12, 1);
        Assert.Equal((Members.Id(2), 8UL), Assert.Single(room.Reads));
        Assert.Equal(leader.CommitIndex, room.Applied[Members.Id(2)][^1].Index);
    }

    [Fact]
    public void A_read_nobody_confirms_fails_and_a_leader_that_was_deposed_confirms_none()
    {
        var room = new Room(3);
        RaftNode old = room.Elect(1);
        room.IsLost = message => message.From == Members.Id(1) || message.To == Members.Id(1);
        Assert.True(old.ReadIndex(1));
        Assert.True(room[2].ReadIndex(2));
        room.Tick(40, 2, 3);
        Assert.Contains((Members.Id(2), 2UL), room.FailedReads);
        room.IsLost = _ => false;
        room.Tick(2);
        Assert.Empty(room.Reads);
        Assert.Contains((Members.Id(1), 1UL), room.FailedReads);
    }

    [Fact]
    public void A_leader_waits_with_reads_until_it_knows_what_is_committed()
    {
        RaftNode leader = Members.Leader();
        Assert.True(leader.ReadIndex(1));
        leader.Step(new RaftMessage.HeartbeatReply { Group = Members.Group, From = Members.Id(2), To = Members.Id(1), Term = 2, Round = 99 });
        leader.Pump();
        leader.Step(new RaftMessage.AppendReply(true, 2, 0, 0) { Group = Members.Group, From = Members.Id(2), To = Members.Id(1), Term = 2 });
        Assert.Contains(leader.Pump(), message => message is RaftMessage.Heartbeat { Round: 1 });
    }

    [Fact]
    public void P13_a_leader_whose_disk_hangs_or_fails_hands_over()
    {
        var room = new Room(3);
        RaftNode leader = room.Elect(1);
        leader.Halt(RaftFault.DiskFailed);
        Assert.Contains(leader.TakeReady().Messages, message => message is RaftMessage.TimeoutNow);
        Assert.Equal((RaftRole.Follower, RaftFault.DiskFailed), (leader.Role, leader.Fault));
        Assert.Equal(ProposeOutcome.NotLeader, leader.Propose(new byte[1], out _));
        leader.Step(new RaftMessage.VoteRequest(false, 99, 99) { Group = Members.Group, From = Members.Id(2), To = Members.Id(1), Term = 99 });
        Assert.True(leader.TakeReady().IsEmpty);
    }

    [Fact]
    public void A_leader_with_a_full_disk_refuses_and_lets_another_lead()
    {
        var room = new Room(3);
        RaftNode leader = room.Elect(1);
        leader.SetStorageSpaceLow(true);
        Assert.Equal(ProposeOutcome.StorageFull, leader.Propose(new byte[1], out _));
        room.Settle();
        Assert.NotEqual(RaftRole.Leader, leader.Role);
        Assert.Single(room.Nodes.Values, node => node.Role == RaftRole.Leader);
    }

    [Fact]
    public void A_member_that_lost_what_it_acknowledged_notices_and_stops()
    {
        RaftNode node = Members.Of(1, 3);
        node.Step(new RaftMessage.Heartbeat(5) { Group = Members.Group, From = Members.Id(2), To = Members.Id(1), Term = 3 });
        Assert.Equal(RaftFault.Corrupt, node.Fault);
        Assert.Empty(node.Pump());
    }

    [Fact]
    public void Peers_tell_who_lags_and_who_is_ill()
    {
        var room = new Room(3);
        RaftNode leader = room.Elect(1);
        room.IsLost = message => message.To == Members.Id(3);
        room.Propose(1, 4);
        room.Tick(8, 1, 2);
        PeerStatus[] peers = [.. leader.Peers];
        Assert.Equal((leader.LastIndex, FeedState.Replicate, true), (peers[0].Match, peers[0].State, peers[0].IsVoter));
        Assert.True(peers[0].TicksSinceHealthy <= new RaftOptions().HeartbeatTicks);
        Assert.True(peers[1].Match < leader.LastIndex);
        Assert.Equal(8, peers[1].TicksSinceHeard);
        leader.Step(new RaftMessage.HeartbeatReply { Group = Members.Group, From = Members.Id(2), To = Members.Id(1), Term = leader.Term, IsStalled = true });
        room.IsLost = message => message.From == Members.Id(2);
        room.Tick(3, 1);
        Assert.True(leader.Peers[0].TicksSinceHealthy >= 3);
    }
}

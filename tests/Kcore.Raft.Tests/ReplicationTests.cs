namespace Kcore.Raft.Tests;

public sealed class ReplicationTests
{
    [Fact]
    public void P3_an_entry_is_acknowledged_to_the_leader_only_when_it_is_durable()
    {
        RaftNode node = Members.Of(1, 3);
        node.Step(Append(2, 1, 1, Entry(2, 2)));
        Ready ready = node.TakeReady();
        Assert.Empty(ready.Messages);
        node.Step(Append(2, 1, 1, Entry(2, 2)));
        Assert.Empty(node.TakeReady().Messages);
        node.StorageAck(ready.Batch!.Id);
        Assert.All(node.Pump(), message => Assert.Equal(2UL, Assert.IsType<RaftMessage.AppendReply>(message).Index));
    }

    [Fact]
    public void P5_commit_needs_a_majority_of_all_voters_and_an_entry_of_the_own_term()
    {
        RaftNode leader = Members.Leader();
        leader.Pump();
        Assert.Equal(0UL, leader.CommitIndex);
        leader.Step(Accepted(2, 1));
        Assert.Equal(0UL, leader.CommitIndex);
        leader.Step(Accepted(2, 2));
        Assert.Equal(2UL, leader.CommitIndex);
    }

    [Fact]
    public void P6_a_late_acknowledgement_of_a_replaced_entry_says_nothing()
    {
        RaftNode node = Members.Of(1, 3);
        node.Step(Append(2, 1, 1, Entry(2, 2), Entry(3, 2)));
        StorageBatch old = node.TakeReady().Batch!;
        node.Step(Append(3, 1, 1, Entry(2, 3), Entry(3, 3)));
        node.TakeReady();
        node.StorageAck(old.Id);
        Assert.Equal(1UL, node.DurableIndex);
        Assert.All(node.Pump(), message => Assert.Equal(3UL, message.Term));
        Assert.Equal(3UL, node.DurableIndex);
    }

    [Fact]
    public void P7_a_configuration_goes_with_the_entry_that_made_it()
    {
        RaftNode node = Members.Of(1, 3);
        byte[] five = ConfigurationCodec.Encode(Configuration.Of(Enumerable.Range(1, 5).Select(Members.Id)));
        node.Step(Append(2, 1, 1, new RaftEntry(2, 2, RaftEntryKind.Configuration, five)));
        Assert.Equal(5, node.Configuration.Voters.Length);
        node.Step(Append(3, 1, 1, Entry(2, 3)));
        Assert.Equal(3, node.Configuration.Voters.Length);
    }

    [Fact]
    public void P14_a_follower_that_lost_an_append_is_fed_again()
    {
        RaftNode leader = Members.Leader();
        leader.Pump();
        leader.Step(Accepted(2, 2));
        leader.Pump();
        leader.Propose(new byte[] { 1 }, out ulong index);
        leader.Pump();
        bool isFedAgain = false;
        for (int i = 0; i < 15; i++)
        {
            leader.Tick();
            leader.Step(new RaftMessage.HeartbeatReply { Group = Members.Group, From = Members.Id(2), To = Members.Id(1), Term = 2 });
            isFedAgain |= leader.Pump().Any(message => message is RaftMessage.AppendRequest { Entries: [.., var last] } && last.Index == index && message.To == Members.Id(2));
        }

        Assert.True(isFedAgain);
    }

    [Fact]
    public void P15_no_more_than_the_window_is_in_flight()
    {
        RaftNode leader = Members.Leader();
        leader.Pump();
        leader.Step(Accepted(2, 2));
        leader.Pump();
        int sent = 0;
        for (int i = 0; i < 10; i++)
        {
            leader.Propose(new byte[] { 1 }, out _);
            sent += leader.Pump().Count(message => message is RaftMessage.AppendRequest { Entries.IsEmpty: false } && message.To == Members.Id(2));
        }

        Assert.Equal(2, sent);
    }

    [Fact]
    public void P22_without_a_quorum_proposals_are_refused_beyond_the_bound()
    {
        RaftNode leader = Members.Leader(new RaftOptions { UncommittedBytesMax = 1000 });
        int accepted = 0;
        while (accepted < 100 && leader.Propose(new byte[100], out _) == ProposeOutcome.Appended)
        {
            accepted++;
        }

        Assert.InRange(accepted, 6, 8);
        Assert.Equal(ProposeOutcome.NotLeader, Members.Of(1, 3).Propose(new byte[1], out _));
    }

    [Fact]
    public void A_member_far_behind_gets_a_snapshot_and_then_entries()
    {
        RaftNode leader = Members.Leader();
        leader.Pump();
        leader.Step(Accepted(2, 2));
        for (int i = 0; i < 10; i++)
        {
            leader.Propose(new byte[] { 1 }, out ulong index);
            leader.Pump();
            leader.Step(Accepted(2, index));
        }

        leader.Pump();
        leader.Compact(leader.DescribeSnapshot(10, new byte[] { 42 }), 11);
        leader.Step(new RaftMessage.AppendReply(false, 1, 0, 0) { Group = Members.Group, From = Members.Id(3), To = Members.Id(1), Term = 2 });
        RaftMessage.SnapshotChunk install = Assert.Single(leader.Pump().OfType<RaftMessage.SnapshotChunk>());
        var empty = new RaftNode(new RaftOptions(), Members.Id(3), new RaftInitialState(Members.Group, default, RaftSnapshot.Empty, []), new Random(1));
        empty.Step(install);
        Ready ready = empty.TakeReady();
        Assert.Equal(10UL, ready.Batch!.Snapshot!.Index);
        Assert.Null(ready.Restore);
        Assert.True(empty.IsInstalling);
        empty.StorageAck(ready.Batch.Id);
        Assert.False(empty.IsInstalling);
        Ready restored = empty.TakeReady();
        Assert.Equal([(byte)42], restored.Restore!.Data.ToArray());
        leader.Step(Assert.IsType<RaftMessage.AppendReply>(Assert.Single(restored.Messages)));
        Assert.Contains(leader.Pump(), message => message is RaftMessage.AppendRequest { PrevIndex: 10 } && message.To == Members.Id(3));
        Assert.Equal(3, empty.Configuration.Voters.Length);
    }

    [Fact]
    public void Malformed_appends_are_dropped()
    {
        RaftNode node = Members.Of(1, 3);
        node.Step(Append(2, 1, 1, Entry(3, 2)));
        node.Step(Append(2, 1, 1, Entry(2, 3)));
        node.Step(Append(2, 1, 1, new RaftEntry(2, 2, RaftEntryKind.Configuration, new byte[] { 9, 9 })));
        Assert.Equal(1UL, node.LastIndex);
    }

    private static RaftEntry Entry(ulong index, ulong term) => new(index, term, RaftEntryKind.Command, new byte[] { (byte)index });

    private static RaftMessage.AppendRequest Append(ulong term, ulong previousIndex, ulong previousTerm, params RaftEntry[] entries) =>
        new(previousIndex, previousTerm, 0, [.. entries]) { Group = Members.Group, From = Members.Id((int)term), To = Members.Id(1), Term = term };

    private static RaftMessage.AppendReply Accepted(int from, ulong index) =>
        new(true, index, 0, 0) { Group = Members.Group, From = Members.Id(from), To = Members.Id(1), Term = 2 };
}

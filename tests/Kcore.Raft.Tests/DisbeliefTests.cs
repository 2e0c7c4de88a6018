namespace Kcore.Raft.Tests;

/// <summary>What a member must not believe or do although nobody who works would say it or notice at once.</summary>
public sealed class DisbeliefTests
{
    private static readonly Configuration Three = Configuration.Of([Members.Id(1), Members.Id(2), Members.Id(3)]);

    [Fact]
    public void The_first_answer_of_a_voter_counts_and_a_contradicting_one_does_not()
    {
        RaftNode node = Members.Of(1, 3);
        node.Campaign();
        node.Pump();
        node.Step(new RaftMessage.VoteReply(true, false) { Group = Members.Group, From = Members.Id(2), To = Members.Id(1), Term = 1 });
        node.Step(new RaftMessage.VoteReply(true, true) { Group = Members.Group, From = Members.Id(2), To = Members.Id(1), Term = 2 });
        Assert.Equal(RaftRole.PreCandidate, node.Role);
        Assert.Equal(1UL, node.Term);
    }

    [Fact]
    public void I7_an_entry_is_applied_only_when_it_is_durable_here_too()
    {
        RaftNode follower = Members.Of(2, 3);
        follower.Step(Append(term: 2, from: 1, previous: 1, commit: 2, Entry(2, 2)));
        Ready ready = follower.TakeReady();
        Assert.DoesNotContain(ready.Committed, entry => entry.Index == 2);
        follower.StorageAck(ready.Batch!.Id);
        Assert.Contains(follower.TakeReady().Committed, entry => entry.Index == 2);
    }

    [Fact]
    public void I3_entries_are_appended_only_behind_the_entry_that_they_were_made_behind()
    {
        RaftNode follower = Members.Of(2, 3);
        follower.Step(Append(term: 2, from: 1, previous: 1, commit: 1, Entry(2, 2)));
        follower.Pump();

        // The leader of term 4 has an entry of term 3 where this one has one of term 2.
        follower.Step(Append(term: 4, from: 3, previous: 2, commit: 1, Entry(3, 4)) with { PrevTerm = 3 });
        RaftMessage.AppendReply reply = Assert.Single(follower.Pump().OfType<RaftMessage.AppendReply>());
        Assert.False(reply.Accepted);
        Assert.Equal(2UL, follower.LastIndex);
    }

    [Fact]
    public void I4_a_follower_commits_no_further_than_the_leader_compared()
    {
        RaftNode follower = Members.Of(2, 3);
        follower.Step(Append(term: 2, from: 1, previous: 1, commit: 1, Entry(2, 2), Entry(3, 2)));
        follower.Pump();
        follower.Step(Append(term: 3, from: 3, previous: 1, commit: 3));
        Assert.Equal(1UL, follower.CommitIndex);
    }

    [Fact]
    public void I1_a_second_leader_of_one_term_is_not_obeyed()
    {
        RaftNode leader = Members.Leader();
        leader.Step(new RaftMessage.Heartbeat(1) { Group = Members.Group, From = Members.Id(3), To = Members.Id(1), Term = 2 });
        Assert.Equal(RaftRole.Leader, leader.Role);

        RaftNode follower = Members.Of(2, 3);
        follower.Step(Append(term: 2, from: 1, previous: 1, commit: 1));
        follower.Step(Append(term: 2, from: 3, previous: 1, commit: 1, Entry(2, 2)));
        Assert.Equal(Members.Id(1), follower.Leader);
        Assert.Equal(1UL, follower.LastIndex);
    }

    [Fact]
    public void What_was_acknowledged_in_an_earlier_term_counts_for_nothing_in_this_one()
    {
        RaftNode leader = Members.Leader();
        leader.Pump();
        leader.Step(new RaftMessage.AppendReply(true, leader.LastIndex, 0, 0) { Group = Members.Group, From = Members.Id(2), To = Members.Id(1), Term = 1 });
        Assert.Equal(0UL, leader.MatchOf(Members.Id(2)));
        Assert.Equal(0UL, leader.CommitIndex);
    }

    [Fact]
    public void I5_a_snapshot_that_arrives_late_takes_nothing_away()
    {
        RaftNode follower = Members.Of(2, 3);
        follower.Step(Append(term: 2, from: 1, previous: 1, commit: 4, Entry(2, 2), Entry(3, 2), Entry(4, 2), Entry(5, 2)));
        follower.Pump();
        byte[] data = [42];
        follower.Step(new RaftMessage.SnapshotChunk(new RaftSnapshot(3, 2, Three, 1, default), 1, SnapshotChecksum.Of(data), 0, data)
        {
            Group = Members.Group,
            From = Members.Id(1),
            To = Members.Id(2),
            Term = 2,
        });
        Ready ready = follower.TakeReady();
        Assert.Null(ready.Batch?.Snapshot);
        Assert.Equal((5UL, 4UL), (follower.LastIndex, follower.CommitIndex));
    }

    [Fact]
    public void I9_a_joint_configuration_commits_what_both_majorities_hold()
    {
        Configuration joint = Configuration.Of([Members.Id(1), Members.Id(2), Members.Id(4)], [Members.Id(1), Members.Id(2), Members.Id(3)]);
        ulong Held(MemberId member) => member == Members.Id(2) || member == Members.Id(4) ? 9UL : 3UL;
        Assert.Equal(3UL, JointQuorum.CommittedIndex(joint, Held));
        Assert.Equal(9UL, JointQuorum.CommittedIndex(joint.Left, Held));
    }

    [Fact]
    public void P6_an_entry_that_takes_the_place_of_a_durable_one_is_not_durable()
    {
        RaftNode follower = Members.Of(2, 3);
        follower.Step(Append(term: 2, from: 1, previous: 1, commit: 1, Entry(2, 2), Entry(3, 2)));
        follower.Pump();
        follower.Step(Append(term: 3, from: 3, previous: 1, commit: 3, Entry(2, 3), Entry(3, 3)));
        Ready ready = follower.TakeReady();
        Assert.DoesNotContain(ready.Committed, entry => entry.Index > 1);
        Assert.DoesNotContain(ready.Messages, message => message is RaftMessage.AppendReply { Accepted: true });
        follower.StorageAck(ready.Batch!.Id);
        ready = follower.TakeReady();
        Assert.Equal([2UL, 3UL], ready.Committed.Select(entry => entry.Index));
        Assert.Contains(ready.Messages, message => message is RaftMessage.AppendReply { Accepted: true, Index: 3 });
    }

    [Fact]
    public void I1_a_late_answer_to_the_pre_vote_is_no_vote()
    {
        RaftNode node = Members.Of(1, 5);
        node.Campaign();
        node.Pump();
        foreach (int voter in new[] { 2, 3 })
        {
            node.Step(new RaftMessage.VoteReply(true, true) { Group = Members.Group, From = Members.Id(voter), To = Members.Id(1), Term = 2 });
        }

        node.Pump();
        Assert.Equal((RaftRole.Candidate, 2UL), (node.Role, node.Term));
        foreach (int voter in new[] { 4, 5 })
        {
            node.Step(new RaftMessage.VoteReply(true, true) { Group = Members.Group, From = Members.Id(voter), To = Members.Id(1), Term = 2 });
            node.Pump();
            Assert.Equal(RaftRole.Candidate, node.Role);
        }
    }

    [Fact]
    public void P23_the_answer_to_a_read_of_an_earlier_start_confirms_nothing()
    {
        RaftNode follower = Members.Of(2, 3);
        follower.Step(new RaftMessage.Heartbeat(1) { Group = Members.Group, From = Members.Id(1), To = Members.Id(2), Term = 2 });
        follower.Pump();
        Assert.True(follower.ReadIndex(7));
        RaftMessage.ReadRequest asked = Assert.Single(follower.TakeReady().Messages.OfType<RaftMessage.ReadRequest>());
        foreach ((ulong session, int confirmed) in new[] { (asked.Session + 1, 0), (asked.Session, 1) })
        {
            follower.Step(new RaftMessage.ReadReply(session, 7, 1) { Group = Members.Group, From = Members.Id(1), To = Members.Id(2), Term = 2 });
            Assert.Equal(confirmed, follower.TakeReady().Reads.Length);
        }
    }

    [Theory]
    [InlineData(9, 1, false)]
    [InlineData(2, 2, false)]
    [InlineData(3, 2, true)]
    [InlineData(1, 3, true)]
    public void I5_a_vote_goes_to_the_later_last_term_and_within_one_to_the_longer_log(ulong lastIndex, ulong lastTerm, bool isGranted)
    {
        RaftNode voter = Members.Of(2, 3);
        voter.Step(Append(term: 2, from: 1, previous: 1, commit: 1, Entry(2, 2), Entry(3, 2)));
        voter.Pump();
        voter.Step(new RaftMessage.VoteRequest(false, lastIndex, lastTerm) { Group = Members.Group, From = Members.Id(3), To = Members.Id(2), Term = 4, IsTransfer = true });
        Assert.Equal(isGranted, Assert.IsType<RaftMessage.VoteReply>(Assert.Single(voter.Pump())).Granted);
    }

    private static RaftEntry Entry(ulong index, ulong term) => new(index, term, RaftEntryKind.Command, new byte[] { 7 });

    private static RaftMessage.AppendRequest Append(ulong term, int from, ulong previous, ulong commit, params RaftEntry[] entries) =>
        new(previous, previous == 0 ? 0UL : 1UL, commit, [.. entries]) { Group = Members.Group, From = Members.Id(from), To = Members.Id(2), Term = term };
}

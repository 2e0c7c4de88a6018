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

    private static RaftEntry Entry(ulong index, ulong term) => new(index, term, RaftEntryKind.Command, new byte[] { 7 });

    private static RaftMessage.AppendRequest Append(ulong term, int from, ulong previous, ulong commit, params RaftEntry[] entries) =>
        new(previous, previous == 0 ? 0UL : 1UL, commit, [.. entries]) { Group = Members.Group, From = Members.Id(from), To = Members.Id(2), Term = term };
}

namespace Kcore.Raft.Tests;

/// <summary>When followers learn what is committed, and what it costs.</summary>
public sealed class CommitNewsTests
{
    [Fact]
    public void A_commit_costs_no_message_of_its_own_and_is_told_with_the_next_entry()
    {
        var room = new Room(3);
        room.Elect(1);
        room.Tick(1);
        room.Sent.Clear();
        room.Propose(1);
        ulong first = room[1].CommitIndex;
        Assert.Equal(2, room.Sent.OfType<RaftMessage.AppendRequest>().Count());
        Assert.Equal(2, room.Sent.OfType<RaftMessage.AppendReply>().Count());
        Assert.Equal(4, room.Sent.Count);
        Assert.True(room[2].CommitIndex < first);
        room.Propose(1);
        Assert.Equal(first, room[2].CommitIndex);
        Assert.Equal(first, room[3].CommitIndex);
    }

    [Fact]
    public void A_commit_is_told_within_a_tick_also_between_heartbeats()
    {
        var room = new Room(3, options: new RaftOptions { HeartbeatTicks = 5 });
        room.Elect(1);
        room.Tick(5);
        room.Propose(1);
        room.Tick(1, 1);
        Assert.Equal(room[1].CommitIndex, room[2].CommitIndex);
        Assert.Equal(room[1].CommitIndex, room[3].CommitIndex);
        room.Sent.Clear();
        room.Tick(1, 1);
        Assert.Empty(room.Sent);
    }

    [Fact]
    public void A_lost_word_of_a_commit_is_made_good_by_the_heartbeat()
    {
        var room = new Room(3, options: new RaftOptions { HeartbeatTicks = 3 });
        room.Elect(1);
        room.Tick(1, 1);
        room.Propose(1);
        room.IsLost = message => message is RaftMessage.Heartbeat;
        room.Tick(1, 1);
        room.IsLost = _ => false;
        Assert.True(room[2].CommitIndex < room[1].CommitIndex);
        room.Tick(3, 1);
        Assert.Equal(room[1].CommitIndex, room[2].CommitIndex);
    }

    [Fact]
    public void A_commit_of_a_configuration_is_told_at_once()
    {
        var room = new Room(3, learners: 1);
        room.Elect(1);
        Assert.Equal(ProposeOutcome.Appended, room[1].ProposeConfiguration(Configuration.Of([Members.Id(1), Members.Id(2), Members.Id(3)], learners: [Members.Id(4)]), out _));
        room.Settle();
        Assert.Equal(ProposeOutcome.Appended, room[1].ProposeConfiguration(Configuration.Of([Members.Id(1), Members.Id(2), Members.Id(4)]), out _));
        room.Settle();
        Assert.True(room[1].IsConfigurationCommitted);
        Assert.True(room[2].IsConfigurationCommitted);
        Assert.True(room[4].IsConfigurationCommitted);
    }

    [Fact]
    public void Whoever_reads_at_a_follower_does_not_wait_for_a_tick()
    {
        var room = new Room(3);
        room.Elect(1);
        room.Propose(1);
        Assert.True(room[2].CommitIndex < room[1].CommitIndex);
        Assert.True(room[2].ReadIndex(7));
        room.Settle();
        Assert.Equal([(Members.Id(2), 7UL)], room.Reads);
        Assert.Equal(room[1].CommitIndex, room.Applied[Members.Id(2)][^1].Index);
    }

    [Fact]
    public void A_read_at_a_follower_that_lags_is_answered_as_soon_as_it_holds_the_entry()
    {
        var room = new Room(3);
        room.Elect(1);
        room.Tick(1);
        room.IsLost = message => message is RaftMessage.AppendRequest && message.To == Members.Id(2);
        room.Propose(1);
        Assert.True(room[2].ReadIndex(7));
        room.Settle();
        Assert.Empty(room.Reads);
        room.IsLost = _ => false;

        // What was lost is repeated by and by; nothing but the answer to it may be waited for then.
        for (int i = 0; i < 20 && room[2].LastIndex < room[1].LastIndex; i++)
        {
            room[1].Tick();
            room.Settle();
        }

        Assert.Equal([(Members.Id(2), 7UL)], room.Reads);
    }

    [Fact]
    public void What_is_proposed_in_one_go_leaves_in_one_message()
    {
        var room = new Room(3);
        room.Elect(1);
        room.Sent.Clear();
        for (int i = 0; i < 50; i++)
        {
            Assert.Equal(ProposeOutcome.Appended, room[1].Propose(new byte[] { 1 }, out _));
        }

        room.Settle();
        Assert.Equal(2, room.Sent.OfType<RaftMessage.AppendRequest>().Count());
        Assert.All(room.Sent.OfType<RaftMessage.AppendRequest>(), message => Assert.Equal(50, message.Entries.Length));
        Assert.Equal(room[1].LastIndex, room[1].CommitIndex);
    }
}

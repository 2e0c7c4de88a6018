namespace Kcore.Raft.Tests;

public sealed class SnapshotTests
{
    private static readonly RaftOptions Options = new() { SnapshotChunkBytes = 100 };
    private static readonly byte[] State = [.. Enumerable.Range(0, 950).Select(i => (byte)i)];

    [Fact]
    public void A_snapshot_goes_in_pieces_and_is_resumed_where_it_stopped()
    {
        Room room = Compacted(out RaftNode leader);
        int sent = 0;
        room.IsLost = message => message is RaftMessage.SnapshotChunk && ++sent == 6;
        room.Tick(1, 1);
        Assert.Equal(FeedState.Snapshot, leader.Peers[1].State);
        Assert.Equal((500L, 950L), (leader.Peers[1].SnapshotSent, leader.Peers[1].SnapshotBytes));
        room.Tick(14, 1, 2);
        Assert.Equal(leader.LastIndex, room[3].LastIndex);
        Assert.Equal(State, room[3].Snapshot.Data.ToArray());

        // Ten pieces, the one that was lost, and the first one again, with which it was found out how much is there.
        Assert.Equal(12, room.Sent.Count(message => message is RaftMessage.SnapshotChunk));
    }

    [Fact]
    public void A_new_leader_with_the_same_snapshot_goes_on_with_it_and_one_with_another_begins_anew()
    {
        foreach (bool isSame in new[] { true, false })
        {
            Room room = Compacted(out RaftNode old);
            int sent = 0;
            room.IsLost = message => message is RaftMessage.SnapshotChunk && ++sent > 5;
            room.Tick(1, 1);
            byte[] state = isSame ? State : [.. State.Reverse()];
            room[2].Compact(room[2].DescribeSnapshot(old.Snapshot.Index, state), 11);
            room.IsLost = message => message.To == Members.Id(1) || message.From == Members.Id(1);
            room.Sent.Clear();
            room.Tick(50, 2, 3);
            Assert.Equal(RaftRole.Leader, room[2].Role);
            Assert.Equal(state, room[3].Snapshot.Data.ToArray());
            Assert.Equal(isSame ? 6 : 10, room.Sent.Count(message => message is RaftMessage.SnapshotChunk));
        }
    }

    [Fact]
    public void Pieces_that_lie_about_their_length_allocate_nothing_and_install_nothing()
    {
        RaftNode node = new Room(1, learners: 1)[2];
        var header = new RaftSnapshot(9, 1, Configuration.Of([Members.Id(1)]), 1, default);
        foreach ((uint total, uint offset) in new[] { (uint.MaxValue, 0U), (50U, 0U), (90U, 80U), (200U, uint.MaxValue) })
        {
            node.Step(new RaftMessage.SnapshotChunk(header, total, 1, offset, new byte[60]) { Group = Members.Group, From = Members.Id(1), To = Members.Id(2), Term = 2 });
        }

        // Complete, and not what its checksum says.
        node.Step(new RaftMessage.SnapshotChunk(header, 60, 1, 0, new byte[60]) { Group = Members.Group, From = Members.Id(1), To = Members.Id(2), Term = 2 });
        RaftMessage.SnapshotChunkReply reply = Assert.Single(node.Pump().OfType<RaftMessage.SnapshotChunkReply>());
        Assert.Equal((9UL, 0U), (reply.Index, reply.Offset));
        Assert.Equal(0UL, node.LastIndex);
    }

    // Members 1 and 2 have ten entries and a snapshot in their place at 1; member 3 has nothing of it.
    private static Room Compacted(out RaftNode leader)
    {
        var room = new Room(3, options: Options);
        leader = room.Elect(1);
        room.IsLost = message => message.To == Members.Id(3);
        room.Propose(1, 10);
        room.Tick(11, 1, 2);
        ulong index = leader.CommitIndex - 1;
        leader.Compact(leader.DescribeSnapshot(index, State), index + 1);
        return room;
    }
}

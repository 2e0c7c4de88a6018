namespace Kcore.Raft.Tests;

public sealed class WireTests
{
    private static readonly RaftMessage[] Samples =
    [
        new RaftMessage.VoteRequest(true, 7, 3) { Group = Members.Group, From = Members.Id(1), To = Members.Id(2), Term = 4 },
        new RaftMessage.VoteReply(false, true) { Group = Members.Group, From = Members.Id(1), To = Members.Id(2), Term = 4 },
        new RaftMessage.AppendReply(false, 9, 8, 7) { Group = Members.Group, From = Members.Id(1), To = Members.Id(2), Term = 4 },
        new RaftMessage.Heartbeat(12) { Group = Members.Group, From = Members.Id(1), To = Members.Id(2), Term = 4 },
        new RaftMessage.HeartbeatReply { Group = Members.Group, From = Members.Id(1), To = Members.Id(2), Term = 4 },
        new RaftMessage.AppendRequest(1, 1, 1, [new RaftEntry(2, 1, RaftEntryKind.Command, new byte[] { 1, 2 }), new RaftEntry(3, 1, RaftEntryKind.Empty, default)])
        {
            Group = Members.Group,
            From = Members.Id(1),
            To = Members.Id(2),
            Term = 4,
        },
        new RaftMessage.SnapshotChunkReply(5, 3) { Group = Members.Group, From = Members.Id(1), To = Members.Id(2), Term = 4 },
        new RaftMessage.TimeoutNow(5, 3) { Group = Members.Group, From = Members.Id(1), To = Members.Id(2), Term = 4 },
        new RaftMessage.ReadRequest(5, 3) { Group = Members.Group, From = Members.Id(1), To = Members.Id(2), Term = 4 },
        new RaftMessage.ReadReply(5, 3, 9) { Group = Members.Group, From = Members.Id(1), To = Members.Id(2), Term = 4 },
        new RaftMessage.SnapshotChunk(
            new RaftSnapshot(5, 2, Configuration.Of([Members.Id(1)], [Members.Id(2)], [Members.Id(2), Members.Id(3)]), 4, default), 9, 7, 3, new byte[] { 3 })
        {
            Group = Members.Group,
            From = Members.Id(1),
            To = Members.Id(2),
            Term = 4,
        },
    ];

    [Fact]
    public void Every_message_survives_its_encoding()
    {
        foreach (RaftMessage message in Samples)
        {
            byte[] bytes = RaftMessageCodec.Encode(message);
            Assert.True(RaftMessageCodec.TryDecode(bytes, out RaftMessage? decoded));
            Assert.Equal(message.GetType(), decoded.GetType());
            Assert.Equal(bytes, RaftMessageCodec.Encode(decoded));
            for (int length = 0; length < bytes.Length; length++)
            {
                Assert.False(RaftMessageCodec.TryDecode(bytes.AsSpan(0, length), out _));
            }

            Assert.False(RaftMessageCodec.TryDecode([.. bytes, 0], out _));
        }
    }

    [Fact]
    public void A_count_that_can_not_be_in_the_message_allocates_nothing()
    {
        byte[] bytes = RaftMessageCodec.Encode(Samples[5]);
        int countAt = 2 + 20 + 64 + 8 + 24;
        bytes.AsSpan(countAt, 4).Fill(0xFF);
        long before = GC.GetAllocatedBytesForCurrentThread();
        Assert.False(RaftMessageCodec.TryDecode(bytes, out _));
        Assert.True(GC.GetAllocatedBytesForCurrentThread() - before < 4096);
    }
}

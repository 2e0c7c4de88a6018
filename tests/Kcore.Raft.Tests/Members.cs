namespace Kcore.Raft.Tests;

/// <summary>A few members in one room: messages are delivered by hand, disks answer when told.</summary>
internal static class Members
{
    public static MemberId Id(int number) => new(new Guid(number, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1), new Guid(number, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1));

    public static readonly RaftGroup Group = new(new Guid(77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1), 1);

    public static RaftNode Of(int number, int voters, RaftOptions? options = null)
    {
        byte[] configuration = ConfigurationCodec.Encode(Configuration.Of(Enumerable.Range(1, voters).Select(Id)));
        return new RaftNode(
            options ?? new RaftOptions(),
            Id(number),
            new RaftInitialState(
                Group,
                new HardState(1, MemberId.None, 0),
                RaftSnapshot.Empty,
                [new RaftEntry(1, 1, RaftEntryKind.Configuration, configuration)]),
            new Random(number));
    }

    /// <summary>Takes everything there is to do, with a disk that answers at once.</summary>
    public static List<RaftMessage> Pump(this RaftNode node, List<RaftEntry>? applied = null)
    {
        var sent = new List<RaftMessage>();
        while (node.TakeReady() is { IsEmpty: false } ready)
        {
            sent.AddRange(ready.Messages);
            applied?.AddRange(ready.Committed);
            if (ready.Batch is { } batch)
            {
                node.StorageAck(batch.Id);
            }
        }

        return sent;
    }

    /// <summary>Makes node 1 of three the leader of term 2 with everything it sent delivered to nobody.</summary>
    public static RaftNode Leader(RaftOptions? options = null)
    {
        RaftNode node = Of(1, 3, options);
        node.Campaign();
        node.Pump();
        node.Step(new RaftMessage.VoteReply(true, true) { Group = Group, From = Id(2), To = Id(1), Term = 2 });
        node.Pump();
        node.Step(new RaftMessage.VoteReply(false, true) { Group = Group, From = Id(2), To = Id(1), Term = 2 });
        Assert.Equal(RaftRole.Leader, node.Role);
        return node;
    }
}

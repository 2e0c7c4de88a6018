using System.Collections.Immutable;
using Kcore.Fuzz.Mutators;
using Kcore.Raft;

namespace Kcore.Fuzz.Targets;

/// <summary>What voters send each other.</summary>
internal static class RaftTargets
{
    public static readonly Func<FuzzTarget>[] All = [Message, Members, Node];

    private static readonly RaftGroup Group = new(new Guid(9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1), 1);

    private static readonly Configuration Joint = Configuration.Of([Id(1), Id(2), Id(3)], [Id(1), Id(2)], [Id(4)]);

    private static readonly ImmutableArray<RaftEntry> Entries =
    [
        new(2, 1, RaftEntryKind.Command, new byte[] { 1, 2, 3 }),
        new(3, 1, RaftEntryKind.Configuration, ConfigurationCodec.Encode(Joint)),
        new(4, 2, RaftEntryKind.Empty, default),
    ];

    public static RaftMessage[] Messages =>
    [
        new RaftMessage.VoteRequest(true, 7, 3) { Group = Group, From = Id(2), To = Id(1), Term = 4 },
        new RaftMessage.VoteRequest(false, 7, 3) { Group = Group, From = Id(3), To = Id(1), Term = 5 },
        new RaftMessage.VoteReply(false, true) { Group = Group, From = Id(2), To = Id(1), Term = 2 },
        new RaftMessage.VoteReply(true, true) { Group = Group, From = Id(3), To = Id(1), Term = 2 },
        new RaftMessage.AppendRequest(1, 1, 1, Entries) { Group = Group, From = Id(2), To = Id(1), Term = 4 },
        new RaftMessage.AppendRequest(0, 0, 0, []) { Group = Group, From = Id(2), To = Id(1), Term = 4 },
        new RaftMessage.AppendReply(true, 9, 0, 0) { Group = Group, From = Id(2), To = Id(1), Term = 4 },
        new RaftMessage.AppendReply(false, 9, 8, 7) { Group = Group, From = Id(3), To = Id(1), Term = 4 },
        new RaftMessage.Heartbeat(12) { Group = Group, From = Id(2), To = Id(1), Term = 4 },
        new RaftMessage.HeartbeatReply { Group = Group, From = Id(2), To = Id(1), Term = 4 },
        new RaftMessage.VoteRequest(false, 9, 4) { Group = Group, From = Id(3), To = Id(1), Term = 6, IsTransfer = true },
        new RaftMessage.Heartbeat(1) { Group = Group, From = Id(2), To = Id(1), Term = 5, Round = 3 },
        new RaftMessage.HeartbeatReply { Group = Group, From = Id(3), To = Id(1), Term = 2, Round = 1, IsStalled = true },
        new RaftMessage.SnapshotChunk(new RaftSnapshot(5, 2, Joint, 4, default), 6, 0x1234, 0, new byte[] { 3, 4, 5 }) { Group = Group, From = Id(2), To = Id(1), Term = 4 },
        new RaftMessage.SnapshotChunk(new RaftSnapshot(5, 2, Joint, 4, default), 6, 0x1234, 3, new byte[] { 6, 7, 8 }) { Group = Group, From = Id(2), To = Id(1), Term = 4 },
        new RaftMessage.SnapshotChunkReply(5, 3) { Group = Group, From = Id(2), To = Id(1), Term = 2 },
        new RaftMessage.TimeoutNow(1, 1) { Group = Group, From = Id(2), To = Id(1), Term = 4 },
        new RaftMessage.ReadRequest(77, 5) { Group = Group, From = Id(3), To = Id(1), Term = 2 },
        new RaftMessage.ReadReply(77, 5, 9) { Group = Group, From = Id(2), To = Id(1), Term = 4 },
    ];

    public static MemberId Id(int number) => new(new Guid(number, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1), new Guid(number, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1));

    private static byte[][] Samples => [.. Messages.Select(RaftMessageCodec.Encode)];

    private static FuzzTarget Message() => new(
        "raft-message",
        new ByteMutator(isBigEndian: false),
        Samples,
        bytes => RaftMessageCodec.TryDecode(bytes, out RaftMessage? message) ? message : null)
    {
        Write = value => RaftMessageCodec.Encode((RaftMessage)value),
    };

    private static FuzzTarget Members() => new(
        "raft-configuration",
        new ByteMutator(isBigEndian: false),
        [.. new[] { Joint, Configuration.Empty, Configuration.Of([Id(1)]), Configuration.Of(Enumerable.Range(1, 60).Select(Id)) }.Select(ConfigurationCodec.Encode)],
        bytes => ConfigurationCodec.TryDecode(bytes, out Configuration? configuration) ? configuration : null)
    {
        Write = value => ConfigurationCodec.Encode((Configuration)value),
    };

    // A voter that is told anything by anybody goes on; what it writes and sends stays within the format.
    private static FuzzTarget Node()
    {
        RaftNode node = null!;
        long number = 0;
        var random = new Chance(5);
        return new FuzzTarget("raft-node", new ByteMutator(isBigEndian: false), Samples, bytes =>
        {
            bool isRead = RaftMessageCodec.TryDecode(bytes, out RaftMessage? message);
            if (isRead)
            {
                node.Step(message!);
            }

            if (random.OneIn(4))
            {
                node.Tick();
            }

            while (node.TakeReady() is { IsEmpty: false } ready)
            {
                if (ready.Messages.FirstOrDefault(sent => !RaftMessageCodec.TryDecode(RaftMessageCodec.Encode(sent), out _)) is { } unreadable)
                {
                    throw new FuzzFailureException($"It sends what nobody can read: {unreadable}", bytes);
                }

                if (ready.Batch is { } batch)
                {
                    node.StorageAck(batch.Id);
                }
            }

            return isRead ? message : null;
        })
        {
            Prepare = () => node = number++ % 200 == 0 ? Fresh((int)(number / 200)) : node,
            Cost = 2,
        };
    }

    private static RaftNode Fresh(int seed)
    {
        RaftEntry first = new(1, 1, RaftEntryKind.Configuration, ConfigurationCodec.Encode(Configuration.Of([Id(1), Id(2), Id(3)])));
        var node = new RaftNode(
            new RaftOptions(),
            Id(1),
            new RaftInitialState(Group, new HardState(1, MemberId.None, 0), RaftSnapshot.Empty, [first]),
            new Random(seed));
        if (seed % 2 == 0)
        {
            node.Campaign();
        }

        return node;
    }
}

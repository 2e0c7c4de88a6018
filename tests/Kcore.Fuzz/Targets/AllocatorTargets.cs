using System.Net;
using System.Net.NetworkInformation;
using Kcore.Daemon.Catalog.Facts;
using Kcore.Daemon.Ipam;
using Kcore.Daemon.Storage.RaftLog;
using Kcore.Fuzz.Mutators;

namespace Kcore.Fuzz.Targets;

/// <summary>Commands of the log, their results, and the snapshot of the replicated state.</summary>
internal static class AllocatorTargets
{
    public static readonly Func<FuzzTarget>[] All = [Command, Result, Apply, Snapshot];

    private static readonly ReplicatedCommand[] Commands =
    [
        new ReplicatedCommand.Found(Uid(1), 1),
        new ReplicatedCommand.NodeAdd(RaftTargets.Id(2), "node-b"),
        new ReplicatedCommand.CreatePool(new NetworkUid(Uid(3)), "prod", 14458, IPNetwork.Parse("10.88.0.0/28"), new IPAddress([10, 88, 0, 1]), [new IPAddress([10, 88, 0, 5])]),
        new ReplicatedCommand.Allocate(new AttachmentId(Uid(4)), new NetworkUid(Uid(3)), "web-01", Mac(1), RaftTargets.Id(2).NodeUid, null),
        new ReplicatedCommand.Allocate(new AttachmentId(Uid(5)), new NetworkUid(Uid(3)), "web-02", Mac(2), RaftTargets.Id(2).NodeUid, new IPAddress([10, 88, 0, 9])),
        new ReplicatedCommand.Release(new AttachmentId(Uid(4)), RaftTargets.Id(2).NodeUid),
        new ReplicatedCommand.CreatePool(new NetworkUid(Uid(8)), "lab", 14459, IPNetwork.Parse("10.89.0.0/29"), new IPAddress([10, 89, 0, 1]), [], AddressReuse.Quarantine),
        new ReplicatedCommand.Allocate(new AttachmentId(Uid(9)), new NetworkUid(Uid(8)), "web-03", Mac(3), RaftTargets.Id(2).NodeUid, null, ReplicatedState.RequestLifetime),
        new ReplicatedCommand.Allocate(new AttachmentId(Uid(10)), new NetworkUid(Uid(8)), "web-04", Mac(4), RaftTargets.Id(2).NodeUid, null, ReplicatedState.RequestLifetime),
        new ReplicatedCommand.NodeAdd(RaftTargets.Id(3), "node-c"),
        new ReplicatedCommand.BeginMove(Uid(20), new MovingNic(new AttachmentId(Uid(10)), new NetworkUid(Uid(8)), "web-04", Mac(4), new IPAddress([10, 89, 0, 3]), RaftTargets.Id(2).NodeUid, RaftTargets.Id(3).NodeUid, IsLeased: true), ReplicatedState.RequestLifetime),
        new ReplicatedCommand.HandOver(Uid(20)),
        new ReplicatedCommand.AcknowledgeMove(Uid(20), RaftTargets.Id(3).NodeUid),
        new ReplicatedCommand.BeginMove(Uid(21), new MovingNic(new AttachmentId(Uid(22)), new NetworkUid(Uid(23)), "pc", Mac(9), null, RaftTargets.Id(3).NodeUid, RaftTargets.Id(2).NodeUid, IsLeased: false, AllowSpoofing: true, Netns: "/run/netns/pc", Ifname: "eth0"), ReplicatedState.RequestLifetime),
        new ReplicatedCommand.AbortMove(Uid(24)),
        new ReplicatedCommand.MarkOrphaned(new AttachmentId(Uid(5)), RaftTargets.Id(2).NodeUid),
        new ReplicatedCommand.Adopt(new AttachmentId(Uid(5)), RaftTargets.Id(2).NodeUid),
        new ReplicatedCommand.ReleaseOrphan(new AttachmentId(Uid(5))),
        new ReplicatedCommand.Release(new AttachmentId(Uid(9)), RaftTargets.Id(2).NodeUid, new NetworkUid(Uid(8))),
        new ReplicatedCommand.AdvanceClock(1, 1_000_000),
        new ReplicatedCommand.Reclaim(new NetworkUid(Uid(3))),
        new ReplicatedCommand.CreatePool(new NetworkUid(Uid(11)), "spare", 14460, IPNetwork.Parse("10.90.0.0/28"), new IPAddress([10, 90, 0, 1]), [], AddressReuse.Quarantine, Reserve: 2),
        new ReplicatedCommand.GrantReserve(new NetworkUid(Uid(11)), RaftTargets.Id(2).NodeUid, Uid(12), Guid.Empty),
        new ReplicatedCommand.UseReserve(new AttachmentId(Uid(13)), new NetworkUid(Uid(11)), "web-05", Mac(5), RaftTargets.Id(2).NodeUid, new IPAddress([10, 90, 0, 14]), 20),
        new ReplicatedCommand.ReturnReserve(new NetworkUid(Uid(11)), RaftTargets.Id(2).NodeUid, new IPAddress([10, 90, 0, 13]), 20, WasUsed: true),
        new ReplicatedCommand.GrantReserve(new NetworkUid(Uid(11)), RaftTargets.Id(2).NodeUid, Uid(14), Uid(12)),
        new ReplicatedCommand.HashState(),
        new ReplicatedCommand.CompareState(20, UInt128.MaxValue),
        new ReplicatedCommand.NodeRemove(RaftTargets.Id(2).NodeUid, ReleaseLeases: true),
        new ReplicatedCommand.JoinMesh(RaftTargets.Id(2).NodeUid),
        new ReplicatedCommand.Recover(2),
        new ReplicatedCommand.AdoptLost(new AttachmentId(Uid(11)), new NetworkUid(Uid(3)), "web-05", Mac(5), RaftTargets.Id(2).NodeUid, new IPAddress([10, 88, 0, 11])),
        new ReplicatedCommand.DeletePool(new NetworkUid(Uid(6))),
        new ReplicatedCommand.Dissolve(Uid(7)),
    ];

    private static byte[][] Encoded => [.. Commands.Select(CommandCodec.Encode)];

    private static Guid Uid(int number) => new(number, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9);

    private static PhysicalAddress Mac(byte last) => new([0x52, 0x54, 0, 0, 0, last]);

    private static FuzzTarget Command() => new(
        "command",
        new ByteMutator(isBigEndian: false),
        Encoded,
        bytes => CommandCodec.TryDecode(bytes, out ReplicatedCommand? command) ? command : null)
    {
        Write = value => CommandCodec.Encode((ReplicatedCommand)value),
    };

    private static FuzzTarget Result()
    {
        ReplicatedResult[] results =
        [
            ReplicatedResult.Done.Instance,
            new ReplicatedResult.Granted(new IPAddress([10, 88, 0, 2]), 24, new IPAddress([10, 88, 0, 1])),
            new ReplicatedResult.Refused(RefusalCode.AlreadyExists, "it is there"),
            new ReplicatedResult.Hashed(9, UInt128.MaxValue),
            new ReplicatedResult.Parked(Uid(12), [new ParkedAddress(new IPAddress([10, 90, 0, 14]), 20)]),
        ];
        return new FuzzTarget(
            "command-result",
            new ByteMutator(isBigEndian: false),
            [.. results.Select(ResultCodec.Encode)],
            bytes => ResultCodec.TryDecode(bytes, out ReplicatedResult? result) ? result : null)
        {
            Write = value => ResultCodec.Encode((ReplicatedResult)value),
        };
    }

    // Whatever stands in the log, two states that apply it alike stay alike, through a snapshot too.
    private static FuzzTarget Apply()
    {
        ReplicatedState state = new(), twin = new();
        ulong index = 0;
        return new FuzzTarget("command-apply", new ByteMutator(isBigEndian: false), Encoded, bytes =>
        {
            ReplicatedResult answer = state.Apply(index, bytes).Result;
            ReplicatedResult same = twin.Apply(index, bytes).Result;
            if (!answer.Equals(same))
            {
                throw new FuzzFailureException($"Equal states answer {answer} and {same}.", bytes);
            }

            if (index % 50 == 0)
            {
                byte[] snapshot = state.TakeSnapshot();
                twin.Restore(snapshot);
                if (!twin.TakeSnapshot().AsSpan().SequenceEqual(snapshot))
                {
                    throw new FuzzFailureException("A snapshot restores another state.", bytes);
                }
            }

            return answer;
        })
        {
            IsRefusal = exception => exception is NewerVersionException,
            Prepare = () => (state, twin) = index++ % 300 == 0 ? (Fresh(), Fresh()) : (state, twin),
            AllocationBase = 256 * 1024,
            Cost = 2,
        };
    }

    private static FuzzTarget Snapshot()
    {
        ReplicatedState full = Fresh();
        foreach (byte[] command in Encoded)
        {
            full.Apply(20, command);
        }

        return new FuzzTarget(
            "state-snapshot",
            new ByteMutator(isBigEndian: false),
            [Fresh().TakeSnapshot(), full.TakeSnapshot(), new ReplicatedState().TakeSnapshot()],
            bytes =>
            {
                var state = new ReplicatedState();
                state.Restore(bytes);
                return state;
            })
        {
            IsRefusal = exception => exception is InvalidDataException or NewerVersionException,
            Write = value => ((ReplicatedState)value).TakeSnapshot(),
        };
    }

    private static ReplicatedState Fresh()
    {
        var state = new ReplicatedState();
        for (int i = 0; i < 5; i++)
        {
            state.Apply((ulong)i + 1, CommandCodec.Encode(Commands[i]));
        }

        return state;
    }
}

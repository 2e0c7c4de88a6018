using Kcore.Daemon.Ipam;
using Kcore.Daemon.Storage.RaftLog;
using Kcore.Daemon.Tests.Ipam;
using Kcore.Raft;
using Kcore.TestKit.Disks;

namespace Kcore.Daemon.Tests.Storage;

/// <summary>A cluster of one loses power before and after every single thing it does to its disk.</summary>
public sealed class PowerCutTests
{
    private const int SegmentBytes = 2048;

    [Fact]
    public void Behaviour_29_whatever_was_acknowledged_survives_a_power_cut_at_any_disk_operation()
    {
        var uncut = new MemoryFileLayer();
        Assert.Equal(24, Live(uncut).Count);
        Assert.True(uncut.Operations > 80, "The scenario must roll over segments and take snapshots.");
        for (int at = 1; at <= uncut.Operations; at++)
        {
            foreach (bool isCutAfter in new[] { false, true })
            {
                foreach (Survivors survivors in Enum.GetValues<Survivors>())
                {
                    CutAndCheck(at, isCutAfter, survivors);
                }
            }
        }
    }

    [Fact]
    public void A_second_power_cut_during_recovery_loses_nothing_either()
    {
        var uncut = new MemoryFileLayer();
        Live(uncut);
        for (int at = 10; at <= uncut.Operations; at += 3)
        {
            var files = new MemoryFileLayer { PowerCutAt = at };
            Dictionary<uint, string> acknowledged = LiveUntilCut(files);
            for (int again = 1; again <= 6; again++)
            {
                MemoryFileLayer booted = files.AfterPowerCut(Survivors.Random, new Random(at));
                booted.PowerCutAt = again;
                try
                {
                    _ = BootAndRead(booted);
                }
                catch (PowerCutException)
                {
                    // Cut again; the boot after that must still find everything.
                }

                Check(booted.AfterPowerCut(Survivors.Random, new Random(again)), acknowledged, $"cut at {at}, again at {again}");
            }
        }
    }

    private static void CutAndCheck(int at, bool isCutAfter, Survivors survivors)
    {
        var files = new MemoryFileLayer { PowerCutAt = at, IsCutAfter = isCutAfter };
        Dictionary<uint, string> acknowledged = LiveUntilCut(files);
        Check(
            files.AfterPowerCut(survivors, new Random(at)),
            acknowledged,
            $"cut {(isCutAfter ? "after" : "before")} operation {at}, surviving {survivors}");
    }

    private static void Check(MemoryFileLayer booted, Dictionary<uint, string> acknowledged, string where)
    {
        try
        {
            Dictionary<uint, string> found = BootAndRead(booted);
            foreach ((uint attachment, string address) in acknowledged)
            {
                Assert.True(found.TryGetValue(attachment, out string? held) && held == address, $"{where}: {address} was acknowledged and is lost.");
            }

            Assert.Equal(found.Count, found.Values.Distinct().Count());
        }
        catch (CorruptStoreException corrupt)
        {
            Assert.Fail($"{where}: {corrupt.Message}");
        }
    }

    private static Dictionary<uint, string> BootAndRead(MemoryFileLayer files)
    {
        if (RaftStore.ReadIdentity(files) is null)
        {
            RaftStore.Found(files, Identity, FoundCommand, SegmentBytes);
        }

        using var member = new SoleMember(files, SegmentBytes, snapshotEvery: 6);
        member.Start();
        var found = new Dictionary<uint, string>();
        for (uint attachment = 1; attachment <= 24; attachment++)
        {
            if (member.State.TryGetLease(new AttachmentId(Commands.Id(attachment)), out ReplicatedChange.LeasePut? lease))
            {
                found[attachment] = lease.Address.ToString();
            }
        }

        member.Do(Commands.Pool());
        Assert.IsType<ReplicatedResult.Granted>(member.Do(Commands.Allocate(77)));
        return found;
    }

    private static Dictionary<uint, string> LiveUntilCut(MemoryFileLayer files)
    {
        var acknowledged = new Dictionary<uint, string>();
        try
        {
            Live(files, acknowledged);
        }
        catch (PowerCutException)
        {
            // As planned.
        }

        return acknowledged;
    }

    private static Dictionary<uint, string> Live(MemoryFileLayer files, Dictionary<uint, string>? acknowledged = null)
    {
        acknowledged ??= [];
        RaftStore.Found(files, Identity, FoundCommand, SegmentBytes);
        for (uint life = 0; life < 2; life++)
        {
            using var member = new SoleMember(files, SegmentBytes, snapshotEvery: 6);
            member.Start();
            member.Do(Commands.Pool());
            for (uint i = 1; i <= 12; i++)
            {
                uint attachment = (life * 12) + i;
                acknowledged[attachment] = Assert.IsType<ReplicatedResult.Granted>(member.Do(Commands.Allocate(attachment))).Address.ToString();
            }
        }

        return acknowledged;
    }

    private static readonly StoreIdentity Identity = new(Commands.Id(1), Commands.Id(2), Commands.Cluster, 1, "machine");

    private static readonly byte[] FoundCommand = CommandCodec.Encode(new ReplicatedCommand.Found(Commands.Cluster, 1));
}

/// <summary>A cluster of one, driven by hand: core, store and state without threads.</summary>
internal sealed class SoleMember(MemoryFileLayer files, int segmentBytes, int snapshotEvery) : IDisposable
{
    private readonly RaftStore _store = RaftStore.Open(files, segmentBytes);
    private readonly Dictionary<ulong, ReplicatedResult> _results = [];
    private RaftNode? _node;
    private ulong _applied;

    public ReplicatedState State { get; } = new();

    public RaftNode Node => _node!;

    public void Start()
    {
        _node = new RaftNode(new RaftOptions(), _store.Member, _store.InitialState, new Random(1));
        if (_node.Snapshot.Index > 0)
        {
            State.Restore(_node.Snapshot.Data);
            _applied = _node.Snapshot.Index;
        }

        _node.Campaign();
        Pump();
        Assert.Equal(RaftRole.Leader, _node.Role);
    }

    public ReplicatedResult Do(ReplicatedCommand command)
    {
        Assert.Equal(ProposeOutcome.Appended, Node.Propose(CommandCodec.Encode(command), out ulong index));
        Pump();
        return _results[index];
    }

    public void Dispose() => _store.Dispose();

    private void Pump()
    {
        while (Node.TakeReady() is { IsEmpty: false } ready)
        {
            if (ready.Batch is { } batch)
            {
                _store.Write(batch);
                Node.StorageAck(batch.Id);
            }

            foreach (RaftEntry entry in ready.Committed)
            {
                _applied = entry.Index;
                if (entry.Kind == RaftEntryKind.Command)
                {
                    _results[entry.Index] = State.Apply(entry.Index, entry.Data).Result;
                }
            }

            if (_applied >= Node.Snapshot.Index + (ulong)snapshotEvery)
            {
                RaftSnapshot snapshot = Node.DescribeSnapshot(_applied, State.TakeSnapshot());
                _store.SaveSnapshot(snapshot, snapshot.Index - 1);
                Node.Compact(snapshot, snapshot.Index - 1);
            }
        }
    }
}

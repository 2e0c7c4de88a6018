using Kcore.Daemon.Ipam;
using Kcore.Daemon.Storage.RaftLog;
using Kcore.Raft;
using Kcore.TestKit.Disks;

namespace Kcore.Simulation.Raft;

/// <summary>One host: what outlives a crash. A wiped disk makes it another member.</summary>
internal sealed class SimulatedMember(int number, SafetyRecord record)
{
    private uint _stores;

    public int Number { get; } = number;

    public Guid NodeUid { get; } = new(number, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1);

    public MemberId Id { get; private set; }

    public MemoryFileLayer Disk { get; set; } = new();

    public DurableShadow Shadow { get; private set; } = new(record);

    /// <summary>Null while it is down.</summary>
    public MemberLife? Life { get; set; }

    /// <summary>It can't be started before the disk is repaired or replaced.</summary>
    public bool IsDiskLost { get; set; }

    public long PausedUntil { get; set; }

    public long DiskHungUntil { get; set; }

    /// <summary>Makes it somebody who has promised nothing yet.</summary>
    public StoreIdentity BecomeNew(Guid cluster)
    {
        Shadow = new DurableShadow(record);
        IsDiskLost = false;
        var identity = new StoreIdentity(NodeUid, new Guid(Number, (short)++_stores, 0, 0, 0, 0, 0, 0, 0, 0, 2), cluster, 1, $"machine-{Number}");
        Id = new MemberId(identity.NodeUid, identity.StoreId);
        return identity;
    }
}

/// <summary>One process on a host, from start to crash.</summary>
internal sealed class MemberLife(RaftStore store, RaftNode node, int tickMicros)
{
    public RaftStore Store { get; } = store;

    public RaftNode Node { get; } = node;

    public ReplicatedState State { get; } = new();

    public int TickMicros { get; } = tickMicros;

    public ulong Applied { get; set; }

    public Queue<DiskJob> Jobs { get; } = new();

    public bool IsDiskBusy { get; set; }

    public bool IsSnapshotUnderWay { get; set; }

    public bool IsSpaceCheckPlanned { get; set; }

    /// <summary>Proposals by the place they were appended at.</summary>
    public Dictionary<(ulong Index, ulong Term), Action<ReplicatedResult>> Proposals { get; } = [];

    /// <summary>Reads by token: called with true when they may be answered.</summary>
    public Dictionary<ulong, Action<bool>> Reads { get; } = [];

    public ulong LastToken { get; set; }

    /// <summary>As of the end of the last event.</summary>
    public (ulong Index, Configuration Configuration) LastConfiguration { get; set; }

    public (RaftRole Role, ulong Term, ulong Commit) LastSeen { get; set; }
}

/// <summary>Something the disk is asked to do: a batch, a snapshot of the state, or else to look for room.</summary>
internal sealed record DiskJob(StorageBatch? Batch, RaftSnapshot? Snapshot, ulong KeepFrom);

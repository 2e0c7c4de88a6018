using Kcore.Daemon.Ipam;
using Kcore.Daemon.Storage.RaftLog;
using Kcore.Raft;

namespace Kcore.Simulation.Raft;

/// <summary>How one simulated group is made.</summary>
internal sealed record GroupProfile
{
    public required int Size { get; init; }

    public int SegmentBytes { get; init; } = 4096;

    public int SnapshotEvery { get; init; } = 12;

    public int KeptBehindSnapshot { get; init; } = 4;

    public RaftOptions Raft { get; init; } = new() { BatchEntriesMax = 8, SnapshotChunkBytes = 300, UncommittedBytesMax = 8000, ReadsMax = 64 };
}

/// <summary>
/// A whole group in one thread: real cores, real storage code over simulated disks, the real allocator. Every choice comes
/// from one seed. After every event the invariants of the member concerned are checked.
/// </summary>
internal sealed partial class SimulatedGroup
{
    public static readonly Guid Cluster = new(0xC0FFEE, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1);

    private readonly GroupProfile _profile;
    private readonly Dictionary<MemberId, DurableShadow> _shadows = [];
    private bool _isFounded;

    public SimulatedGroup(int seed, GroupProfile profile)
    {
        _profile = profile;
        Random = new Random(seed);
        Members = [.. Enumerable.Range(1, profile.Size).Select(number => new SimulatedMember(number, Record))];
    }

    public Random Random { get; }

    public VirtualClock Clock { get; } = new();

    public SafetyRecord Record { get; } = new();

    public SimulatedMember[] Members { get; }

    /// <summary>Crashes and errors from which a member came back.</summary>
    public int Recoveries { get; private set; }

    /// <summary>Starts everybody.</summary>
    public void Start()
    {
        foreach (SimulatedMember member in Members)
        {
            Boot(member);
        }
    }

    /// <summary>The leader of the newest term, if it is up.</summary>
    public SimulatedMember? Leader => Members
        .Where(member => member.Life?.Node.Role == RaftRole.Leader)
        .MaxBy(member => member.Life!.Node.Term);

    /// <summary>Power is lost on this host: the image is what the next boot finds.</summary>
    public void Crash(SimulatedMember member, TestKit.Disks.Survivors survivors)
    {
        member.Life?.Store.Dispose();
        member.Life = null;
        member.Disk = member.Disk.AfterPowerCut(survivors, Random);
    }

    /// <summary>The process is killed: what it wrote stays.</summary>
    public void Kill(SimulatedMember member)
    {
        member.Life?.Store.Dispose();
        member.Life = null;
        member.Disk = member.Disk.AfterKill();
    }

    /// <summary>The host comes back with an empty disk, as somebody else.</summary>
    public void Wipe(SimulatedMember member)
    {
        member.Life?.Store.Dispose();
        member.Life = null;
        member.Disk = new TestKit.Disks.MemoryFileLayer { CapacityBytes = member.Disk.CapacityBytes };
        MakeStore(member);
    }

    /// <summary>Starts a member that is down.</summary>
    public void Boot(SimulatedMember member)
    {
        if (member.Life is not null || member.IsDiskLost)
        {
            return;
        }

        try
        {
            if (RaftStore.ReadIdentity(member.Disk) is null)
            {
                // At the first start, and when the making was cut off.
                MakeStore(member);
            }

            Start(member);
        }
        catch (TestKit.Disks.PowerCutException)
        {
            member.Disk = member.Disk.AfterPowerCut(SurvivorsOfCut, Random);
            Clock.After(50_000, () => Boot(member));
        }
        catch (IOException)
        {
            // The disk does not answer; the supervisor tries again.
            Clock.After(500_000, () => Boot(member));
        }
        catch (CorruptStoreException verdict)
        {
            if (!member.Disk.IsDamaged)
            {
                throw new InvariantException($"P17: {member.Id} has an undamaged disk and is called corrupt: {verdict.Message}");
            }

            member.IsDiskLost = true;
        }
    }

    private void Start(SimulatedMember member)
    {
        RaftStore store = RaftStore.Open(member.Disk, _profile.SegmentBytes, new StoreOwner(member.NodeUid, $"machine-{member.Number}"));
        RaftInitialState state = store.InitialState;
        _isFounded |= member.Number == 1;
        if (_shadows.TryAdd(store.Member, member.Shadow))
        {
            member.Shadow.Begin(state);
        }
        else
        {
            Recoveries++;
            member.Shadow.CheckRecovered(store.Member, state);
        }

        var node = new RaftNode(_profile.Raft, store.Member, state, new Random(Random.Next()));
        int tickMicros = 100_000 + Random.Next(-ClockSkewMicros, ClockSkewMicros + 1);
        var life = new MemberLife(store, node, tickMicros) { LastConfiguration = (node.ConfigurationIndex, node.Configuration) };
        member.Life = life;
        if (state.Snapshot.Index > 0)
        {
            Restore(member, life, state.Snapshot);
        }

        if (node.Configuration is { IsJoint: false, Voters: [var only] } && only == node.Self)
        {
            node.Campaign();
        }

        NoteSpace(member, life);
        Advance(member, life);
        Clock.After(Random.Next(life.TickMicros), () => Tick(member, life));
    }

    private void MakeStore(SimulatedMember member)
    {
        // Until its store was whole once, the founder founds again.
        bool isFounder = member.Number == 1 && !_isFounded;
        StoreIdentity identity = member.BecomeNew(Cluster);
        if (isFounder)
        {
            RaftStore.Found(member.Disk, identity, CommandCodec.Encode(new ReplicatedCommand.Found(Cluster, 1)), _profile.SegmentBytes);
        }
        else
        {
            RaftStore.Join(member.Disk, identity, _profile.SegmentBytes);
        }
    }

    // After every event: what one member believes, against what was promised.
    private void Observe(SimulatedMember member, MemberLife life)
    {
        RaftNode node = life.Node;
        bool wasLeader = life.LastSeen.Role == RaftRole.Leader && life.LastSeen.Term == node.Term;
        if (node.Role == RaftRole.Leader)
        {
            Record.NoteCommit(node, life.LastConfiguration.Configuration, id => _shadows.GetValueOrDefault(id));
            Record.NoteLeader(node, member.Shadow);
            if (wasLeader)
            {
                Record.CheckChange(node, life.LastConfiguration, life.LastSeen.Commit);
            }
        }
        else if (wasLeader && node.CommitIndex > life.LastSeen.Commit)
        {
            // It committed its own leaving, and has already stepped down.
            Record.NoteCommit(node, life.LastConfiguration.Configuration, id => _shadows.GetValueOrDefault(id));
        }

        Record.CheckCommit(node);
        if (life.Applied > node.CommitIndex || node.CommitIndex < life.LastSeen.Commit)
        {
            throw new InvariantException($"I-7: {node.Self} applied {life.Applied}, commit index {node.CommitIndex} after {life.LastSeen.Commit}.");
        }

        life.LastConfiguration = (node.ConfigurationIndex, node.Configuration);
        life.LastSeen = (node.Role, node.Term, node.CommitIndex);
    }
}

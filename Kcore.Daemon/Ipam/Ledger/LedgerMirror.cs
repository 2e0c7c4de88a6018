using System.Collections.Immutable;
using System.Threading.Channels;
using Kcore.Daemon.Catalog.Facts;
using Kcore.Daemon.Cluster;
using Kcore.Daemon.Cluster.Consensus;
using Kcore.Daemon.Storage.Events;
using Kcore.Gossip;
using Kcore.Raft;

namespace Kcore.Daemon.Ipam.Ledger;

/// <summary>
/// Copies what the log commits into the catalog's Raft origin, so that nodes without the log can program and show it.
/// The copy is never an input to allocation. Its bytes and versions are a function of the place in the log alone: a fact
/// carries the index that last changed it, whether the entry was applied here or came inside a snapshot, so that all
/// nodes that apply the log write the same.
/// </summary>
internal sealed class LedgerMirror(ReplicatedState state, uint epoch, EventLog events, TimeProvider time, Func<GossipInput.PutCluster, CancellationToken, Task> put)
    : IConsensusObserver<ReplicatedResult, ReplicatedChange>
{
    private static readonly TimeSpan CatalogPause = TimeSpan.FromMilliseconds(50);

    // Everybody who looks at the catalog looks at all of it whenever it changes, and each change is a commit on the disk
    // the log writes to: in a rush the copy follows in steps, and in a long one in longer steps. Every node that applies the
    // log makes a copy, so each would see the steps of all: who does not lead takes steps so long that the leader's copy has
    // come by gossip before, and its own changes nothing.
    private static readonly TimeSpan RushPause = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan RushPauseLeading = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan RushPauseFollowing = TimeSpan.FromSeconds(5);
    private const int MergedMax = 4096;

    // The observer may not wait; what it queues is bounded by the log that is being applied.
    private readonly Channel<GossipInput.PutCluster> _queue = Channel.CreateUnbounded<GossipInput.PutCluster>(new UnboundedChannelOptions { SingleReader = true });
    private readonly Dictionary<NetworkUid, (string Name, uint Vni)> _pools = [];
    private ulong _mirrored;
    private bool _isOpen;
    private volatile bool _leads;
    private MemberId _leader = MemberId.None;
    private ImmutableArray<MemberId> _voters = [];

    /// <summary>Moves the queue into the catalog until cancelled: what comes alone at once, what comes in a rush together.</summary>
    public async Task RunAsync(CancellationToken stoppingToken)
    {
        TimeSpan pause = RushPause;
        while (await _queue.Reader.WaitToReadAsync(stoppingToken))
        {
            GossipInput.PutCluster committed = TakeMerged(out bool isAll);
            while (!await TryPutAsync(committed, stoppingToken))
            {
                await Task.Delay(CatalogPause, time, stoppingToken);
            }

            if (!_queue.Reader.TryPeek(out _))
            {
                pause = RushPause;
            }
            else if (isAll)
            {
                TimeSpan longest = _leads ? RushPauseLeading : RushPauseFollowing;
                await Task.Delay(pause < longest ? pause : longest, time, stoppingToken);
                pause = pause * 2 < longest ? pause * 2 : longest;
            }
        }
    }

    // What follows on from each other says the same in one piece: a fact counts as the last entry left it, under that
    // entry's index.
    private GossipInput.PutCluster TakeMerged(out bool isAll)
    {
        _queue.Reader.TryRead(out GossipInput.PutCluster? first);
        GossipInput.PutCluster merged = first!;
        isAll = !IsFollowed(merged);
        if (isAll)
        {
            return merged;
        }

        Dictionary<string, LocalWrite> writes = merged.Writes.ToDictionary(w => w.Key, StringComparer.Ordinal);
        int count = 1;
        for (; count < MergedMax && IsFollowed(merged); count++)
        {
            _queue.Reader.TryRead(out GossipInput.PutCluster? next);
            foreach (LocalWrite write in next!.Writes)
            {
                writes[write.Key] = write;
            }

            merged = merged with { ToIndex = next.ToIndex };
        }

        isAll = count < MergedMax;
        return merged with { Writes = [.. writes.Values] };
    }

    // The whole content begins at 0 and stands alone.
    private bool IsFollowed(GossipInput.PutCluster put) =>
        _queue.Reader.TryPeek(out GossipInput.PutCluster? next) && put.FromIndex != 0 && next.FromIndex == put.ToIndex;

    public void Opened(ulong index)
    {
        _isOpen = true;
        if (state.ClusterId != Guid.Empty)
        {
            // Whatever the catalog kept of the last run, and whichever version wrote it: this is what the log says.
            PutWhole(index, state.EnumerateAll());
        }
    }

    public void Restored(ulong index, ImmutableArray<ReplicatedChange> all)
    {
        _pools.Clear();
        if (_isOpen)
        {
            PutWhole(index, all);
        }
        else
        {
            Collect(all, index);
        }
    }

    public void Applied(ulong index, ReplicatedResult result, ImmutableArray<ReplicatedChange> changes)
    {
        Dictionary<string, LocalWrite> writes = Collect(changes, index);
        if (_isOpen)
        {
            Enqueue(_mirrored, index, writes);
        }
    }

    public void StatusChanged(ConsensusStatus status)
    {
        if (status.Leader != MemberId.None && status.Leader != _leader)
        {
            NodeId leader = NodeOf(status.Leader);
            events.Add("LeaderChanged", $"node {leader.Short} leads in term {status.Term}", leader.ToString());
        }

        _leader = status.Leader;
        _leads = status.Role == RaftRole.Leader;

        // While a change is under way both sets count; it is told once it is done. Who learns of the voters for the first
        // time has seen no change.
        if (!status.IsJoint && !status.Voters.IsEmpty)
        {
            if (!_voters.IsEmpty)
            {
                Tell("VoterAdded", "votes now", status.Voters.Except(_voters), status.Voters.Length);
                Tell("VoterRemoved", "votes no more", _voters.Except(status.Voters), status.Voters.Length);
            }

            _voters = status.Voters;
        }
    }

    private void Tell(string type, string what, IEnumerable<MemberId> members, int voters)
    {
        foreach (MemberId member in members)
        {
            events.Add(type, $"node {NodeOf(member).Short} {what}; voters: {voters}", NodeOf(member).ToString(), null, ("store", member.StoreId.ToString("N")));
        }
    }

    private static NodeId NodeOf(MemberId member) => new(Uid.FromGuid(member.NodeUid));

    /// <summary>False while there is no catalog to write to: the log opens before gossip does.</summary>
    private async Task<bool> TryPutAsync(GossipInput.PutCluster committed, CancellationToken token)
    {
        try
        {
            await put(committed, token);
            return true;
        }
        catch (InvalidOperationException)
        {
            return false;
        }
    }

    // A snapshot may end at an entry that is no command; the copy's version is that of the last command in it, as it is
    // where the entries were applied one by one.
    private void PutWhole(ulong index, ImmutableArray<ReplicatedChange> all) =>
        Enqueue(0, state.AppliedIndex == 0 ? index : state.AppliedIndex, Collect(all, index, isWhole: true));

    private Dictionary<string, LocalWrite> Collect(ImmutableArray<ReplicatedChange> changes, ulong index, bool isWhole = false)
    {
        var writes = new Dictionary<string, LocalWrite>(StringComparer.Ordinal);
        foreach (ReplicatedChange change in changes)
        {
            Add(writes, change, index, isWhole);
        }

        return writes;
    }

    private static MoveFact FactOf(ReplicatedChange.MovePut move) => new(
        Uid.FromGuid(move.Move),
        Uid.FromGuid(move.Nic.Attachment.Value),
        Uid.FromGuid(move.Nic.Network.Value),
        move.Nic.Name,
        move.Nic.Mac,
        move.Nic.Address,
        new NodeId(Uid.FromGuid(move.Nic.From)),
        new NodeId(Uid.FromGuid(move.Nic.To)),
        move.Begun,
        move.HandedOver,
        move.SourceKnows,
        move.TargetKnows)
    {
        AllowSpoofing = move.Nic.AllowSpoofing,
        Netns = move.Nic.Netns,
        Ifname = move.Nic.Ifname,
    };

    private void Enqueue(ulong from, ulong index, Dictionary<string, LocalWrite> writes)
    {
        _queue.Writer.TryWrite(new GossipInput.PutCluster(from, index, epoch, [.. writes.Values]));
        _mirrored = index;
    }

    /// <param name="isWhole">The changes are all there is: what ceased is simply not among them.</param>
    private void Add(Dictionary<string, LocalWrite> writes, ReplicatedChange change, ulong index, bool isWhole)
    {
        switch (change)
        {
            case ReplicatedChange.LeasePut lease:
                Put(FactKeys.Lease(Uid.FromGuid(lease.Attachment.Value)), FactKind.Lease, FactCodec.Encode(new LeaseFact(
                    Uid.FromGuid(lease.Attachment.Value),
                    Uid.FromGuid(lease.Network.Value),
                    lease.Address,
                    lease.Mac,
                    new NodeId(Uid.FromGuid(lease.NodeUid)),
                    lease.NicName,
                    lease.Index,
                    lease.Orphaned)), lease.ChangedIndex);
                PutPool(lease.Network);
                break;
            case ReplicatedChange.LeaseRemoved lease:
                Remove(FactKeys.Lease(Uid.FromGuid(lease.Attachment.Value)), FactKind.Lease);
                PutPool(lease.Network);
                break;
            case ReplicatedChange.ParkedPut parked:
                Put(FactKeys.Parked(Uid.FromGuid(parked.Network.Value), parked.Address), FactKind.Parked, FactCodec.Encode(new ParkedFact(
                    Uid.FromGuid(parked.Network.Value), parked.Address, new NodeId(Uid.FromGuid(parked.NodeUid)), parked.GrantIndex)), parked.GrantIndex);
                PutPool(parked.Network);
                break;
            case ReplicatedChange.ParkedRemoved parked:
                Remove(FactKeys.Parked(Uid.FromGuid(parked.Network.Value), parked.Address), FactKind.Parked);
                PutPool(parked.Network);
                break;
            case ReplicatedChange.PoolPut pool:
                _pools[pool.Network] = (pool.Name, pool.Vni);
                PutPool(pool.Network);
                break;
            case ReplicatedChange.PoolRemoved pool:
                _pools.Remove(pool.Network);
                Remove(FactKeys.Pool(Uid.FromGuid(pool.Network.Value)), FactKind.Pool);
                break;
            case ReplicatedChange.NodePut node:
                var id = new NodeId(Uid.FromGuid(node.Member.NodeUid));
                Put(FactKeys.Admission(id), FactKind.Admission, FactCodec.Encode(new AdmissionFact(id, Uid.FromGuid(node.Member.StoreId), node.Name)), node.Index);
                break;
            case ReplicatedChange.NodeRemoved node:
                var gone = new NodeId(Uid.FromGuid(node.NodeUid));
                if (!isWhole)
                {
                    Remove(FactKeys.Admission(gone), FactKind.Admission);
                    Remove(FactKeys.Mesh(gone), FactKind.Mesh);
                }

                Put(FactKeys.Removal(gone), FactKind.Removal, FactCodec.Encode(new RemovalFact(gone, node.Name)), node.Index);
                break;
            case ReplicatedChange.MeshPut mesh:
                var inside = new NodeId(Uid.FromGuid(mesh.NodeUid));
                Put(FactKeys.Mesh(inside), FactKind.Mesh, FactCodec.Encode(new MeshFact(inside, mesh.Address)), mesh.Index);
                break;
            case ReplicatedChange.MovePut move:
                Put(FactKeys.Move(Uid.FromGuid(move.Move)), FactKind.Move, FactCodec.Encode(FactOf(move)), move.ChangedIndex);
                break;
            case ReplicatedChange.MoveRemoved move:
                Remove(FactKeys.Move(Uid.FromGuid(move.Move)), FactKind.Move);
                break;
            case ReplicatedChange.Dissolved dissolved:
                Put(FactKeys.Dissolved, FactKind.Dissolved, FactCodec.Encode(new DissolvedFact(Uid.FromGuid(dissolved.Target))), dissolved.Index);
                break;
            case ReplicatedChange.StateDiffers differs:
                events.Add(
                    "StateDiverged",
                    $"the state of this node at log index {differs.Index} is not the leader's; nothing repairs it, see kctl cluster status",
                    null,
                    null,
                    ("index", $"{differs.Index}"), ("own", $"{differs.Own:x32}"), ("leader", $"{differs.Leaders:x32}"));
                break;
            case ReplicatedChange.Founded:
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(change), change.GetType().Name, "a change without a fact");
        }

        // Index 0 is that of a snapshot of an older version, which does not tell.
        void Put(string key, FactKind kind, ReadOnlyMemory<byte> value, ulong changed) =>
            writes[key] = new LocalWrite(key, (ushort)kind, value, Version: changed == 0 ? index : changed);

        void Remove(string key, FactKind kind) => writes[key] = new LocalWrite(key, (ushort)kind, default, Tombstone: true, Version: index);

        // Cursor and counts move with every lease; name and VNI are the pool's own.
        void PutPool(NetworkUid network)
        {
            if (state.Statistics(network) is { } now && _pools.TryGetValue(network, out (string Name, uint Vni) pool))
            {
                Put(FactKeys.Pool(Uid.FromGuid(network.Value)), FactKind.Pool, FactCodec.Encode(new PoolFact(
                    Uid.FromGuid(network.Value), pool.Name, pool.Vni, now.Next, now.Size, now.Used, now.Free, now.Resting, now.Parked)), now.ChangedIndex);
            }
        }
    }
}

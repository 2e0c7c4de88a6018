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
/// The copy is never an input to allocation.
/// </summary>
internal sealed class LedgerMirror(ReplicatedState state, uint epoch, EventLog events, TimeProvider time, Func<GossipInput.PutCluster, CancellationToken, Task> put)
    : IConsensusObserver<ReplicatedResult, ReplicatedChange>
{
    private static readonly TimeSpan CatalogPause = TimeSpan.FromMilliseconds(50);

    // The observer may not wait; what it queues is bounded by the log that is being applied.
    private readonly Channel<GossipInput.PutCluster> _queue = Channel.CreateUnbounded<GossipInput.PutCluster>(new UnboundedChannelOptions { SingleReader = true });
    private readonly Dictionary<NetworkUid, (string Name, uint Vni)> _pools = [];
    private ulong _mirrored;
    private MemberId _leader = MemberId.None;

    /// <summary>Moves the queue into the catalog until cancelled.</summary>
    public async Task RunAsync(CancellationToken stoppingToken)
    {
        await foreach (GossipInput.PutCluster committed in _queue.Reader.ReadAllAsync(stoppingToken))
        {
            while (!await TryPutAsync(committed, stoppingToken))
            {
                await Task.Delay(CatalogPause, time, stoppingToken);
            }
        }
    }

    public void Restored(ulong index, ImmutableArray<ReplicatedChange> all)
    {
        _pools.Clear();
        var writes = new Dictionary<string, LocalWrite>(StringComparer.Ordinal);
        foreach (ReplicatedChange change in all)
        {
            Add(writes, change, index);
        }

        Enqueue(0, index, writes);
    }

    public void Applied(ulong index, ReplicatedResult result, ImmutableArray<ReplicatedChange> changes)
    {
        var writes = new Dictionary<string, LocalWrite>(StringComparer.Ordinal);
        foreach (ReplicatedChange change in changes)
        {
            Add(writes, change, index);
        }

        Enqueue(_mirrored, index, writes);
    }

    public void StatusChanged(ConsensusStatus status)
    {
        if (status.Leader != MemberId.None && status.Leader != _leader)
        {
            var leader = new NodeId(Uid.FromGuid(status.Leader.NodeUid));
            events.Add("LeaderChanged", $"node {leader.Short} leads in term {status.Term}", leader.ToString());
        }

        _leader = status.Leader;
    }

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

    private void Enqueue(ulong from, ulong index, Dictionary<string, LocalWrite> writes)
    {
        _queue.Writer.TryWrite(new GossipInput.PutCluster(from, index, epoch, [.. writes.Values]));
        _mirrored = index;
    }

    private void Add(Dictionary<string, LocalWrite> writes, ReplicatedChange change, ulong index)
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
                    lease.Index)));
                PutPool(lease.Network);
                break;
            case ReplicatedChange.LeaseRemoved lease:
                Remove(FactKeys.Lease(Uid.FromGuid(lease.Attachment.Value)), FactKind.Lease);
                PutPool(lease.Network);
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
                Put(FactKeys.Admission(id), FactKind.Admission, FactCodec.Encode(new AdmissionFact(id, Uid.FromGuid(node.Member.StoreId), node.Name)));
                break;
            case ReplicatedChange.NodeRemoved node:
                Remove(FactKeys.Admission(new NodeId(Uid.FromGuid(node.NodeUid))), FactKind.Admission);
                break;
            case ReplicatedChange.Dissolved dissolved:
                Put(FactKeys.Dissolved, FactKind.Dissolved, FactCodec.Encode(new DissolvedFact(Uid.FromGuid(dissolved.Target))));
                break;
            case ReplicatedChange.Founded:
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(change), change.GetType().Name, "a change without a fact");
        }

        void Put(string key, FactKind kind, ReadOnlyMemory<byte> value) => writes[key] = new LocalWrite(key, (ushort)kind, value, Version: index);

        void Remove(string key, FactKind kind) => writes[key] = new LocalWrite(key, (ushort)kind, default, Tombstone: true, Version: index);

        // Cursor and counts move with every lease; name and VNI are the pool's own.
        void PutPool(NetworkUid network)
        {
            if (state.Statistics(network) is { } now && _pools.TryGetValue(network, out (string Name, uint Vni) pool))
            {
                Put(FactKeys.Pool(Uid.FromGuid(network.Value)), FactKind.Pool, FactCodec.Encode(new PoolFact(
                    Uid.FromGuid(network.Value), pool.Name, pool.Vni, now.Next, now.Size, now.Used, now.Free)));
            }
        }
    }
}

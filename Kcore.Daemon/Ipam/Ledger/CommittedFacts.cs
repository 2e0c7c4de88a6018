using System.Collections.Immutable;
using Kcore.Daemon.Catalog.Facts;
using Kcore.Daemon.Cluster;
using Kcore.Gossip;

namespace Kcore.Daemon.Ipam.Ledger;

/// <summary>What one entry of the log changed, or all that a snapshot says.</summary>
/// <param name="From">The index that the copy stood at before; 0 when this is all there is, and what ceased is simply not in it.</param>
/// <param name="Index">The index that it stands at after.</param>
/// <param name="Undated">Stands for an index that a snapshot of an older version does not tell.</param>
/// <param name="Pools">Each that the changes touched, as it was right after them.</param>
internal sealed record Commit(ulong From, ulong Index, ulong Undated, ImmutableArray<ReplicatedChange> Changes, ImmutableArray<CommittedPool> Pools);

/// <summary>Cursor and counts move with every lease; name and VNI are the pool's own.</summary>
internal sealed record CommittedPool(NetworkUid Network, string Name, uint Vni, PoolStatistics Now);

/// <summary>The facts that a row of commits leaves: of each key the last word, under the index that said it.</summary>
internal sealed class CommittedFacts
{
    private readonly Dictionary<string, LocalWrite> _writes = new(StringComparer.Ordinal);
    private readonly Dictionary<NetworkUid, (CommittedPool Pool, ulong Undated)> _pools = [];

    /// <summary>The network whose pool a change touched, or null.</summary>
    public static NetworkUid? PoolOf(ReplicatedChange change) => change switch
    {
        ReplicatedChange.LeasePut lease => lease.Network,
        ReplicatedChange.LeaseRemoved lease => lease.Network,
        ReplicatedChange.ParkedPut parked => parked.Network,
        ReplicatedChange.ParkedRemoved parked => parked.Network,
        ReplicatedChange.PoolPut pool => pool.Network,
        _ => null,
    };

    public void Add(Commit commit)
    {
        foreach (ReplicatedChange change in commit.Changes)
        {
            Add(change, commit);
        }

        foreach (CommittedPool pool in commit.Pools)
        {
            _pools[pool.Network] = (pool, commit.Undated);
        }
    }

    public ImmutableArray<LocalWrite> ToWrites()
    {
        foreach ((CommittedPool pool, ulong undated) in _pools.Values)
        {
            PoolStatistics now = pool.Now;
            Put(FactKeys.Pool(Uid.FromGuid(pool.Network.Value)), FactKind.Pool, FactCodec.Encode(new PoolFact(
                Uid.FromGuid(pool.Network.Value), pool.Name, pool.Vni, now.Next, now.Size, now.Used, now.Free, now.Resting, now.Parked)), now.ChangedIndex, undated);
        }

        return [.. _writes.Values];
    }

    private void Add(ReplicatedChange change, Commit commit)
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
                    lease.Orphaned)), lease.ChangedIndex, commit.Undated);
                break;
            case ReplicatedChange.LeaseRemoved lease:
                Remove(FactKeys.Lease(Uid.FromGuid(lease.Attachment.Value)), FactKind.Lease, commit);
                break;
            case ReplicatedChange.ParkedPut parked:
                Put(FactKeys.Parked(Uid.FromGuid(parked.Network.Value), parked.Address), FactKind.Parked, FactCodec.Encode(new ParkedFact(
                    Uid.FromGuid(parked.Network.Value), parked.Address, new NodeId(Uid.FromGuid(parked.NodeUid)), parked.GrantIndex)), parked.GrantIndex, commit.Undated);
                break;
            case ReplicatedChange.ParkedRemoved parked:
                Remove(FactKeys.Parked(Uid.FromGuid(parked.Network.Value), parked.Address), FactKind.Parked, commit);
                break;
            case ReplicatedChange.PoolRemoved pool:
                _pools.Remove(pool.Network);
                Remove(FactKeys.Pool(Uid.FromGuid(pool.Network.Value)), FactKind.Pool, commit);
                break;
            case ReplicatedChange.NodePut node:
                var id = new NodeId(Uid.FromGuid(node.Member.NodeUid));
                Put(FactKeys.Admission(id), FactKind.Admission, FactCodec.Encode(new AdmissionFact(id, Uid.FromGuid(node.Member.StoreId), node.Name)), node.Index, commit.Undated);
                break;
            case ReplicatedChange.NodeRemoved node:
                var gone = new NodeId(Uid.FromGuid(node.NodeUid));
                if (commit.From != 0)
                {
                    Remove(FactKeys.Admission(gone), FactKind.Admission, commit);
                    Remove(FactKeys.Mesh(gone), FactKind.Mesh, commit);
                }

                Put(FactKeys.Removal(gone), FactKind.Removal, FactCodec.Encode(new RemovalFact(gone, node.Name)), node.Index, commit.Undated);
                break;
            case ReplicatedChange.MeshPut mesh:
                var inside = new NodeId(Uid.FromGuid(mesh.NodeUid));
                Put(FactKeys.Mesh(inside), FactKind.Mesh, FactCodec.Encode(new MeshFact(inside, mesh.Address)), mesh.Index, commit.Undated);
                break;
            case ReplicatedChange.MovePut move:
                Put(FactKeys.Move(Uid.FromGuid(move.Move)), FactKind.Move, FactCodec.Encode(FactOf(move)), move.ChangedIndex, commit.Undated);
                break;
            case ReplicatedChange.MoveRemoved move:
                Remove(FactKeys.Move(Uid.FromGuid(move.Move)), FactKind.Move, commit);
                break;
            case ReplicatedChange.Dissolved dissolved:
                Put(FactKeys.Dissolved, FactKind.Dissolved, FactCodec.Encode(new DissolvedFact(Uid.FromGuid(dissolved.Target))), dissolved.Index, commit.Undated);
                break;
            case ReplicatedChange.PoolPut or ReplicatedChange.Founded or ReplicatedChange.StateDiffers:
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(change), change.GetType().Name, "a change without a fact");
        }
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

    private void Put(string key, FactKind kind, ReadOnlyMemory<byte> value, ulong changed, ulong undated) =>
        _writes[key] = new LocalWrite(key, (ushort)kind, value, Version: changed == 0 ? undated : changed);

    private void Remove(string key, FactKind kind, Commit commit) =>
        _writes[key] = new LocalWrite(key, (ushort)kind, default, Tombstone: true, Version: commit.Undated);
}

using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using System.Net;
using System.Security.Cryptography;
using Kcore.Daemon.Cluster.Consensus;
using Kcore.Daemon.Storage.RaftLog;
using Kcore.Raft;
using Outcome = Kcore.Daemon.Cluster.Consensus.ApplyOutcome<
    Kcore.Daemon.Ipam.ReplicatedResult,
    Kcore.Daemon.Ipam.ReplicatedChange>;

namespace Kcore.Daemon.Ipam;

/// <summary>How full a pool is.</summary>
/// <param name="Size">Addresses that could ever be granted.</param>
/// <param name="Used">Leases held.</param>
/// <param name="Free">Addresses that may be granted now; at most Size − Used.</param>
/// <param name="Next">What the next allocation gets, or null when none is left.</param>
/// <param name="ChangedIndex">The log index these numbers date from.</param>
/// <param name="Resting">Released addresses that are granted again later.</param>
/// <param name="Parked">Addresses in the emergency reserves of nodes.</param>
public sealed record PoolStatistics(long Size, long Used, long Free, IPAddress? Next, ulong ChangedIndex, long Resting = 0, long Parked = 0);

/// <summary>
/// The cluster registry and the allocator: what all nodes compute alike from the log. The address is chosen here, while a
/// committed entry is applied, and nowhere before: allocator caches rebuilt by a new leader are where peers' duplicate
/// addresses came from. Not thread-safe; the consensus loop owns it.
/// </summary>
public sealed partial class ReplicatedState : IReplicatedStateMachine<ReplicatedResult, ReplicatedChange>
{
    /// <summary>
    /// For how many log entries a request for an address is valid, counted from what its proposer knew to be committed;
    /// and for how many the release of an attachment is remembered.
    /// </summary>
    public const ulong RequestLifetime = 100_000;

    private static readonly Outcome Unchanged = new(ReplicatedResult.Done.Instance, []);

    private ReplicatedTables _tables = new();

    // The bytes of the whole are made again and again, on the loop's time: in memory that is there already.
    private readonly FieldWriter _bytes = new(4096);

    /// <summary><see cref="Guid.Empty"/> before entry 1.</summary>
    public Guid ClusterId => _tables.ClusterId;

    public uint Epoch => _tables.Epoch;

    /// <summary>The index of the latest command applied; 0 before the first, and after a snapshot of an older version until the next.</summary>
    public ulong AppliedIndex => _tables.AppliedIndex;

    /// <summary>True while no pool was ever committed: only then may the cluster give itself up.</summary>
    public bool IsVirgin => !_tables.WasUsed;

    /// <summary>The cluster this one gave itself up for, or null.</summary>
    public Guid? DissolvedInto => _tables.DissolvedInto == Guid.Empty ? null : _tables.DissolvedInto;

    /// <summary>The admitted nodes, by uid.</summary>
    public ImmutableArray<(MemberId Member, string Name)> Nodes => [.. _tables.Nodes.Values.Select(node => (node.Member, node.Name))];

    /// <summary>True if the node was removed, which is for good.</summary>
    public bool WasRemoved(Guid nodeUid) => _tables.RemovedNodes.ContainsKey(nodeUid);

    /// <summary>Released attachments that are still remembered.</summary>
    public int RetiredCount => _tables.Retired.Count;

    /// <summary>SHA-256 of the snapshot: equal on all nodes at equal index.</summary>
    public ImmutableArray<byte> StateHash() => [.. SHA256.HashData(Encoded())];

    /// <summary>How full a network's pool is, or null when there is no pool.</summary>
    public PoolStatistics? Statistics(NetworkUid network) =>
        _tables.Pools.TryGetValue(network, out AddressPool? pool)
            ? new PoolStatistics(
                pool.Size,
                pool.LeaseCount,
                pool.Free,
                pool.Next is { } next ? AddressSequence.ToAddress(next) : null,
                pool.ChangedIndex,
                pool.Returned.RestingCount,
                pool.ParkedCount)
            : null;

    /// <summary>The lease of an attachment, as the change that announced it.</summary>
    public bool TryGetLease(AttachmentId attachment, [NotNullWhen(true)] out ReplicatedChange.LeasePut? lease)
    {
        lease = _tables.Leases.TryGetValue(attachment, out LeaseRecord? record) ? Announce(record) : null;
        return lease is not null;
    }

    public Outcome Apply(ulong index, ReadOnlyMemory<byte> command)
    {
        bool isCommand = CommandCodec.TryDecode(command.Span, out ReplicatedCommand? decoded, out bool isNewer);
        if (isNewer)
        {
            throw new NewerVersionException($"Entry {index} of the log ({Describe(command.Span)})");
        }

        // Also by a command that is refused: where the state stands in the log is the same on every node.
        _tables.AppliedIndex = index;
        if (index > RequestLifetime)
        {
            _tables.Retired.ForgetBefore(index - RequestLifetime);
            _tables.Moves.ForgetBefore(index - RequestLifetime);
        }

        if (!isCommand)
        {
            return Refuse(RefusalCode.InvalidArgument, "The command can't be read.");
        }

        if (decoded is not ReplicatedCommand.Found && ClusterId == Guid.Empty)
        {
            return Refuse(RefusalCode.FailedPrecondition, "The cluster is not founded yet.");
        }

        // What ends things is still carried out after a dissolve; what begins them is not.
        if (DissolvedInto is { } target
            && decoded is ReplicatedCommand.CreatePool or ReplicatedCommand.Allocate or ReplicatedCommand.NodeAdd or ReplicatedCommand.JoinMesh
                or ReplicatedCommand.GrantReserve or ReplicatedCommand.UseReserve or ReplicatedCommand.AdoptLost or ReplicatedCommand.BeginMove)
        {
            return Refuse(RefusalCode.FailedPrecondition, $"This cluster dissolved itself into cluster {target:N}.");
        }

        return WithoutMovesOf(index, decoded switch
        {
            ReplicatedCommand.Found found => Apply(found),
            ReplicatedCommand.NodeAdd add => Apply(index, add),
            ReplicatedCommand.NodeRemove remove => Apply(index, remove),
            ReplicatedCommand.Dissolve dissolve => Apply(index, dissolve),
            ReplicatedCommand.CreatePool pool => Apply(index, pool),
            ReplicatedCommand.DeletePool delete => Apply(delete),
            ReplicatedCommand.Allocate allocate => Apply(index, allocate),
            ReplicatedCommand.JoinMesh join => Apply(index, join),
            ReplicatedCommand.Release release => Apply(index, release),
            ReplicatedCommand.AdvanceClock advance => Apply(index, advance),
            ReplicatedCommand.Reclaim reclaim => Apply(index, reclaim),
            ReplicatedCommand.MarkOrphaned mark => Apply(index, mark),
            ReplicatedCommand.Adopt adopt => Apply(index, adopt),
            ReplicatedCommand.ReleaseOrphan release => Apply(index, release),
            ReplicatedCommand.GrantReserve grant => Apply(index, grant),
            ReplicatedCommand.UseReserve use => Apply(index, use),
            ReplicatedCommand.ReturnReserve back => Apply(index, back),
            ReplicatedCommand.HashState => HashState(index),
            ReplicatedCommand.CompareState compare => Apply(compare),
            ReplicatedCommand.Recover recover => Apply(index, recover),
            ReplicatedCommand.AdoptLost adopt => Apply(index, adopt),
            ReplicatedCommand.FinishRecovery => FinishRecovery(index),
            ReplicatedCommand.BeginMove begin => Apply(index, begin),
            ReplicatedCommand.HandOver over => Apply(index, over),
            ReplicatedCommand.AbortMove abort => Apply(index, abort),
            ReplicatedCommand.AcknowledgeMove known => Apply(index, known),
            _ => Refuse(RefusalCode.InvalidArgument, "The command is of no known kind."),
        });
    }

    public bool TryRefuse(ReadOnlyMemory<byte> command, [MaybeNullWhen(false)] out ReplicatedResult refusal)
    {
        CommandCodec.TryDecode(command.Span, out _, out bool isNewer);
        refusal = isNewer
            ? new ReplicatedResult.Refused(
                RefusalCode.FailedPrecondition, $"The leader runs an older version of Kcore that does not know this command ({Describe(command.Span)}): upgrade every node.")
            : null;
        return isNewer;
    }

    public byte[] TakeSnapshot() => Encoded().ToArray();

    public void Restore(ReadOnlyMemory<byte> snapshot)
    {
        _tables = ReplicatedTables.Decode(snapshot.Span);
        _hashes.Clear();
    }

    public ImmutableArray<ReplicatedChange> EnumerateAll()
    {
        ImmutableArray<ReplicatedChange>.Builder all = ImmutableArray.CreateBuilder<ReplicatedChange>();
        if (ClusterId != Guid.Empty)
        {
            all.Add(new ReplicatedChange.Founded(ClusterId, Epoch));
        }

        all.AddRange(_tables.Nodes.Values.Select(Announce));
        all.AddRange(_tables.RemovedNodes.Values.Select(Announce));
        all.AddRange(_tables.Pools.Values.Select(Announce));
        all.AddRange(_tables.Pools.Values.SelectMany(AnnounceParked));
        all.AddRange(_tables.Leases.Values.Select(Announce));
        all.AddRange(_tables.Mesh.Rows.Select(Announce));
        all.AddRange(_tables.Moves.Rows.Select(Announce));
        if (DissolvedInto is { } target)
        {
            all.Add(new ReplicatedChange.Dissolved(target, _tables.DissolvedIndex));
        }

        return all.DrainToImmutable();
    }

    private ReadOnlySpan<byte> Encoded()
    {
        _bytes.Clear();
        _tables.Write(_bytes);
        return _bytes.Written;
    }

    // The first two bytes are the same in every version.
    private static string Describe(ReadOnlySpan<byte> command) => $"encoding {command[0]}, kind {(command.Length > 1 ? command[1] : 0)}";

    private static Outcome Refuse(RefusalCode code, string text) => new(new ReplicatedResult.Refused(code, text), []);

    private static Outcome Change(ReplicatedChange change) => new(ReplicatedResult.Done.Instance, [change]);

    private static ReplicatedChange.NodePut Announce(NodeRecord node) => new(node.Member, node.Name, node.Index);

    private static ReplicatedChange.NodeRemoved Announce(RemovedNode node) => new(node.NodeUid, node.Name, node.Index);

    private static ReplicatedChange.PoolPut Announce(AddressPool pool) => new(
        pool.Spec.Network,
        pool.Spec.Name,
        pool.Spec.Vni,
        pool.Spec.Subnet,
        pool.Spec.Gateway,
        pool.Spec.Exclusions,
        pool.CreatedIndex);

    private static ReplicatedChange.LeasePut Announce(LeaseRecord lease) => new(
        lease.Attachment,
        lease.Network,
        AddressSequence.ToAddress(lease.Address),
        lease.Mac,
        lease.NodeUid,
        lease.NicName,
        lease.Index,
        lease.ChangedIndex,
        lease.Orphaned);
}

using System.Net;
using Kcore.Daemon.Catalog;
using Kcore.Daemon.Cluster;
using Kcore.Daemon.Cluster.Consensus;
using Kcore.Daemon.Cluster.Founding;
using Kcore.Daemon.Cluster.Streams;
using Kcore.Daemon.Storage.Events;
using Kcore.Daemon.Storage.RaftLog;
using Kcore.Gossip;
using Kcore.Raft;
using Microsoft.Extensions.Logging;

namespace Kcore.Daemon.Ipam.Ledger;

/// <summary>
/// This node's copy of the cluster's log: makes, opens, mends and closes it. Every member has one; whether the leader
/// feeds it, and whether it votes, the group decides.
/// </summary>
internal sealed partial class ClusterLedger(
    string directory, NodeIdentity identity, PeerConnector connector, EventLog events, TimeProvider time, Random random, ILogger logger) : IClusterLedger, IAsyncDisposable
{
    private readonly TimeSpan _patience = TimeSpan.FromSeconds(10);

    // Opening and closing is asked for by whoever joins and leaves clusters and by whoever mends what failed.
    private readonly SemaphoreSlim _door = new(1, 1);
    private volatile OpenLedger? _open;
    private volatile string? _damage;
    private bool _isCorrupt;
    private bool _isHanging;
    private CatalogHub? _catalog;
    private ClusterLoop? _cluster;
    private ProposalClient? _proposals;

    /// <summary>This node votes and currently leads.</summary>
    public bool Leads => Status is { Role: RaftRole.Leader };

    /// <summary>This node is among the voters.</summary>
    public bool Votes => Status is { Fault: ConsensusFault.None } status && status.Voters.Contains(status.Self);

    /// <summary>Id of the store that is open and works, or 0.</summary>
    public UInt128 Store => Status is { Fault: ConsensusFault.None } status ? Uid.FromGuid(status.Self.StoreId) : 0;

    /// <summary>Null while this node has no copy of the log.</summary>
    public ConsensusStatus? Status => _open?.Loop.Status;

    /// <summary>Why the copy is not used, in words; null when it is.</summary>
    public string? Damage => _damage ?? Status?.FaultText;

    /// <summary>The log index at which this node's state was first found to be another than the leader's; 0 when it never was.</summary>
    public ulong DivergedAt => _open?.State.Comparison is { IsEqual: false } comparison ? comparison.Index : 0;

    /// <summary>
    /// The latest log index this node knows to be committed: by the log where it receives it, else by what the catalog has
    /// of it. Never ahead of the truth.
    /// </summary>
    public ulong KnownIndex
    {
        get
        {
            ConsensusStatus? status = Status;
            ulong own = status?.CommitIndex ?? 0;
            return status is { Fault: ConsensusFault.None } && (status.Voters.Contains(status.Self) || status.Learners.Contains(status.Self))
                ? own
                : (_cluster?.View.Current.Entries ?? []).Where(e => e.Origin == NodeId.Raft).Select(e => e.Version).Append(own).Max();
        }
    }

    public Guid NextStore { get; private set; } = Guid.NewGuid();

    public bool IsVirgin => _catalog?.Current.Current.View.Pools.Count == 0 && (_open is not { } open || open.State.IsVirgin);

    public Guid? DissolvedInto => _open?.State.DissolvedInto ?? DissolvedInGossip;

    public bool Decides
    {
        get
        {
            if (Status is { Fault: ConsensusFault.None } status && (status.Voters.Contains(status.Self) || status.Learners.Contains(status.Self)))
            {
                return !status.Leader.IsNone;
            }

            if (_catalog?.Current.Current is not { } now)
            {
                return false;
            }

            NodeId[] voters = [.. now.View.Voters];
            return voters.Count(v => now.Gossip.Members.Find(v) is { Status: MemberStatus.Alive }) > voters.Length / 2;
        }
    }

    public bool IsRemoved(NodeId node) => _catalog?.Current.Current.View.Removals.ContainsKey(node) ?? false;

    /// <summary>What is open, or null.</summary>
    public OpenLedger? Open => _open;

    // Straight from gossip: the catalog's view follows a moment later, and right after a change of clusters it still tells
    // the end of the one before, which this node would take for the end of the new one.
    private Guid? DissolvedInGossip => _catalog?.Current.Current.View.Dissolved is { } dissolved ? Uid.ToGuid(dissolved.Target) : null;

    /// <summary>Ties the knot between the log, the catalog it is mirrored into, and the way to the leader.</summary>
    public void Connect(ClusterLoop cluster, CatalogHub catalog, ProposalClient proposals)
    {
        _cluster = cluster;
        _catalog = catalog;
        _proposals = proposals;
    }

    public async Task FoundAsync(ClusterRef cluster, string nodeName, CancellationToken token)
    {
        await _door.WaitAsync(token);
        try
        {
            // A store without a cluster in the identity is the rest of a founding that was interrupted.
            Discard();
            Directory.CreateDirectory(directory);
            RaftStore.Found(new PosixFileLayer(directory), NewStore(cluster), CommandCodec.Encode(new ReplicatedCommand.Found(cluster.Id, cluster.Epoch)));
            OpenStore(cluster);
        }
        finally
        {
            _door.Release();
        }

        OpenLedger open = _open ?? throw new IOException($"the log just made in {directory} cannot be opened: {_damage}");
        await open.Loop.ProposeAsync(CommandCodec.Encode(new ReplicatedCommand.NodeAdd(open.Loop.Status.Self, nodeName)), token);
    }

    public async Task OpenAsync(ClusterRef cluster, CancellationToken token)
    {
        await _door.WaitAsync(token);
        try
        {
            OpenStore(cluster);
        }
        finally
        {
            _door.Release();
        }
    }

    public async Task CloseAsync(bool discard)
    {
        await _door.WaitAsync();
        try
        {
            await CloseStoreAsync();
            _damage = null;
            if (discard)
            {
                Discard();
            }
        }
        finally
        {
            _door.Release();
        }
    }

    /// <summary>
    /// Opens the store again after its disk failed, which reads and checks all of it. One that lost something is set aside
    /// for a new one, which is another member to the group, if <paramref name="others"/> hold the log.
    /// </summary>
    public async Task MendAsync(ClusterRef cluster, bool others, CancellationToken token)
    {
        await _door.WaitAsync(token);
        try
        {
            ConsensusFault fault = Status?.Fault ?? ConsensusFault.None;
            if (fault is ConsensusFault.DiskFailed or ConsensusFault.StoreCorrupt)
            {
                OpenLedger failed = _open!;
                await CloseStoreAsync();
                _isHanging = failed.Loop.IsStorageHanging;
                _damage = _isHanging ? "the disk of this node's log hangs; restart kcored when it answers again" : failed.Loop.Status.FaultText;
                _isCorrupt = fault == ConsensusFault.StoreCorrupt;
            }

            // While a write hangs in it the store belongs to that write.
            if (_open is null && _damage is not null && !_isHanging)
            {
                if (_isCorrupt && others)
                {
                    TrySetAside();
                }

                // What is damaged and nobody else holds is left as it is: it is all there is of what was promised.
                if (!_isCorrupt)
                {
                    OpenStore(cluster);
                }
            }
        }
        finally
        {
            _door.Release();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await CloseAsync(discard: false);
        _door.Dispose();
    }

    public async Task<string?> AdmitAsync(NodeId node, Guid store, string name, CancellationToken token)
    {
        var command = new ReplicatedCommand.NodeAdd(new MemberId(Uid.ToGuid(node.Value), store), name);
        try
        {
            return await _proposals!.ProposeAsync(command, _patience, token) is ReplicatedResult.Refused refused ? refused.Text : null;
        }
        catch (RefusedException e)
        {
            return e.Problem.Message;
        }
    }

    public async Task DissolveAsync(Guid target, CancellationToken token)
    {
        try
        {
            if (await _proposals!.ProposeAsync(new ReplicatedCommand.Dissolve(target), _patience, token) is ReplicatedResult.Refused refused)
            {
                Log.NotDissolved(logger, target, refused.Text);
            }
        }
        catch (RefusedException e)
        {
            Log.NotDissolved(logger, target, e.Problem.Message);
        }
    }

    /// <summary>Before this node stops: passes the leader's seat on, so that nobody waits for an election. Bounded in time.</summary>
    public async Task HandOverAsync(TimeSpan limit, CancellationToken token)
    {
        if (_open is not { } open || !Leads || open.Loop.Status.Voters.Length < 2)
        {
            return;
        }

        try
        {
            using var late = new CancellationTokenSource(limit, time);
            using CancellationTokenSource both = CancellationTokenSource.CreateLinkedTokenSource(token, late.Token);
            MemberId leader = await open.Loop.HandOverAsync(MemberId.None, limit, both.Token);
            Log.HandedOver(logger, leader);
        }
        catch (Exception e) when (e is ProposeException or OperationCanceledException)
        {
            Log.NotHandedOver(logger, e.Message);
        }
    }

    private void OpenStore(ClusterRef cluster)
    {
        _damage = null;
        _isCorrupt = false;
        try
        {
            var files = new PosixFileLayer(directory);
            StoreIdentity? found = RaftStore.ReadIdentity(files);
            if (found is not null && (found.ClusterId != cluster.Id || found.NodeUid != Uid.ToGuid(identity.Id.Value)))
            {
                // Of a cluster that ended, or of the machine this disk was copied from.
                Log.Foreign(logger, directory);
                Discard();
                files = new PosixFileLayer(directory);
                found = null;
            }

            if (found is not null && found.Epoch > cluster.Epoch)
            {
                throw new IOException($"it is in epoch {found.Epoch} and this node in epoch {cluster.Epoch}: kcored recover was interrupted; run it again");
            }

            if (found is not null && found.Epoch < cluster.Epoch)
            {
                // Its votes and terms are of another history. Kept aside: it may hold what the recovered log lacks.
                SetAside("outgrown");
                found = null;
            }

            if (found is null)
            {
                RaftStore.Join(files, NewStore(cluster));
            }

            _open = new OpenLedger(
                RaftStore.Open(files), cluster, (c, t) => _cluster!.PutClusterAsync(c, t), connector, AddressOf, events, time, new Random(random.Next()), logger);
        }
        catch (Exception e) when (e is CorruptStoreException or NewerVersionException or IOException or UnauthorizedAccessException)
        {
            // The data plane and everything already allocated go on without the log.
            _damage = $"the log in {directory} cannot be used: {e.Message}";
            _isCorrupt = e is CorruptStoreException;
            Log.Damaged(logger, directory, e.Message);
        }
    }

    private async Task CloseStoreAsync()
    {
        if (_open is { } open)
        {
            _open = null;
            await open.DisposeAsync();
        }
    }

    private StoreIdentity NewStore(ClusterRef cluster)
    {
        var store = new StoreIdentity(Uid.ToGuid(identity.Id.Value), NextStore, cluster.Id, cluster.Epoch, identity.MachineId);
        NextStore = Guid.NewGuid();
        return store;
    }

    private IPEndPoint? AddressOf(NodeId node) =>
        _cluster?.View.Current.Members.Find(node) is { } member ? new IPEndPoint(member.Endpoint.Address, member.RaftPort) : null;

    // What is in it, not the directory: it may be a mount of its own.
    private void Discard()
    {
        if (!Directory.Exists(directory))
        {
            return;
        }

        foreach (string file in Directory.EnumerateFiles(directory))
        {
            File.Delete(file);
        }
    }

    private void TrySetAside()
    {
        try
        {
            SetAside("damaged");
            _isCorrupt = false;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            Log.Damaged(logger, directory, e.Message);
        }
    }

    // Kept, and only the latest: it may still be evidence of what was promised.
    private void SetAside(string name)
    {
        string aside = Path.Combine(directory, name);
        if (Directory.Exists(aside))
        {
            Directory.Delete(aside, recursive: true);
        }

        Directory.CreateDirectory(aside);
        foreach (string file in Directory.EnumerateFiles(directory))
        {
            File.Move(file, Path.Combine(aside, Path.GetFileName(file)));
        }

        Log.SetAside(logger, aside);
    }

    private static partial class Log
    {
        [LoggerMessage(1201, LogLevel.Error, "The log in {Directory} cannot be used: {Cause}. What exists keeps working")]
        public static partial void Damaged(ILogger logger, string directory, string cause);

        [LoggerMessage(1202, LogLevel.Warning, "The cluster was not given up for {Target}: {Cause}")]
        public static partial void NotDissolved(ILogger logger, Guid target, string cause);

        [LoggerMessage(1203, LogLevel.Warning, "The log in {Directory} is not this node's of this cluster and is removed")]
        public static partial void Foreign(ILogger logger, string directory);

        [LoggerMessage(1204, LogLevel.Warning, "The log was set aside as {Path}; this node asks the cluster for a new copy")]
        public static partial void SetAside(ILogger logger, string path);

        [LoggerMessage(1205, LogLevel.Information, "Before stopping, the leader's seat went to {Leader}")]
        public static partial void HandedOver(ILogger logger, MemberId leader);

        [LoggerMessage(1206, LogLevel.Warning, "Stopping as leader without a successor: {Cause}")]
        public static partial void NotHandedOver(ILogger logger, string cause);
    }
}

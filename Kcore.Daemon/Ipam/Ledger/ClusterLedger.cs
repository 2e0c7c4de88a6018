using Kcore.Daemon.Catalog;
using Kcore.Daemon.Catalog.Facts;
using Kcore.Daemon.Cluster;
using Kcore.Daemon.Cluster.Consensus;
using Kcore.Daemon.Cluster.Founding;
using Kcore.Daemon.Storage.Events;
using Kcore.Daemon.Storage.RaftLog;
using Kcore.Gossip;
using Kcore.Gossip.Wire;
using Kcore.Raft;
using Microsoft.Extensions.Logging;

namespace Kcore.Daemon.Ipam.Ledger;

/// <summary>
/// This node's copy of the cluster's log, if it holds one: opens, runs and closes the consensus loop, answers proposals
/// of other nodes.
/// </summary>
internal sealed partial class ClusterLedger(string directory, NodeIdentity identity, EventLog events, TimeProvider time, Random random, ILogger logger) : IClusterLedger, IAsyncDisposable
{
    private readonly TimeSpan _patience = TimeSpan.FromSeconds(10);
    private volatile OpenLedger? _open;
    private CatalogHub? _catalog;
    private ClusterLoop? _cluster;
    private ProposalClient? _proposals;

    /// <summary>This node votes and currently leads.</summary>
    public bool Leads => Status is { Role: RaftRole.Leader };

    /// <summary>This node holds the log and is among its voters.</summary>
    public bool Votes => _open is not null && (Status is not { } status || status.Voters.Contains(status.Self));

    /// <summary>Null while this node has no copy of the log.</summary>
    public ConsensusStatus? Status => _open?.Loop.Status;

    public bool IsVirgin => _open is { } open ? open.IsVirgin : _catalog?.Current.Current.View.Pools.Count == 0;

    public Guid? DissolvedInto => _open is { } open ? open.State.DissolvedInto : DissolvedInGossip;

    /// <summary>The loop, or null when this node has no copy of the log.</summary>
    public ConsensusLoop<ReplicatedResult, ReplicatedChange>? Loop => _open?.Loop;

    // Straight from gossip: the catalog's view follows a moment later, and right after a change of clusters it still tells
    // the end of the one before, which this node would take for the end of the new one.
    private Guid? DissolvedInGossip =>
        _cluster?.View.Current.Entries.FirstOrDefault(e => e.Origin == NodeId.Raft && e.Key == FactKeys.Dissolved) is { } entry
            && FactCodec.TryDecode(entry, out DissolvedFact? dissolved)
            ? Uid.ToGuid(dissolved.Target)
            : null;

    /// <summary>Ties the knot between the log, the catalog it is mirrored into, and the way to the leader.</summary>
    public void Connect(ClusterLoop cluster, CatalogHub catalog, ProposalClient proposals)
    {
        _cluster = cluster;
        _catalog = catalog;
        _proposals = proposals;
    }

    public async Task FoundAsync(ClusterRef cluster, string nodeName, CancellationToken token)
    {
        // A store without a cluster in the identity is the rest of a founding that was interrupted.
        Discard();
        Directory.CreateDirectory(directory);
        var store = new StoreIdentity(Uid.ToGuid(identity.Id.Value), Guid.NewGuid(), cluster.Id, cluster.Epoch, identity.MachineId);
        RaftStore.Found(new PosixFileLayer(directory), store, CommandCodec.Encode(new ReplicatedCommand.Found(cluster.Id, cluster.Epoch)));
        await OpenAsync(cluster, token);
        var self = new MemberId(store.NodeUid, store.StoreId);
        await _open!.Loop.ProposeAsync(CommandCodec.Encode(new ReplicatedCommand.NodeAdd(self, nodeName)), token);
    }

    public Task OpenAsync(ClusterRef cluster, CancellationToken token)
    {
        if (!Directory.Exists(directory))
        {
            return Task.CompletedTask;
        }

        var files = new PosixFileLayer(directory);
        if (RaftStore.ReadIdentity(files) is not { } store || store.ClusterId != cluster.Id || store.NodeUid != Uid.ToGuid(identity.Id.Value))
        {
            return Task.CompletedTask;
        }

        try
        {
            _open = new OpenLedger(RaftStore.Open(files), cluster, (c, t) => _cluster!.PutClusterAsync(c, t), events, time, random, logger);
        }
        catch (CorruptStoreException e)
        {
            // The data plane and everything already allocated go on without the log; new addresses wait for the others.
            Log.Corrupt(logger, directory, e.Message);
        }

        return Task.CompletedTask;
    }

    public async Task CloseAsync(bool discard)
    {
        if (_open is { } open)
        {
            _open = null;
            await open.DisposeAsync();
        }

        if (discard)
        {
            Discard();
        }
    }

    public async ValueTask DisposeAsync() => await CloseAsync(discard: false);

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

    /// <summary>Serves <see cref="Cluster.Streams.StreamKind.Propose"/>.</summary>
    public async Task HandleProposeAsync(NodeId peer, ReadOnlyMemory<byte> body, Func<ReadOnlyMemory<byte>, bool, ValueTask> reply, CancellationToken token)
    {
        ProposeRequest request;
        try
        {
            request = ProposeRequest.Decode(body.Span);
        }
        catch (WireFormatException e)
        {
            throw new InvalidDataException(e.Message, e);
        }

        await reply((await AnswerAsync(request, token)).Encode(), true);
    }

    private async Task<ProposeReply> AnswerAsync(ProposeRequest request, CancellationToken token)
    {
        if (_open is not { } open || open.Cluster != request.Cluster)
        {
            return new ProposeReply(ProposeFailure.Stopped, default, "this node holds no log of that cluster");
        }

        try
        {
            ReplicatedResult result = await open.Loop.ProposeAsync(request.Command, token);
            return new ProposeReply(null, ResultCodec.Encode(result), null);
        }
        catch (ProposeException e)
        {
            return new ProposeReply(e.Failure, default, e.Message);
        }
    }

    private void Discard()
    {
        if (Directory.Exists(directory))
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1201, LogLevel.Error, "The log in {Directory} cannot be trusted and is not used: {Cause}")]
        public static partial void Corrupt(ILogger logger, string directory, string cause);

        [LoggerMessage(1202, LogLevel.Warning, "The cluster was not given up for {Target}: {Cause}")]
        public static partial void NotDissolved(ILogger logger, Guid target, string cause);
    }
}

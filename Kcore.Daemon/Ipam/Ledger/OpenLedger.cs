using System.Net;
using Kcore.Daemon.Cluster;
using Kcore.Daemon.Cluster.Consensus;
using Kcore.Daemon.Cluster.Consensus.Transport;
using Kcore.Daemon.Cluster.Streams;
using Kcore.Daemon.Storage.Events;
using Kcore.Daemon.Storage.RaftLog;
using Kcore.Gossip;
using Microsoft.Extensions.Logging;

namespace Kcore.Daemon.Ipam.Ledger;

/// <summary>A log that is open, its loops and its streams to the other members, from open to close.</summary>
internal sealed class OpenLedger : IAsyncDisposable
{
    private readonly RaftStore _store;
    private readonly RaftTransport _transport;
    private readonly RaftReceiver _receiver;
    private readonly CancellationTokenSource _end = new();
    private readonly Task _running;

    public OpenLedger(
        RaftStore store,
        ClusterRef cluster,
        Func<GossipInput.PutCluster, CancellationToken, Task> mirrorTo,
        PeerConnector connector,
        Func<NodeId, IPEndPoint?> addressOf,
        EventLog events,
        TimeProvider time,
        Random random,
        ILogger logger)
    {
        _store = store;
        Cluster = cluster;
        State = new ReplicatedState();
        Mirror = new LedgerMirror(State, cluster.Epoch, events, time, mirrorTo);
        _transport = new RaftTransport(cluster, store.Member, connector, addressOf, time, random, logger);
        Loop = new ConsensusLoop<ReplicatedResult, ReplicatedChange>(
            store, State, Mirror, _transport, new ConsensusOptions(), time, random, logger);
        _receiver = new RaftReceiver(cluster, store.Member, Loop.TryReceive, time);
        _running = Task.WhenAll(Loop.RunAsync(_end.Token), Mirror.RunAsync(_end.Token));
    }

    public ClusterRef Cluster { get; }

    public ReplicatedState State { get; }

    public LedgerMirror Mirror { get; }

    public ConsensusLoop<ReplicatedResult, ReplicatedChange> Loop { get; }

    /// <summary>Takes another member's messages in until its stream or this log ends.</summary>
    public async Task ReceiveAsync(NodeId peer, ReadOnlyMemory<byte> first, PeerStream stream, CancellationToken token)
    {
        using CancellationTokenSource open = CancellationTokenSource.CreateLinkedTokenSource(token, _end.Token);
        await _receiver.RunAsync(peer, first, stream, open.Token);
    }

    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync();
        try
        {
            await _running;
        }
        catch (OperationCanceledException)
        {
            // Asked for, one line above.
        }

        await _transport.DisposeAsync();
        if (!Loop.IsStorageHanging)
        {
            _store.Dispose();
        }

        // Not disposed: a stream that is being accepted may still link itself to it.
    }
}

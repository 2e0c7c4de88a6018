using Kcore.Daemon.Cluster;
using Kcore.Daemon.Cluster.Consensus;
using Kcore.Daemon.Storage.Events;
using Kcore.Daemon.Storage.RaftLog;
using Kcore.Gossip;
using Microsoft.Extensions.Logging;

namespace Kcore.Daemon.Ipam.Ledger;

/// <summary>A log that is open and its loops, from open to close.</summary>
internal sealed class OpenLedger : IAsyncDisposable
{
    private readonly RaftStore _store;
    private readonly CancellationTokenSource _end = new();
    private readonly Task _running;

    public OpenLedger(
        RaftStore store,
        ClusterRef cluster,
        Func<GossipInput.PutCluster, CancellationToken, Task> mirrorTo,
        EventLog events,
        TimeProvider time,
        Random random,
        ILogger logger)
    {
        _store = store;
        Cluster = cluster;
        State = new ReplicatedState();
        Mirror = new LedgerMirror(State, cluster.Epoch, events, time, mirrorTo);
        Loop = new ConsensusLoop<ReplicatedResult, ReplicatedChange>(
            store, State, Mirror, new NoTransport(), new ConsensusOptions(), time, random, logger);
        _running = Task.WhenAll(Loop.RunAsync(_end.Token), Mirror.RunAsync(_end.Token));
    }

    public ClusterRef Cluster { get; }

    public ReplicatedState State { get; }

    public LedgerMirror Mirror { get; }

    public ConsensusLoop<ReplicatedResult, ReplicatedChange> Loop { get; }

    public bool IsVirgin => State.IsVirgin;

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

        _store.Dispose();
        _end.Dispose();
    }
}

using System.Collections.Immutable;
using System.Threading.Channels;
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
    private readonly Channel<Commit> _queue = Channel.CreateUnbounded<Commit>(new UnboundedChannelOptions { SingleReader = true });
    private readonly Dictionary<NetworkUid, (string Name, uint Vni)> _pools = [];
    private ulong _mirrored;
    private bool _isOpen;
    private volatile bool _leads;
    private bool _isTooOld;

    // Where somebody waits for the copy to get, and who is told; both threads use them.
    private readonly Lock _hurrying = new();
    private ulong _wanted;
    private TaskCompletionSource? _hurry;
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
                await RestAsync(pause < longest ? pause : longest, committed.ToIndex, stoppingToken);
                pause = pause * 2 < longest ? pause * 2 : longest;
            }
        }
    }

    /// <summary>The index of the last command that is in the copy or on the way there. On the consensus loop.</summary>
    public ulong Index => _mirrored;

    /// <summary>Somebody waits until the copy has this index: no pause keeps it back. Any thread.</summary>
    public void Hurry(ulong index)
    {
        lock (_hurrying)
        {
            _wanted = Math.Max(_wanted, index);
            _hurry?.TrySetResult();
        }
    }

    private async Task RestAsync(TimeSpan pause, ulong reached, CancellationToken token)
    {
        Task hurry;
        lock (_hurrying)
        {
            if (_wanted > reached)
            {
                return;
            }

            _hurry = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            hurry = _hurry.Task;
        }

        using CancellationTokenSource end = CancellationTokenSource.CreateLinkedTokenSource(token);
        await Task.WhenAny(Task.Delay(pause, time, end.Token), hurry);
        await end.CancelAsync();
        token.ThrowIfCancellationRequested();
    }

    // What follows on from each other says the same in one piece: a fact counts as the last entry left it, under that
    // entry's index.
    private GossipInput.PutCluster TakeMerged(out bool isAll)
    {
        _queue.Reader.TryRead(out Commit? first);
        var facts = new CommittedFacts();
        facts.Add(first!);
        ulong index = first!.Index;
        int count = 1;
        for (; count < MergedMax && first.From != 0 && _queue.Reader.TryPeek(out Commit? next) && next.From == index; count++)
        {
            _queue.Reader.TryRead(out _);
            facts.Add(next);
            index = next.Index;
        }

        isAll = count < MergedMax;
        return new GossipInput.PutCluster(first.From, index, epoch, facts.ToWrites());
    }

    public void Opened(ulong index)
    {
        _isOpen = true;
        if (state.ClusterId != Guid.Empty)
        {
            // Whatever the catalog kept of the last run, and whichever version wrote it: this is what the log says.
            ImmutableArray<ReplicatedChange> all = state.EnumerateAll();
            NoteWhole(all);
            EnqueueWhole(index, all);
        }
    }

    public void Restored(ulong index, ImmutableArray<ReplicatedChange> all)
    {
        NoteWhole(all);
        if (_isOpen)
        {
            EnqueueWhole(index, all);
        }
    }

    public void Applied(ulong index, ReplicatedResult result, ImmutableArray<ReplicatedChange> changes)
    {
        Note(changes);
        if (_isOpen)
        {
            Enqueue(_mirrored, index, index, changes);
        }
    }

    public void StatusChanged(ConsensusStatus status)
    {
        if (status.Leader != MemberId.None && status.Leader != _leader)
        {
            NodeId leader = NodeOf(status.Leader);
            events.Add("LeaderChanged", $"node {leader.Short} leads in term {status.Term}", leader.ToString());
        }

        if (status.Fault == ConsensusFault.TooOld && !_isTooOld)
        {
            _isTooOld = true;
            events.Add("UpgradeNeeded", status.FaultText ?? "", NodeOf(status.Self).ToString());
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
    private void EnqueueWhole(ulong index, ImmutableArray<ReplicatedChange> all) =>
        Enqueue(0, state.AppliedIndex == 0 ? index : state.AppliedIndex, index, all);

    // Here the state is as this entry left it, so what is told of the pools is read now; the facts are made later, for they
    // cost more than all else that an entry does.
    private void Enqueue(ulong from, ulong index, ulong undated, ImmutableArray<ReplicatedChange> changes)
    {
        _queue.Writer.TryWrite(new Commit(from, index, undated, changes, PoolsOf(changes)));
        _mirrored = index;
    }

    private void NoteWhole(ImmutableArray<ReplicatedChange> all)
    {
        _pools.Clear();
        Note(all);
    }

    private void Note(ImmutableArray<ReplicatedChange> changes)
    {
        foreach (ReplicatedChange change in changes)
        {
            switch (change)
            {
                case ReplicatedChange.PoolPut pool:
                    _pools[pool.Network] = (pool.Name, pool.Vni);
                    break;
                case ReplicatedChange.PoolRemoved pool:
                    _pools.Remove(pool.Network);
                    break;
                case ReplicatedChange.StateDiffers differs:
                    events.Add(
                        "StateDiverged",
                        $"the state of this node at log index {differs.Index} is not the leader's; nothing repairs it, see kctl cluster status",
                        null,
                        null,
                        ("index", $"{differs.Index}"), ("own", $"{differs.Own:x32}"), ("leader", $"{differs.Leaders:x32}"));
                    break;
                default:
                    break;
            }
        }
    }

    private ImmutableArray<CommittedPool> PoolsOf(ImmutableArray<ReplicatedChange> changes)
    {
        ImmutableArray<CommittedPool>.Builder pools = ImmutableArray.CreateBuilder<CommittedPool>();
        foreach (NetworkUid network in changes.Select(CommittedFacts.PoolOf).OfType<NetworkUid>().Distinct())
        {
            if (_pools.TryGetValue(network, out (string Name, uint Vni) pool) && state.Statistics(network) is { } now)
            {
                pools.Add(new CommittedPool(network, pool.Name, pool.Vni, now));
            }
        }

        return pools.DrainToImmutable();
    }
}

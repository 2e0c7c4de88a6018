using Kcore.Daemon.Storage.RaftLog;
using Kcore.Raft;
using Microsoft.Extensions.Logging;

namespace Kcore.Daemon.Cluster.Consensus;

/// <summary>
/// The one owner of a Raft core, its store and the replicated state. Proposals, messages of peers, ticks and the disk's
/// acknowledgements come in through one queue; nothing here waits for a disk or a peer. Who works through the queue changes
/// (see <see cref="Work"/>); it is one thread at a time.
/// </summary>
public sealed partial class ConsensusLoop<TResult, TChange>
{
    private readonly RaftStore _store;
    private readonly IReplicatedStateMachine<TResult, TChange> _machine;
    private readonly IConsensusObserver<TResult, TChange> _observer;
    private readonly IRaftTransport _transport;
    private readonly ConsensusOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly RaftNode _node;

    // Unbounded as a type; what others put in is bounded by _queuedCount, and what the loop causes itself (one tick, one
    // batch, one snapshot) by its nature, so that an acknowledgement of the disk always finds room.
    private readonly ConsensusInbox<Input> _inbox = new();

    private static readonly TimeSpan HandOverPace = TimeSpan.FromMilliseconds(5);

    private volatile ConsensusStatus _status;
    private DateTimeOffset? _leaderlessSince;
    private int _queuedCount;
    private int _isTickQueued;

    public ConsensusLoop(
        RaftStore store,
        IReplicatedStateMachine<TResult, TChange> machine,
        IConsensusObserver<TResult, TChange> observer,
        IRaftTransport transport,
        ConsensusOptions options,
        TimeProvider time,
        Random random,
        ILogger logger)
    {
        _store = store;
        _machine = machine;
        _observer = observer;
        _transport = transport;
        _options = options;
        _time = time;
        _logger = logger;
        _node = new RaftNode(options.Raft, store.Member, store.InitialState, random);
        _leaderlessSince = time.GetUtcNow();
        _status = DescribeStatus();
    }

    /// <summary>The latest snapshot of what the loop knows about itself; any thread.</summary>
    public ConsensusStatus Status => _status;

    /// <summary>
    /// Writes one command to the log and answers once it is applied here. While no leader is known it waits for one. Any
    /// thread.
    /// </summary>
    /// <param name="command">At most <see cref="RaftEntry.EntryBytesMax"/> bytes; not changed afterwards.</param>
    /// <param name="cancellationToken">Giving up does not take back what was appended.</param>
    /// <exception cref="ProposeException">It was not, or may not have been, done.</exception>
    public async Task<TResult> ProposeAsync(ReadOnlyMemory<byte> command, CancellationToken cancellationToken)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(command.Length, RaftEntry.EntryBytesMax);
        var proposal = new Proposal<TResult>(command, _time.GetTimestamp());
        switch (TryEnqueue(new Input.Propose(proposal)))
        {
            case EnqueueOutcome.Full:
                throw new ProposeException(ProposeFailure.Unavailable, "Too many requests wait for the cluster's log.");
            case EnqueueOutcome.Closed:
                throw Stopped();
            default:
                break;
        }

        try
        {
            return await proposal.Result.WaitAsync(_options.ProposeTimeout, _time, cancellationToken);
        }
        catch (TimeoutException)
        {
            throw proposal.TryAbandon() ? NoLeader(_status) : UnknownOutcome();
        }
        catch (OperationCanceledException)
        {
            proposal.TryAbandon();
            throw;
        }
    }

    /// <summary>
    /// Runs <paramref name="read"/> on the loop, between two applied entries: the safe way to look at the state machine as
    /// it is here, which may be behind (<see cref="ReadCommittedAsync"/> is not). It must be quick. Any thread.
    /// </summary>
    /// <exception cref="ProposeException">The loop has been stopped, or too much waits for it.</exception>
    public Task<T> ReadAsync<T>(Func<T> read, CancellationToken cancellationToken)
    {
        var completion = new TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously);
        return TryEnqueue(new Input.Read(refusal => Complete(completion, read, refusal))) switch
        {
            EnqueueOutcome.Full => throw new ProposeException(ProposeFailure.Unavailable, "Too many requests wait for the cluster's log."),
            EnqueueOutcome.Closed => throw Stopped(),
            _ => completion.Task.WaitAsync(cancellationToken),
        };
    }

    /// <summary>Hands in what a peer sent; false when it was dropped because the inbox is full or the loop stopped. Any thread.</summary>
    public bool TryReceive(RaftMessage message) => TryEnqueue(new Input.Receive(message)) == EnqueueOutcome.Queued;

    /// <summary>How the log stands. Any thread.</summary>
    /// <exception cref="ProposeException">The loop has been stopped, or too much waits for it.</exception>
    public Task<LogReport> ReportAsync(CancellationToken cancellationToken) => ReadAsync(
        () => new LogReport(
            DescribeStatus(),
            _node.Configuration,
            _node.Role != RaftRole.Leader ? [] :
            [
                new PeerReport(_node.Self, _node.MatchOf(_node.Self), TimeSpan.Zero, TimeSpan.Zero, false),
                .. _node.Peers.Select(p => new PeerReport(
                    p.Member,
                    p.Match,
                    p.TicksSinceHeard * _options.TickInterval,
                    p.TicksSinceHealthy * _options.TickInterval,
                    p.State == FeedState.Snapshot)),
            ]),
        cancellationToken);

    /// <summary>True after the loop ended if the disk still hangs in the store, which then must not be closed.</summary>
    public bool IsStorageHanging => _writer is { IsHanging: true };

    /// <summary>Begins to change who votes and who receives the log; on the leader only, one change at a time. Any thread.</summary>
    /// <exception cref="ProposeException">The loop has been stopped, or too much waits for it.</exception>
    public Task<ProposeOutcome> ReconfigureAsync(Configuration target, CancellationToken cancellationToken) =>
        ReadAsync(() => _node.ProposeConfiguration(target, out _), cancellationToken);

    /// <summary>
    /// Hands the leader's seat to <paramref name="target"/>, or with <see cref="MemberId.None"/> to the voter that is
    /// furthest, and returns once another leader is known or time is up. Any thread.
    /// </summary>
    /// <returns>The new leader, or <see cref="MemberId.None"/> when there is none (yet).</returns>
    /// <exception cref="ProposeException">This member does not lead, or nobody can take over.</exception>
    public async Task<MemberId> HandOverAsync(MemberId target, TimeSpan limit, CancellationToken cancellationToken)
    {
        long start = _time.GetTimestamp();
        TransferOutcome outcome = await ReadAsync(() => _node.Transfer(target.IsNone ? Successor() : target), cancellationToken);
        switch (outcome)
        {
            case TransferOutcome.Started or TransferOutcome.UnderWay:
                break;
            case TransferOutcome.NotLeader:
                throw new ProposeException(ProposeFailure.NotLeader, "This node does not lead the cluster's log.", _status.Leader);
            default:
                throw new ProposeException(ProposeFailure.Unavailable, "No other voter can take the leader's seat.");
        }

        while (_time.GetElapsedTime(start) < limit)
        {
            ConsensusStatus now = _status;
            if (now.Role != RaftRole.Leader && !now.Leader.IsNone && now.Leader != now.Self)
            {
                return now.Leader;
            }

            await Task.Delay(HandOverPace, _time, cancellationToken);
        }

        return MemberId.None;
    }

    // Of the voters that answer, the one with the longest log has the least to wait for.
    private MemberId Successor() => _node.Peers
        .Where(p => p.IsVoter)
        .OrderBy(p => p.TicksSinceHealthy > _options.Raft.ElectionTicks)
        .ThenByDescending(p => p.Match)
        .Select(p => p.Member)
        .FirstOrDefault(_node.Self);

    private EnqueueOutcome TryEnqueue(Input input)
    {
        if (Interlocked.Increment(ref _queuedCount) > _options.InboxCapacity)
        {
            Interlocked.Decrement(ref _queuedCount);
            return EnqueueOutcome.Full;
        }

        return Post(input) ? EnqueueOutcome.Queued : EnqueueOutcome.Closed;
    }

    // Ticks that gather while the process is suspended count once: a pause is no reason for an election.
    private void EnqueueTick()
    {
        if (Interlocked.Exchange(ref _isTickQueued, 1) == 0)
        {
            Post(Input.Tick.Instance);
        }
    }

    private ConsensusStatus DescribeStatus() => new()
    {
        Self = _node.Self,
        ClusterId = _store.Identity.ClusterId,
        Epoch = _store.Identity.Epoch,
        Term = _node.Term,
        Role = _node.Role,
        Leader = _node.Leader,
        CommitIndex = _node.CommitIndex,
        AppliedIndex = _applied,
        LastIndex = _node.LastIndex,
        Voters = _node.Configuration.Voters,
        Learners = _node.Configuration.Learners,
        IsJoint = _node.Configuration.IsJoint,
        LeaderlessSince = _leaderlessSince,
        IsStorageStalled = _node.IsStorageStalled,
        IsSpaceLow = _isSpaceLow,
        VotersSeen = [.. _node.ActiveMembers.Where(_node.Configuration.IsVoter)],
        LastSync = _lastSync,
        Fault = _fault,
        FaultText = _faultText,
    };

    private static ProposeException Stopped() =>
        new(ProposeFailure.Stopped, "This node takes no part in the cluster's log at present.");

    private static ProposeException UnknownOutcome() =>
        new(ProposeFailure.UnknownOutcome, "The request was written but not confirmed in time; repeat it to learn what became of it.");

    private static ProposeException NoLeader(ConsensusStatus status) => new(
        ProposeFailure.Unavailable,
        $"No quorum: {status.VotersSeen.Length} of {status.Voters.Length} voters are seen, and no leader is known.",
        status.Leader);

    private enum EnqueueOutcome
    {
        Queued,
        Full,
        Closed,
    }

    private abstract record Input
    {
        private Input()
        {
        }

        /// <summary>True for what others put in, which counts against the capacity.</summary>
        public virtual bool IsCounted => true;

        public sealed record Propose(Proposal<TResult> Proposal) : Input;

        public sealed record Read(Action<Exception?> Answer) : Input;

        public sealed record ReadCommitted(WaitingRead Waiting) : Input;

        public sealed record Receive(RaftMessage Message) : Input;

        public sealed record Storage(StorageOutcome Outcome) : Input
        {
            public override bool IsCounted => false;
        }

        public sealed record Tick : Input
        {
            public static readonly Tick Instance = new();

            public override bool IsCounted => false;
        }
    }
}

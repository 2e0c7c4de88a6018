namespace Kcore.Raft;

/// <summary>
/// One member of a Raft group (Ongaro's thesis, 2014), as a state machine without clock, threads or I/O: messages, ticks
/// and storage acknowledgements go in, <see cref="TakeReady"/> tells what to do. Pre-vote, check-quorum and leader
/// stickiness are always on. The same inputs and seed give the same outputs.
/// </summary>
public sealed partial class RaftNode
{
    // A term beyond this can only be a lie, and terms must not wrap around.
    private const ulong TermMax = ulong.MaxValue / 2;

    private readonly RaftOptions _options;
    private readonly Random _random;
    private readonly EntryLog _log;
    private readonly ConfigurationHistory _configurations;

    private HardState _hardState;
    private int _electionElapsed;
    private int _electionTimeout;

    /// <param name="options">The numbers.</param>
    /// <param name="self">Who this is.</param>
    /// <param name="state">What the store held.</param>
    /// <param name="random">Draws the election time-outs; seeded by the shell.</param>
    public RaftNode(RaftOptions options, MemberId self, RaftInitialState state, Random random)
    {
        _options = options;
        _random = random;
        _readSession = (ulong)random.NextInt64();
        Group = state.Group;
        Self = self;
        _hardState = state.HardState;
        _handedTerm = state.HardState.Term;
        _handedVote = state.HardState.Vote;
        _snapshot = state.Snapshot;
        _log = new EntryLog(state.Snapshot.Index, state.Snapshot.Term, state.Entries, state.HardState.Commit);
        _configurations = new ConfigurationHistory(state.Snapshot.Configuration, state.Snapshot.ConfigurationIndex);
        foreach (RaftEntry entry in state.Entries)
        {
            if (entry.Index > state.Snapshot.Index)
            {
                NoteConfiguration(entry);
            }
        }

        DrawElectionTimeout();
    }

    /// <summary>Whose log this is; messages of any other group are dropped.</summary>
    public RaftGroup Group { get; }

    public MemberId Self { get; }

    /// <summary>Not <see cref="RaftFault.None"/> once this member takes no part any more.</summary>
    public RaftFault Fault { get; private set; }

    public RaftRole Role { get; private set; } = RaftRole.Follower;

    /// <summary>The leader of the present term, or <see cref="MemberId.None"/>.</summary>
    public MemberId Leader { get; private set; }

    public ulong Term => _hardState.Term;

    public ulong CommitIndex => _log.Committed;

    public ulong LastIndex => _log.LastIndex;

    /// <summary>Everything up to here survives a crash of this member.</summary>
    public ulong DurableIndex => _log.Durable;

    /// <summary>The newest snapshot: what a member gets that lags behind the log.</summary>
    public RaftSnapshot Snapshot => _snapshot;

    private bool IsPromotable =>
        Fault == RaftFault.None
        && MayLead
        && _pendingSnapshot is null
        && !IsStorageStalled
        && (!_isStorageSpaceLow || Configuration is { IsJoint: false, Voters.Length: 1 });

    /// <summary>One tick passed.</summary>
    public void Tick()
    {
        if (Fault != RaftFault.None)
        {
            return;
        }

        TickStorage();
        TickReads();
        if (Role == RaftRole.Leader)
        {
            TickLeader();
            return;
        }

        _electionElapsed++;
        if (_electionElapsed >= _electionTimeout)
        {
            // Also who may not campaign itself must stop to stand by a leader that is silent, or its vote is missed.
            Leader = MemberId.None;
            FailReads();
            Campaign();
        }
    }

    /// <summary>Handles one message of a peer; nonsense and what is not for this member is dropped.</summary>
    public void Step(RaftMessage message)
    {
        bool isForThis = message.Group == Group && message.To == Self && message.From != Self && !message.From.IsNone;
        if (isForThis && message.Term <= TermMax && Fault == RaftFault.None)
        {
            Handle(message);
        }
    }

    /// <summary>
    /// The store failed or is known to be wrong, or the state is: this member hands leadership over if it leads, and takes
    /// no part any more. What <see cref="TakeReady"/> still gives is to be sent.
    /// </summary>
    public void Halt(RaftFault fault)
    {
        if (Fault != RaftFault.None || fault == RaftFault.None)
        {
            return;
        }

        if (Role == RaftRole.Leader)
        {
            HandOver();
        }

        BecomeFollower(Term, MemberId.None);
        Fault = fault;
        _awaitingNextWrite.Clear();
        _awaitingThisWrite.Clear();
    }

    private void Handle(RaftMessage message)
    {
        if (message.Term > Term && !AdoptTerm(message))
        {
            return;
        }

        if (message.Term < Term)
        {
            RefuseOldTerm(message);
            return;
        }

        switch (message)
        {
            case RaftMessage.VoteRequest request:
                HandleVoteRequest(request);
                break;
            case RaftMessage.VoteReply reply:
                HandleVoteReply(reply);
                break;
            case RaftMessage.AppendRequest request when HearLeader(request.From):
                HandleAppend(request);
                break;
            case RaftMessage.Heartbeat heartbeat when HearLeader(heartbeat.From):
                HandleHeartbeat(heartbeat);
                break;
            case RaftMessage.SnapshotChunk chunk when HearLeader(chunk.From):
                HandleSnapshotChunk(chunk);
                break;
            case RaftMessage.TimeoutNow timeout:
                HandleTimeoutNow(timeout);
                break;
            case RaftMessage.AppendReply reply when Role == RaftRole.Leader:
                HandleAppendReply(reply);
                break;
            case RaftMessage.HeartbeatReply reply when Role == RaftRole.Leader:
                HandleHeartbeatReply(reply);
                break;
            case RaftMessage.SnapshotChunkReply reply when Role == RaftRole.Leader:
                HandleSnapshotChunkReply(reply);
                break;
            case RaftMessage.ReadRequest request when Role == RaftRole.Leader:
                HandleReadRequest(request);
                break;
            case RaftMessage.ReadReply reply:
                HandleReadReply(reply);
                break;
            default:
                break;
        }
    }

    // False when the message must not be looked at any further.
    private bool AdoptTerm(RaftMessage message)
    {
        switch (message)
        {
            case RaftMessage.VoteRequest { IsTransfer: false } when IsLeaderHeard:
                // Stickiness: whoever still hears a leader does not help to depose it, and does not take the term.
                return false;
            case RaftMessage.VoteRequest { Pre: true }:
            case RaftMessage.VoteReply { Pre: true, Granted: true }:
                // Their term is only a question.
                return message is RaftMessage.VoteRequest || Role == RaftRole.PreCandidate;
            case RaftMessage.AppendRequest or RaftMessage.Heartbeat or RaftMessage.SnapshotChunk:
                BecomeFollower(message.Term, message.From);
                return true;
            default:
                BecomeFollower(message.Term, MemberId.None);
                return true;
        }
    }

    private bool IsLeaderHeard =>
        Role == RaftRole.Leader || (!Leader.IsNone && _electionElapsed < _options.ElectionTicks);

    private void RefuseOldTerm(RaftMessage message)
    {
        switch (message)
        {
            case RaftMessage.AppendRequest or RaftMessage.Heartbeat or RaftMessage.SnapshotChunk:
                // A leader of an older term must learn of the newer one, or it and this member ignore each other for
                // ever: with pre-vote this member can't get elected either (etcd's raft answers alike).
                SendWhenDurable(new RaftMessage.AppendReply(false, 0, 0, 0) { Group = Group, From = Self, To = message.From, Term = Term });
                break;
            case RaftMessage.VoteRequest { Pre: true }:
                SendWhenDurable(new RaftMessage.VoteReply(true, false) { Group = Group, From = Self, To = message.From, Term = Term });
                break;
            default:
                break;
        }
    }

    private void BecomeFollower(ulong term, MemberId leader)
    {
        EnterTerm(term);
        FailReads();
        Role = RaftRole.Follower;
        Leader = leader;
        TransferTarget = MemberId.None;
        _progress.Clear();
        _votes.Clear();
        _electionElapsed = 0;
        DrawElectionTimeout();
    }

    // The vote is forgotten only here, and only when the term grows: stepping down within a term must remember it.
    private void EnterTerm(ulong term)
    {
        if (term > Term)
        {
            _hardState = new HardState(term, MemberId.None, _hardState.Commit);
        }
    }

    private void DrawElectionTimeout() =>
        _electionTimeout = _options.ElectionTicks + _random.Next(_options.ElectionTicks + 1);

    private void NoteConfiguration(RaftEntry entry)
    {
        if (entry.Kind == RaftEntryKind.Configuration
            && ConfigurationCodec.TryDecode(entry.Data.Span, out Configuration? configuration))
        {
            _configurations.Append(entry.Index, configuration);
        }
    }
}

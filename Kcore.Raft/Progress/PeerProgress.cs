namespace Kcore.Raft;

/// <summary>What a leader knows about one member. All retrying is here and none in the transport.</summary>
internal sealed class PeerProgress(ulong next)
{
    // Last index of each append in flight, oldest first.
    private readonly Queue<ulong> _inFlight = new();

    // Ticks without an answer while one is due.
    private int _waitingTicks;
    private int _ticksSinceHeard;
    private int _ticksSinceHealthy;

    /// <summary>The member holds everything up to here durably.</summary>
    public ulong Match { get; private set; }

    /// <summary>The next entry to send.</summary>
    public ulong Next { get; private set; } = next;

    public FeedState State { get; private set; } = FeedState.Probe;

    /// <summary>Heard since the leader last counted its quorum.</summary>
    public bool IsActive { get; set; }

    /// <summary>The newest round of reads that the member confirmed.</summary>
    public ulong ReadRound { get; set; }

    /// <summary>It was told that this much is committed, if the message arrived.</summary>
    public ulong ToldCommit { get; private set; }

    /// <summary>Somebody there waits to hear that this much is committed.</summary>
    public ulong AwaitedCommit { get; set; }

    /// <summary>The snapshot under way while in <see cref="FeedState.Snapshot"/>.</summary>
    public OutgoingSnapshot? Snapshot { get; private set; }

    /// <summary>Where the piece of it that is under way begins; the member holds everything before.</summary>
    public uint SnapshotOffset { get; private set; }

    private bool IsProbeSent { get; set; }

    public PeerStatus Describe(MemberId member, bool isVoter) => new(
        member,
        isVoter,
        State,
        Match,
        Next,
        _inFlight.Count,
        _ticksSinceHeard,
        _ticksSinceHealthy,
        Snapshot is null ? 0 : SnapshotOffset,
        Snapshot?.Snapshot.Data.Length ?? 0);

    public bool MaySend(int window) => State switch
    {
        FeedState.Probe => !IsProbeSent,
        FeedState.Replicate => _inFlight.Count < window,
        _ => false,
    };

    public void Sent(ulong lastIndex, bool hasEntries)
    {
        if (State == FeedState.Probe)
        {
            IsProbeSent = true;
        }
        else if (hasEntries)
        {
            Next = lastIndex + 1;
            _inFlight.Enqueue(lastIndex);
        }
    }

    public void Told(ulong commit) => ToldCommit = Math.Max(ToldCommit, commit);

    public void BeginSnapshot(OutgoingSnapshot snapshot)
    {
        State = FeedState.Snapshot;
        Snapshot = snapshot;
        SnapshotOffset = 0;
        Next = snapshot.Snapshot.Index + 1;
        _inFlight.Clear();
        _waitingTicks = 0;
    }

    /// <summary>
    /// The member holds this much of the snapshot at <paramref name="index"/>; true if the piece that begins there is to
    /// be sent. An answer that changes nothing is a double: the piece under way will be answered or time out.
    /// </summary>
    public bool TakesChunkAt(ulong index, uint offset)
    {
        if (Snapshot is not { } snapshot || snapshot.Snapshot.Index != index || offset > snapshot.Snapshot.Data.Length)
        {
            return false;
        }

        _waitingTicks = 0;
        bool isOther = offset != SnapshotOffset && offset < snapshot.Snapshot.Data.Length;
        SnapshotOffset = offset;
        return isOther;
    }

    /// <summary>The member holds everything up to <paramref name="index"/> durably.</summary>
    public void Accept(ulong index)
    {
        _waitingTicks = 0;
        _ticksSinceHealthy = 0;
        while (_inFlight.TryPeek(out ulong oldest) && oldest <= index)
        {
            _inFlight.Dequeue();
        }

        Match = Math.Max(Match, index);
        Next = Math.Max(Next, Match + 1);

        // A snapshot's answer may be preceded by late answers to older appends, which must not end the waiting.
        if (State == FeedState.Probe || (State == FeedState.Snapshot && Match + 1 >= Next))
        {
            State = FeedState.Replicate;
            Snapshot = null;
            Next = Match + 1;
            IsProbeSent = false;
        }
    }

    /// <summary>The logs disagree at <paramref name="rejected"/> and may agree at <paramref name="hint"/>; false for a stale answer.</summary>
    public bool Reject(ulong rejected, ulong hint)
    {
        _waitingTicks = 0;
        if (rejected <= Match || (State == FeedState.Probe && rejected != Next - 1) || State == FeedState.Snapshot)
        {
            return false;
        }

        Next = Math.Max(State == FeedState.Probe ? Math.Min(rejected, hint + 1) : Match + 1, Match + 1);
        BecomeProbe();
        return true;
    }

    /// <summary>The member answered something.</summary>
    public void Heard()
    {
        IsActive = true;
        _ticksSinceHeard = 0;
    }

    /// <summary>The member answers heartbeats: a lost probe may be repeated at once.</summary>
    public void HeardAlive(bool isStalled, ulong lastIndex)
    {
        IsProbeSent = false;
        if (!isStalled && Match == lastIndex)
        {
            _ticksSinceHealthy = 0;
        }
    }

    /// <summary>Time passes; after <paramref name="retryTicks"/> without an answer what was sent counts as lost.</summary>
    public void Tick(int retryTicks)
    {
        _ticksSinceHeard++;
        _ticksSinceHealthy++;
        if (State == FeedState.Probe || (State == FeedState.Replicate && _inFlight.Count == 0))
        {
            _waitingTicks = 0;
            return;
        }

        if (++_waitingTicks >= retryTicks)
        {
            Next = Match + 1;
            BecomeProbe();
        }
    }

    private void BecomeProbe()
    {
        State = FeedState.Probe;
        Snapshot = null;
        IsProbeSent = false;
        ToldCommit = 0;
        _waitingTicks = 0;
        _inFlight.Clear();
    }
}

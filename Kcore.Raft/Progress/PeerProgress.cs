namespace Kcore.Raft;

/// <summary>How a leader feeds one follower.</summary>
internal enum FeedState
{
    /// <summary>Where the logs agree is unknown: one message at a time until it is found.</summary>
    Probe,

    /// <summary>Agreed: messages are sent ahead of their answers, within the window.</summary>
    Replicate,

    /// <summary>A snapshot is on its way and nothing else.</summary>
    Snapshot,
}

/// <summary>What a leader knows about one member. All retrying is here and none in the transport.</summary>
internal sealed class PeerProgress(ulong next)
{
    // Last index of each append in flight, oldest first.
    private readonly Queue<ulong> _inFlight = new();

    // Ticks without an answer while one is due.
    private int _waitingTicks;

    /// <summary>The member holds everything up to here durably.</summary>
    public ulong Match { get; private set; }

    /// <summary>The next entry to send.</summary>
    public ulong Next { get; private set; } = next;

    public FeedState State { get; private set; } = FeedState.Probe;

    /// <summary>Heard since the leader last counted its quorum.</summary>
    public bool IsActive { get; set; }

    private bool IsProbeSent { get; set; }

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

    public void SentSnapshot(ulong index)
    {
        State = FeedState.Snapshot;
        Next = index + 1;
        _inFlight.Clear();
        _waitingTicks = 0;
    }

    /// <summary>The member holds everything up to <paramref name="index"/>; true if that is news.</summary>
    public bool Accept(ulong index)
    {
        _waitingTicks = 0;
        while (_inFlight.TryPeek(out ulong oldest) && oldest <= index)
        {
            _inFlight.Dequeue();
        }

        bool isNews = index > Match;
        Match = Math.Max(Match, index);
        Next = Math.Max(Next, Match + 1);

        // A snapshot's answer may be preceded by late answers to older appends, which must not end the waiting.
        if (State == FeedState.Probe || (State == FeedState.Snapshot && Match + 1 >= Next))
        {
            State = FeedState.Replicate;
            Next = Match + 1;
            IsProbeSent = false;
        }

        return isNews;
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

    /// <summary>The member answers heartbeats: a lost probe may be repeated at once.</summary>
    public void HeardAlive() => IsProbeSent = false;

    /// <summary>Time passes; after <paramref name="retryTicks"/> without an answer what was sent counts as lost.</summary>
    public void Tick(int retryTicks)
    {
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
        IsProbeSent = false;
        _waitingTicks = 0;
        _inFlight.Clear();
    }
}

using System.Collections.Immutable;

namespace Kcore.Raft;

// What goes out, and what waits for the disk.
public sealed partial class RaftNode
{
    private readonly List<RaftMessage> _outbox = [];

    // Messages that must not leave before everything known now is durable, and those that wait for the write under way.
    private readonly List<RaftMessage> _awaitingNextWrite = [];
    private readonly List<RaftMessage> _awaitingThisWrite = [];

    private RaftSnapshot _snapshot;

    // Received and not yet durable; durable and not yet given to the state machine.
    private RaftSnapshot? _pendingSnapshot;
    private RaftSnapshot? _restore;

    private ulong _lastBatchId;
    private (ulong Index, ulong Term, RaftSnapshot? Snapshot)? _writing;
    private ulong _handedTerm;
    private MemberId _handedVote;
    private int _storageBusyTicks;
    private bool _isStorageSpaceLow;

    /// <summary>True while the oldest write hangs for too long: who can't write must neither lead nor ask to.</summary>
    public bool IsStorageStalled => _storageBusyTicks >= _options.StallTicks;

    /// <summary>
    /// True while a leader's snapshot takes the place of the log and is not durable yet: what was delivered before is not
    /// held any more, so no snapshot can be described.
    /// </summary>
    public bool IsInstalling => _pendingSnapshot is not null;

    private bool HasUnwritten =>
        _pendingSnapshot is not null || _log.Handed < _log.LastIndex || _handedTerm != Term || _handedVote != _hardState.Vote;

    /// <summary>
    /// What to do now. While a batch is being written no further one is given: what gathers meanwhile becomes the next,
    /// so many proposals share one sync.
    /// </summary>
    public Ready TakeReady()
    {
        FeedProposed();
        StartReadRound();
        StorageBatch? batch = null;
        if (_writing is null && HasUnwritten && Fault == RaftFault.None)
        {
            batch = StartBatch();
        }

        if (!HasUnwritten)
        {
            // All that these messages tell is written or being written.
            (_writing is null ? _outbox : _awaitingThisWrite).AddRange(_awaitingNextWrite);
            _awaitingNextWrite.Clear();
        }

        RaftSnapshot? restore = _restore;
        _restore = null;
        if (restore is not null)
        {
            _log.DeliverTo(restore.Index);
        }

        ImmutableArray<RaftEntry> committed = _pendingSnapshot is null && Fault == RaftFault.None
            ? _log.Slice(
                _log.Delivered + 1,
                Math.Min(_log.Committed, _log.Durable),
                _options.BatchEntriesMax,
                _options.BatchBytesMax)
            : [];
        if (!committed.IsEmpty)
        {
            _log.DeliverTo(committed[^1].Index);
        }

        ImmutableArray<RaftMessage> messages = [.. _outbox];
        _outbox.Clear();
        return new Ready(messages, batch, restore, committed, TakeAnswerableReads(), TakeFailedReads());
    }

    /// <summary>The batch with this id is durable.</summary>
    public void StorageAck(ulong batchId)
    {
        if (_writing is not { } written || batchId != _lastBatchId || Fault != RaftFault.None)
        {
            return;
        }

        _writing = null;
        _storageBusyTicks = 0;
        if (written.Snapshot is { } snapshot && ReferenceEquals(snapshot, _pendingSnapshot))
        {
            _pendingSnapshot = null;
            _restore = snapshot;
            _snapshot = snapshot;
        }

        _log.AcknowledgeTo(written.Index, written.Term);
        if (Role == RaftRole.Leader)
        {
            // The leader's own copy counts only now, in a cluster of one as in any other.
            NoteOwnDurable();
        }

        RaftMessage[] released = [.. _awaitingThisWrite];
        _awaitingThisWrite.Clear();
        foreach (RaftMessage message in released)
        {
            if (message.To == Self)
            {
                Handle(message);
            }
            else if (message.Term == Term || message is RaftMessage.VoteReply { Pre: true })
            {
                _outbox.Add(message);
            }
        }
    }

    /// <summary>
    /// Tells whether the store lives on its last reserve of room. A leader then refuses proposals and lets another one
    /// lead if it can; the only voter keeps leading, so that what exists can still be read.
    /// </summary>
    public void SetStorageSpaceLow(bool isLow)
    {
        _isStorageSpaceLow = isLow;
        if (isLow && Role == RaftRole.Leader)
        {
            HandOver();
        }
    }

    /// <summary>
    /// The shell stored <paramref name="snapshot"/>, which <see cref="DescribeSnapshot"/> made. The log before
    /// <paramref name="keepFrom"/> is forgotten.
    /// </summary>
    public void Compact(RaftSnapshot snapshot, ulong keepFrom)
    {
        if (snapshot.Index <= _snapshot.Index || snapshot.Index > _log.Delivered)
        {
            return;
        }

        _snapshot = snapshot;
        _log.CompactTo(Math.Min(keepFrom == 0 ? 0 : keepFrom - 1, snapshot.Index));
        _configurations.CompactTo(snapshot.Index);
    }

    /// <summary>Describes a snapshot of the state after the delivered entry <paramref name="index"/>; not while <see cref="IsInstalling"/>.</summary>
    public RaftSnapshot DescribeSnapshot(ulong index, ReadOnlyMemory<byte> data)
    {
        if (index > _log.Delivered || !_log.TryGetTerm(index, out ulong term))
        {
            throw new ArgumentOutOfRangeException(nameof(index), index, "Only a delivered entry that is still held can end a snapshot.");
        }

        (ulong configurationIndex, Configuration configuration) = _configurations.At(index);
        return new RaftSnapshot(index, term, configuration, configurationIndex, data);
    }

    private StorageBatch StartBatch()
    {
        ImmutableArray<RaftEntry> entries = _log.Slice(_log.Handed + 1, _log.LastIndex, int.MaxValue, int.MaxValue);
        _hardState = _hardState with { Commit = _log.Committed };
        _handedTerm = Term;
        _handedVote = _hardState.Vote;
        _log.HandTo(_log.LastIndex);
        _writing = (_log.LastIndex, _log.LastTerm, _pendingSnapshot);
        _awaitingThisWrite.AddRange(_awaitingNextWrite);
        _awaitingNextWrite.Clear();
        return new StorageBatch(++_lastBatchId, _hardState, entries, _pendingSnapshot);
    }

    private void TickStorage() => _storageBusyTicks = _writing is null ? 0 : _storageBusyTicks + 1;

    private void SendNow(RaftMessage message) => _outbox.Add(message);

    // Everything that a peer may count on after this member crashed.
    private void SendWhenDurable(RaftMessage message) => _awaitingNextWrite.Add(message);
}

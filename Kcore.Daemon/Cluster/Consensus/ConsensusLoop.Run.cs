using System.Collections.Immutable;
using Kcore.Daemon.Storage.RaftLog;
using Kcore.Raft;

namespace Kcore.Daemon.Cluster.Consensus;

// What the loop does. Everything in this file is done by whoever has the turn.
public sealed partial class ConsensusLoop<TResult, TChange>
{
    private readonly SortedDictionary<ulong, Proposal<TResult>> _appended = [];
    private readonly Queue<Proposal<TResult>> _waiting = new();

    private StorageWriter? _writer;
    private ulong _applied;
    private bool _isSnapshotUnderWay;
    private bool _isSpaceLow;
    private bool _isSpaceCheckUnderWay;
    private int _ticksSinceSpaceCheck;
    private ulong _snapshotDueAt;
    private TimeSpan _lastSync;
    private ConsensusFault _fault;
    private string? _faultText;

    private void Handle(Input input)
    {
        switch (input)
        {
            case Input.Propose { Proposal: var proposal } when _waiting.Count >= _options.InboxCapacity:
                Refuse(proposal, new ProposeException(ProposeFailure.Unavailable, "Too many requests wait for a leader."));
                break;
            case Input.Propose { Proposal: var proposal }:
                _waiting.Enqueue(proposal);
                break;
            case Input.Read { Answer: var answer }:
                answer(null);
                break;
            case Input.ReadCommitted { Waiting: var waiting }:
                Ask(waiting);
                break;
            case Input.Receive { Message: var message } when _fault == ConsensusFault.None:
                _node.Step(message);
                break;
            case Input.Storage { Outcome: var outcome }:
                HandleStorage(outcome);
                break;
            case Input.Tick:
                Volatile.Write(ref _isTickQueued, 0);
                if (_fault == ConsensusFault.None)
                {
                    _node.Tick();
                    CheckSpaceWhenDue();
                }

                RefuseOverdue();
                DropAbandonedReads();

                break;
            default:
                break;
        }
    }

    private void HandleStorage(StorageOutcome outcome)
    {
        switch (outcome)
        {
            case StorageOutcome.Written written:
                _lastSync = written.Duration;
                NoteSpace(written.IsSpaceLow);
                _node.StorageAck(written.BatchId);
                break;
            case StorageOutcome.SnapshotSaved saved:
                _isSnapshotUnderWay = false;
                NoteSpace(saved.IsSpaceLow);
                _node.Compact(saved.Snapshot, saved.KeepFrom);
                ConsensusLog.SnapshotSaved(_logger, saved.Snapshot.Index);
                break;
            case StorageOutcome.NoSnapshot none:
                // Not taken is not lost: the log still holds what it would have replaced. The next is tried later.
                _isSnapshotUnderWay = false;
                _snapshotDueAt = _applied + (ulong)_options.SnapshotEveryEntries;
                NoteSpace(true);
                ConsensusLog.NoSnapshot(_logger, none.Text);
                break;
            case StorageOutcome.SpaceChecked check:
                _isSpaceCheckUnderWay = false;
                NoteSpace(check.IsSpaceLow);
                break;
            case StorageOutcome.Failed failed when _fault == ConsensusFault.None:
                // Final for this instance: after a failed sync the kernel may have dropped what was written.
                Fail(ConsensusFault.DiskFailed, failed.Text);
                ConsensusLog.DiskFailed(_logger, failed.Text);
                break;
            default:
                break;
        }
    }

    // Does what the core asks for until it asks for nothing more.
    private void Advance()
    {
        while (_fault == ConsensusFault.None)
        {
            OfferWaiting();
            OfferReads();
            Ready ready = _node.TakeReady();
            Act(ready);
            if (_node.Fault == RaftFault.Corrupt && _fault == ConsensusFault.None)
            {
                Fail(ConsensusFault.StoreCorrupt, "The leader holds proof that this node's log lost what it had acknowledged.");
                ConsensusLog.StoreCorrupt(_logger);
            }

            // Looked at last: a member that the core has just halted has nothing to do either.
            if (ready.IsEmpty)
            {
                break;
            }
        }

        if (_fault != ConsensusFault.None)
        {
            while (_waiting.TryDequeue(out Proposal<TResult>? proposal))
            {
                Refuse(proposal, Stopped());
            }

            RefuseReads();
        }

        _isMoreToWrite = _handedTo < _node.LastIndex;
        PublishStatus();
        SendAnswers();
    }

    private void Act(Ready ready)
    {
        Send(ready);
        if (ready.Batch is { } batch)
        {
            _handedTo = _node.LastIndex;
            _writer!.Write(batch);
        }

        if (ready.Restore is { } snapshot)
        {
            Restore(snapshot);
        }

        Apply(ready.Committed);
        if (_fault == ConsensusFault.None)
        {
            AnswerReads(ready.Reads, ready.FailedReads);
        }

        SendAnswers();
        TakeSnapshotWhenDue();
    }

    private void Send(Ready ready)
    {
        if (!ready.Messages.IsEmpty)
        {
            _transport.Send(ready.Messages);
        }
    }

    // Who accepts nothing because its disk was full writes nothing either, so no write shows that there is room again.
    private void CheckSpaceWhenDue()
    {
        if (_isSpaceLow && !_isSpaceCheckUnderWay && ++_ticksSinceSpaceCheck >= _options.SpaceCheckTicks)
        {
            _ticksSinceSpaceCheck = 0;
            _isSpaceCheckUnderWay = true;
            _writer!.CheckSpace();
        }
    }

    private void NoteSpace(bool isLow)
    {
        if (isLow != _isSpaceLow)
        {
            _isSpaceLow = isLow;
            _node.SetStorageSpaceLow(isLow);
            ConsensusLog.Space(_logger, isLow);
        }
    }

    private void OfferWaiting()
    {
        if (_node.Role == RaftRole.Leader)
        {
            while (_waiting.TryDequeue(out Proposal<TResult>? proposal))
            {
                Append(proposal);
            }
        }
        else if (!_node.Leader.IsNone)
        {
            while (_waiting.TryDequeue(out Proposal<TResult>? proposal))
            {
                Refuse(proposal, new ProposeException(
                    ProposeFailure.NotLeader, $"{_node.Leader} leads the cluster's log.", _node.Leader));
            }
        }
    }

    private void Append(Proposal<TResult> proposal)
    {
        if (!proposal.TryBeginAppend())
        {
            return;
        }

        if (_machine.TryRefuse(proposal.Command, out TResult? refusal))
        {
            Grant(proposal, refusal);
            return;
        }

        ProposeOutcome outcome = _node.Propose(proposal.Command, out ulong index);
        if (outcome == ProposeOutcome.Appended)
        {
            proposal.Term = _node.Term;
            _appended[index] = proposal;
            return;
        }

        proposal.CancelAppend();
        Refuse(proposal, outcome switch
        {
            ProposeOutcome.NotLeader or ProposeOutcome.Transferring =>
                new ProposeException(ProposeFailure.NotLeader, "The leader is handing its seat over.", _node.TransferTarget),
            ProposeOutcome.StorageFull =>
                new ProposeException(ProposeFailure.Unavailable, "The disk of the leader's log is full."),
            _ => new ProposeException(ProposeFailure.Unavailable, "Too much waits for a quorum already."),
        });
    }

    private void Apply(ImmutableArray<RaftEntry> entries)
    {
        foreach (RaftEntry entry in entries)
        {
            TResult? result = default;
            bool hasResult = false;
            if (entry.Kind == RaftEntryKind.Command)
            {
                try
                {
                    (result, ImmutableArray<TChange> changes) = _machine.Apply(entry.Index, entry.Data);
                    hasResult = true;
                    _observer.Applied(entry.Index, result, changes);
                }
                catch (NewerVersionException newer)
                {
                    // Not skipped: it is executed after the upgrade, when the log is read again from the last snapshot.
                    FailTooOld(newer.Message);
                    return;
                }
                catch (Exception failure)
                {
                    // Going on would let this node's state differ from the others' for ever.
                    Fail(ConsensusFault.StateFailed, $"Entry {entry.Index} could not be applied: {failure.Message}");
                    ConsensusLog.StateFailed(_logger, entry.Index, failure);
                    return;
                }
            }

            _applied = entry.Index;
            if (!_appended.Remove(entry.Index, out Proposal<TResult>? proposal))
            {
                continue;
            }

            if (hasResult && proposal.Term == entry.Term)
            {
                Grant(proposal, result!);
            }
            else
            {
                // Another leader's entry took the place: this one is certainly not in the log.
                Refuse(proposal, new ProposeException(
                    ProposeFailure.NotLeader, "Leadership changed before the request was committed.", _node.Leader));
            }
        }
    }

    private void Restore(RaftSnapshot snapshot)
    {
        try
        {
            _machine.Restore(snapshot.Data);
            _observer.Restored(snapshot.Index, _machine.EnumerateAll());
        }
        catch (NewerVersionException newer)
        {
            FailTooOld(newer.Message);
            return;
        }
        catch (Exception failure)
        {
            Fail(ConsensusFault.StateFailed, $"The snapshot at {snapshot.Index} could not be restored: {failure.Message}");
            ConsensusLog.StateFailed(_logger, snapshot.Index, failure);
            return;
        }

        _applied = snapshot.Index;
        while (_appended.Count > 0 && _appended.Keys.First() is var index && index <= snapshot.Index)
        {
            _appended.Remove(index, out Proposal<TResult>? proposal);
            proposal!.Fail(UnknownOutcome());
        }
    }

    private void TakeSnapshotWhenDue()
    {
        if (_isSnapshotUnderWay
            || _node.IsInstalling
            || _fault != ConsensusFault.None
            || _applied < Math.Max(_snapshotDueAt, _node.Snapshot.Index + (ulong)_options.SnapshotEveryEntries))
        {
            return;
        }

        RaftSnapshot snapshot = _node.DescribeSnapshot(_applied, _machine.TakeSnapshot());
        ulong kept = Math.Min((ulong)_options.EntriesKeptBehindSnapshot, snapshot.Index);
        _isSnapshotUnderWay = true;
        _writer!.SaveSnapshot(snapshot, snapshot.Index - kept + 1);
    }

    private void FailTooOld(string text)
    {
        Fail(ConsensusFault.TooOld, text);
        ConsensusLog.TooOld(_logger, text);
    }

    private void Fail(ConsensusFault fault, string text)
    {
        _fault = fault;
        _faultText = text;

        // The last thing this member does is to pass the leader's seat on.
        _node.Halt(fault switch
        {
            ConsensusFault.DiskFailed => RaftFault.DiskFailed,
            ConsensusFault.StoreCorrupt => RaftFault.Corrupt,
            _ => RaftFault.StateDiverged,
        });
        Send(_node.TakeReady());

        // Whoever is told that it failed can read why.
        PublishStatus();
        FailAppended();
    }

    private void FailAppended()
    {
        foreach (Proposal<TResult> proposal in _appended.Values)
        {
            Refuse(proposal, UnknownOutcome());
        }

        _appended.Clear();
    }

    private void PublishStatus()
    {
        ConsensusStatus before = _status;
        _leaderlessSince = !_node.Leader.IsNone && _fault == ConsensusFault.None ? null : _leaderlessSince ?? _time.GetUtcNow();
        ConsensusStatus now = DescribeStatus();
        _status = now;
        if (before.Role == RaftRole.Leader && now.Role != RaftRole.Leader)
        {
            // Who leads next may commit these or not; whoever asked learns it fastest by asking there again.
            FailAppended();
        }

        bool isOtherRole = before.Term != now.Term || before.Role != now.Role || before.Leader != now.Leader;
        bool isOtherGroup = before.IsJoint != now.IsJoint
            || !before.Learners.SequenceEqual(now.Learners)
            || !before.Voters.SequenceEqual(now.Voters);
        if (isOtherRole)
        {
            ConsensusLog.RoleChanged(_logger, now.Role, now.Term, now.Leader);
        }

        if (isOtherGroup)
        {
            ConsensusLog.GroupChanged(_logger, string.Join(", ", now.Voters), now.IsJoint, string.Join(", ", now.Learners));
        }

        if (now.IsStorageStalled && !before.IsStorageStalled)
        {
            ConsensusLog.DiskHangs(_logger);
        }

        if (isOtherRole || isOtherGroup || before.Fault != now.Fault)
        {
            _observer.StatusChanged(now);
        }
    }

    private void Close()
    {
        _inbox.Close();
        while (_inbox.TryTake(out Input? input))
        {
            switch (input)
            {
                case Input.Propose { Proposal: var proposal }:
                    _waiting.Enqueue(proposal);
                    break;
                case Input.Read { Answer: var answer }:
                    answer(Stopped());
                    break;
                case Input.ReadCommitted { Waiting: var waiting }:
                    waiting.Answer(Stopped());
                    break;
                default:
                    break;
            }
        }

        RefuseReads();
        foreach (Proposal<TResult> proposal in _waiting)
        {
            Refuse(proposal, Stopped());
        }

        foreach (Proposal<TResult> proposal in _appended.Values)
        {
            Refuse(proposal, UnknownOutcome());
        }

        SendAnswers();
    }
}

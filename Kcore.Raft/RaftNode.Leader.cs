using System.Collections.Immutable;

namespace Kcore.Raft;

/// <summary>What became of a proposal.</summary>
public enum ProposeOutcome
{
    /// <summary>It stands in the leader's log, which is not a promise yet.</summary>
    Appended,

    /// <summary>Only the leader can propose.</summary>
    NotLeader,

    /// <summary>Too much waits for the quorum already.</summary>
    TooMuchUncommitted,

    /// <summary>Leadership is being given away.</summary>
    Transferring,

    /// <summary>The leader's disk is full.</summary>
    StorageFull,

    /// <summary>
    /// For configurations: the one before is not over yet, or the leader has committed nothing in its term so far.
    /// </summary>
    ChangeUnderWay,

    /// <summary>For configurations: it is in effect and committed already.</summary>
    Unchanged,
}

// Leading.
public sealed partial class RaftNode
{
    private readonly SortedDictionary<MemberId, PeerProgress> _progress = [];
    private int _heartbeatElapsed;
    private long _uncommittedBytes;
    private bool _hasUnfed;

    // The newest snapshot as it is sent; a member that is being fed an older one keeps that.
    private OutgoingSnapshot? _outgoing;

    /// <summary>On the leader: the members heard since it last counted its quorum, itself included. Elsewhere empty.</summary>
    public ImmutableArray<MemberId> ActiveMembers =>
        Role == RaftRole.Leader
            ? [.. Configuration.Members.Where(IsActive)]
            : [];

    /// <summary>On the leader: how each other member does. Elsewhere empty.</summary>
    public ImmutableArray<PeerStatus> Peers =>
        [.. _progress.Select(peer => peer.Value.Describe(peer.Key, Configuration.IsVoter(peer.Key)))];

    /// <summary>On the leader: how far <paramref name="member"/> is known to hold the log durably; else 0.</summary>
    public ulong MatchOf(MemberId member) =>
        Role != RaftRole.Leader ? 0
        : member == Self ? _log.Durable
        : _progress.TryGetValue(member, out PeerProgress? progress) ? progress.Match
        : 0;

    /// <summary>Appends a command to the log of the leader.</summary>
    /// <param name="data">At most <see cref="RaftEntry.EntryBytesMax"/> bytes, not changed afterwards.</param>
    /// <param name="index">Where it stands, if appended: it is committed when an entry of this term is delivered there.</param>
    public ProposeOutcome Propose(ReadOnlyMemory<byte> data, out ulong index)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(data.Length, RaftEntry.EntryBytesMax);
        index = 0;
        if (Role != RaftRole.Leader)
        {
            return ProposeOutcome.NotLeader;
        }

        if (!TransferTarget.IsNone)
        {
            return ProposeOutcome.Transferring;
        }

        if (_isStorageSpaceLow)
        {
            return ProposeOutcome.StorageFull;
        }

        var entry = new RaftEntry(_log.LastIndex + 1, Term, RaftEntryKind.Command, data);
        if (_uncommittedBytes + entry.Cost > _options.UncommittedBytesMax)
        {
            return ProposeOutcome.TooMuchUncommitted;
        }

        AppendOwn(entry);
        index = entry.Index;

        // Not fed yet: what is proposed in one go leaves in one message and does not fill the window one by one.
        _hasUnfed = true;
        return ProposeOutcome.Appended;
    }

    private void BecomeLeader()
    {
        Role = RaftRole.Leader;
        Leader = Self;
        _votes.Clear();
        _electionElapsed = 0;
        _heartbeatElapsed = 0;
        _termStart = _log.LastIndex + 1;
        _progress.Clear();
        TrackMembers();

        // Conservative: what earlier terms left counts as well.
        _uncommittedBytes = 0;
        for (ulong index = _log.Committed + 1; index <= _log.LastIndex; index++)
        {
            _uncommittedBytes += _log[index].Cost;
        }

        // Entries of earlier terms are committed only together with one of this term (Raft §5.4.2).
        AppendOwn(new RaftEntry(_log.LastIndex + 1, Term, RaftEntryKind.Empty, ReadOnlyMemory<byte>.Empty));
        FeedAll();
    }

    private void AppendOwn(RaftEntry entry)
    {
        _log.Append(entry);
        _uncommittedBytes += entry.Cost;
    }

    private void TickLeader()
    {
        if (IsStorageStalled)
        {
            // Heartbeats would keep a seat that this member can't fill: it can acknowledge nothing.
            HandOver();
            BecomeFollower(Term, MemberId.None);
            return;
        }

        _electionElapsed++;
        if (_electionElapsed >= _options.ElectionTicks)
        {
            _electionElapsed = 0;
            if (!JointQuorum.Holds(Configuration, IsActive))
            {
                BecomeFollower(Term, MemberId.None);
                return;
            }

            foreach (PeerProgress progress in _progress.Values)
            {
                progress.IsActive = false;
            }
        }

        foreach (PeerProgress progress in _progress.Values)
        {
            progress.Tick(_options.ElectionTicks);
        }

        // A round of reads is asked again every tick: what was lost keeps somebody waiting.
        if (++_heartbeatElapsed >= _options.HeartbeatTicks || _readsInRound.Count > 0)
        {
            _heartbeatElapsed = 0;
            SendHeartbeats();
            if (_isStorageSpaceLow)
            {
                HandOver();
            }
        }
        else
        {
            TellCommitted();
        }

        TickTransfer();
    }

    private void SendHeartbeats()
    {
        foreach ((MemberId member, PeerProgress progress) in _progress)
        {
            SendHeartbeat(member, progress);
        }
    }

    private void SendHeartbeat(MemberId member, PeerProgress progress)
    {
        ulong commit = TellableTo(progress);
        progress.Told(commit);
        SendNow(new RaftMessage.Heartbeat(commit)
        {
            Group = Group,
            From = Self,
            To = member,
            Term = Term,
            Round = _readRound,
        });
    }

    // What a commit changes at a follower waits for the next append that tells it anyway, and for a tick at most: a message
    // of its own, with its answer, would cost every follower as much again as the entry did. A lost one is made good by
    // the heartbeat, which tells it in any case.
    private void TellCommitted()
    {
        foreach ((MemberId member, PeerProgress progress) in _progress)
        {
            if (progress.ToldCommit < TellableTo(progress))
            {
                SendHeartbeat(member, progress);
            }
        }
    }

    // What the member was not seen to hold it could not commit.
    private ulong TellableTo(PeerProgress progress) => Math.Min(progress.Match, _log.Committed);

    // Somebody at that member waits for a read until it knows that this much is committed.
    private void TellAwaited(MemberId member, PeerProgress progress)
    {
        if (progress.ToldCommit < Math.Min(progress.AwaitedCommit, TellableTo(progress)))
        {
            SendHeartbeat(member, progress);
        }
    }

    private bool IsActive(MemberId member) =>
        member == Self || (_progress.TryGetValue(member, out PeerProgress? progress) && progress.IsActive);

    private void HandleHeartbeatReply(RaftMessage.HeartbeatReply reply)
    {
        if (_progress.TryGetValue(reply.From, out PeerProgress? progress))
        {
            progress.Heard();
            progress.HeardAlive(reply.IsStalled, _log.LastIndex);
            progress.ReadRound = Math.Max(progress.ReadRound, Math.Min(reply.Round, _readRound));
            ConfirmReads();
            if (progress.Match < _log.LastIndex)
            {
                Feed(reply.From, progress);
            }
        }
    }

    private void HandleSnapshotChunkReply(RaftMessage.SnapshotChunkReply reply)
    {
        if (_progress.TryGetValue(reply.From, out PeerProgress? progress))
        {
            progress.Heard();
            if (progress.TakesChunkAt(reply.Index, reply.Offset))
            {
                SendChunk(reply.From, progress);
            }
        }
    }

    private void HandleAppendReply(RaftMessage.AppendReply reply)
    {
        if (!_progress.TryGetValue(reply.From, out PeerProgress? progress) || reply.Index > _log.LastIndex)
        {
            return;
        }

        progress.Heard();
        if (!reply.Accepted)
        {
            if (progress.Reject(reply.Index, FindAgreement(reply)))
            {
                Feed(reply.From, progress);
            }

            return;
        }

        progress.Accept(reply.Index);
        if (!TryAdvanceCommit())
        {
            Feed(reply.From, progress);
        }

        if (Role == RaftRole.Leader)
        {
            TellAwaited(reply.From, progress);
        }

        if (reply.From == TransferTarget)
        {
            ContinueTransfer();
        }
    }

    // The largest index at which the logs may agree, given what the follower told about its own.
    private ulong FindAgreement(RaftMessage.AppendReply reply)
    {
        ulong index = Math.Min(reply.HintIndex, _log.LastIndex);
        while (index > _log.CompactedIndex && _log.TryGetTerm(index, out ulong own) && own > reply.HintTerm)
        {
            index--;
        }

        return index;
    }

    private void NoteOwnDurable() => TryAdvanceCommit();

    private bool TryAdvanceCommit()
    {
        ulong before = _log.Committed;
        ulong candidate = JointQuorum.CommittedIndex(Configuration, MatchOf);

        // Counting copies commits only entries of the own term (Raft §5.4.2, figure 8).
        if (candidate <= before || !_log.Matches(candidate, Term))
        {
            return false;
        }

        bool isUrgent = false;
        for (ulong index = before + 1; index <= candidate; index++)
        {
            RaftEntry entry = _log[index];
            _uncommittedBytes -= entry.Cost;
            isUrgent |= entry.Kind == RaftEntryKind.Configuration;
        }

        _log.CommitTo(candidate);
        FeedAll(isUrgent);
        AfterCommit();
        return true;
    }

    private void FeedProposed()
    {
        if (_hasUnfed && Role == RaftRole.Leader)
        {
            FeedAll();
        }

        _hasUnfed = false;
    }

    private void FeedAll(bool isUrgent = false)
    {
        foreach ((MemberId member, PeerProgress progress) in _progress)
        {
            if (!Feed(member, progress) && isUrgent && progress.State == FeedState.Replicate)
            {
                // Who left, or may lead from now on, is to learn it before anything happens to this leader.
                Send(member, progress, []);
            }
        }
    }

    private bool Feed(MemberId member, PeerProgress progress)
    {
        bool isSent = false;
        while (progress.MaySend(_options.WindowMessages) && (progress.Next <= _log.LastIndex || progress.State == FeedState.Probe))
        {
            if (!_log.TryGetTerm(progress.Next - 1, out _))
            {
                if (!ReferenceEquals(_outgoing?.Snapshot, _snapshot))
                {
                    _outgoing = new OutgoingSnapshot(_snapshot);
                }

                progress.BeginSnapshot(_outgoing);
                SendChunk(member, progress);
                return true;
            }

            Send(member, progress, _log.Slice(progress.Next, _log.LastIndex, _options.BatchEntriesMax, _options.BatchBytesMax));
            isSent = true;
        }

        return isSent;
    }

    private void SendChunk(MemberId member, PeerProgress progress)
    {
        OutgoingSnapshot outgoing = progress.Snapshot!;
        (RaftSnapshot header, uint totalBytes, ReadOnlyMemory<byte> data) =
            outgoing.PieceAt(progress.SnapshotOffset, _options.SnapshotChunkBytes);
        SendNow(new RaftMessage.SnapshotChunk(header, totalBytes, outgoing.Checksum, progress.SnapshotOffset, data)
        {
            Group = Group,
            From = Self,
            To = member,
            Term = Term,
        });
    }

    private void Send(MemberId member, PeerProgress progress, ImmutableArray<RaftEntry> entries)
    {
        ulong previous = progress.Next - 1;
        if (!_log.TryGetTerm(previous, out ulong previousTerm))
        {
            return;
        }

        SendNow(new RaftMessage.AppendRequest(previous, previousTerm, _log.Committed, entries)
        {
            Group = Group,
            From = Self,
            To = member,
            Term = Term,
        });
        ulong last = previous + (ulong)entries.Length;
        progress.Sent(last, !entries.IsEmpty);
        if (progress.State == FeedState.Replicate)
        {
            progress.Told(Math.Min(last, _log.Committed));
        }
    }
}

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
}

// Leading.
public sealed partial class RaftNode
{
    private readonly SortedDictionary<MemberId, PeerProgress> _progress = [];
    private int _heartbeatElapsed;
    private long _uncommittedBytes;

    /// <summary>On the leader: the members heard since it last counted its quorum, itself included. Elsewhere empty.</summary>
    public ImmutableArray<MemberId> ActiveMembers =>
        Role == RaftRole.Leader
            ? [.. Configuration.Members.Where(IsActive)]
            : [];

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

        var entry = new RaftEntry(_log.LastIndex + 1, Term, RaftEntryKind.Command, data);
        if (_uncommittedBytes + entry.Cost > _options.UncommittedBytesMax)
        {
            return ProposeOutcome.TooMuchUncommitted;
        }

        AppendOwn(entry);
        index = entry.Index;
        FeedAll();
        return ProposeOutcome.Appended;
    }

    private void BecomeLeader()
    {
        Role = RaftRole.Leader;
        Leader = Self;
        _votes.Clear();
        _electionElapsed = 0;
        _heartbeatElapsed = 0;
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

    private void TrackMembers()
    {
        foreach (MemberId member in Configuration.Members)
        {
            if (member != Self)
            {
                _progress.TryAdd(member, new PeerProgress(_log.LastIndex + 1));
            }
        }
    }

    private void TickLeader()
    {
        if (IsStorageStalled)
        {
            // Heartbeats would keep a seat that this member can't fill: it can acknowledge nothing.
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

        if (++_heartbeatElapsed >= _options.HeartbeatTicks)
        {
            _heartbeatElapsed = 0;
            foreach ((MemberId member, PeerProgress progress) in _progress)
            {
                SendNow(new RaftMessage.Heartbeat(Math.Min(progress.Match, _log.Committed))
                {
                    From = Self,
                    To = member,
                    Term = Term,
                });
            }
        }
    }

    private bool IsActive(MemberId member) =>
        member == Self || (_progress.TryGetValue(member, out PeerProgress? progress) && progress.IsActive);

    private void HandleHeartbeatReply(RaftMessage.HeartbeatReply reply)
    {
        if (_progress.TryGetValue(reply.From, out PeerProgress? progress))
        {
            progress.IsActive = true;
            progress.HeardAlive();
            if (progress.Match < _log.LastIndex)
            {
                Feed(reply.From, progress);
            }
        }
    }

    private void HandleAppendReply(RaftMessage.AppendReply reply)
    {
        if (!_progress.TryGetValue(reply.From, out PeerProgress? progress) || reply.Index > _log.LastIndex)
        {
            return;
        }

        progress.IsActive = true;
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

        for (ulong index = before + 1; index <= candidate; index++)
        {
            _uncommittedBytes -= _log[index].Cost;
        }

        _log.CommitTo(candidate);
        FeedAll(isCommitNews: true);
        return true;
    }

    private void FeedAll(bool isCommitNews = false)
    {
        foreach ((MemberId member, PeerProgress progress) in _progress)
        {
            if (!Feed(member, progress) && isCommitNews && progress.State == FeedState.Replicate)
            {
                // Followers apply as soon as they know; waiting for the heartbeat would cost up to a tick.
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
                SendNow(new RaftMessage.InstallSnapshot(_snapshot) { From = Self, To = member, Term = Term });
                progress.SentSnapshot(_snapshot.Index);
                return true;
            }

            Send(member, progress, _log.Slice(progress.Next, _log.LastIndex, _options.BatchEntriesMax, _options.BatchBytesMax));
            isSent = true;
        }

        return isSent;
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
            From = Self,
            To = member,
            Term = Term,
        });
        progress.Sent(previous + (ulong)entries.Length, !entries.IsEmpty);
    }
}

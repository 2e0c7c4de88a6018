using System.Collections.Immutable;

namespace Kcore.Raft;

// Following a leader.
public sealed partial class RaftNode
{
    private IncomingSnapshot? _incoming;

    // False if the sender can't be the leader of this term: there is one already. A leader never hears another of its
    // own term unless somebody is broken, and must not obey it.
    private bool HearLeader(MemberId leader)
    {
        if (Role == RaftRole.Leader || (!Leader.IsNone && Leader != leader))
        {
            return false;
        }

        if (Role != RaftRole.Follower)
        {
            BecomeFollower(Term, leader);
        }

        Leader = leader;
        _electionElapsed = 0;
        return true;
    }

    private void HandleAppend(RaftMessage.AppendRequest request)
    {
        if (!IsWellFormed(request))
        {
            return;
        }

        if (request.PrevIndex < _log.Committed)
        {
            // What is committed here can't differ; the answer takes the leader past it.
            Accept(request.From, _log.Committed);
            return;
        }

        if (!_log.Matches(request.PrevIndex, request.PrevTerm))
        {
            (ulong hintIndex, ulong hintTerm) = LastNotAbove(Math.Min(request.PrevIndex, _log.LastIndex), request.PrevTerm);
            SendWhenDurable(new RaftMessage.AppendReply(false, request.PrevIndex, hintIndex, hintTerm)
            {
                Group = Group,
                From = Self,
                To = request.From,
                Term = Term,
            });
            return;
        }

        _incoming = null;
        AppendUnlessHeld(request.Entries);
        ulong last = request.PrevIndex + (ulong)request.Entries.Length;
        _log.CommitTo(Math.Min(request.Commit, last));
        Accept(request.From, last);
    }

    // Entries that are held already are left alone, because a delayed request must not truncate what a later one added.
    private void AppendUnlessHeld(ImmutableArray<RaftEntry> entries)
    {
        bool isNew = false;
        foreach (RaftEntry entry in entries)
        {
            if (!isNew && _log.Matches(entry.Index, entry.Term))
            {
                continue;
            }

            if (!isNew && entry.Index <= _log.LastIndex)
            {
                _log.TruncateFrom(entry.Index);
                _configurations.TruncateFrom(entry.Index);
            }

            isNew = true;
            _log.Append(entry);
            NoteConfiguration(entry);
        }
    }

    private void HandleHeartbeat(RaftMessage.Heartbeat heartbeat)
    {
        if (heartbeat.Commit > _log.LastIndex)
        {
            // The leader never tells more than this member acknowledged to it in this term. So the disk forgot.
            Halt(RaftFault.Corrupt);
            return;
        }

        _log.CommitTo(heartbeat.Commit);
        SendNow(new RaftMessage.HeartbeatReply
        {
            Group = Group,
            From = Self,
            To = heartbeat.From,
            Term = Term,
            Round = heartbeat.Round,
            IsStalled = IsStorageStalled,
        });
    }

    private void HandleSnapshotChunk(RaftMessage.SnapshotChunk chunk)
    {
        RaftSnapshot header = chunk.Header;
        if (header.Index <= _log.Committed)
        {
            Accept(chunk.From, _log.Committed);
            return;
        }

        if (_log.Matches(header.Index, header.Term))
        {
            // The entries are here, so there is nothing to replace.
            _log.CommitTo(header.Index);
            Accept(chunk.From, header.Index);
            return;
        }

        if (!IsWellFormed(chunk))
        {
            return;
        }

        if (_incoming?.IsOf(chunk) != true)
        {
            _incoming = new IncomingSnapshot(chunk);
        }

        _incoming.Add(chunk);
        if (_incoming.IsComplete)
        {
            RaftSnapshot? snapshot = _incoming.Finish();
            _incoming = null;
            if (snapshot is not null)
            {
                Install(snapshot);
                Accept(chunk.From, snapshot.Index);
                return;
            }
        }

        SendNow(new RaftMessage.SnapshotChunkReply(header.Index, _incoming?.Held ?? 0)
        {
            Group = Group,
            From = Self,
            To = chunk.From,
            Term = Term,
        });
    }

    private void Install(RaftSnapshot snapshot)
    {
        _log.Reset(snapshot.Index, snapshot.Term);
        _configurations.Reset(snapshot.Configuration, snapshot.ConfigurationIndex);
        _pendingSnapshot = snapshot;
    }

    private void Accept(MemberId leader, ulong index) =>
        SendWhenDurable(new RaftMessage.AppendReply(true, index, 0, 0) { Group = Group, From = Self, To = leader, Term = Term });

    // The leader asks whether the logs agree at an entry of the given term. Where this log has a larger term they can't,
    // so whole terms are skipped instead of single entries (Raft §5.3, end).
    private (ulong Index, ulong Term) LastNotAbove(ulong index, ulong term)
    {
        while (index > _log.CompactedIndex && _log.TryGetTerm(index, out ulong own) && own > term)
        {
            index--;
        }

        _log.TryGetTerm(index, out ulong hintTerm);
        return (index, hintTerm);
    }

    private static bool IsWellFormed(RaftMessage.SnapshotChunk chunk) =>
        chunk.TotalBytes <= RaftSnapshot.DataBytesMax
        && chunk.Offset + (ulong)chunk.Data.Length <= chunk.TotalBytes
        && chunk.Header.Term <= chunk.Term
        && !chunk.Header.Configuration.Voters.IsEmpty;

    private static bool IsWellFormed(RaftMessage.AppendRequest request)
    {
        ulong index = request.PrevIndex;
        ulong term = request.PrevTerm;
        foreach (RaftEntry entry in request.Entries)
        {
            bool isConfigurationReadable = entry.Kind != RaftEntryKind.Configuration
                || ConfigurationCodec.TryDecode(entry.Data.Span, out _);
            if (entry.Index != ++index || entry.Term < term || entry.Term > request.Term || !isConfigurationReadable)
            {
                return false;
            }

            term = entry.Term;
        }

        return true;
    }
}

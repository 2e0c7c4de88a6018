using System.Collections.Immutable;

namespace Kcore.Raft;

// Reads that see everything that was committed when they were asked (Raft thesis §6.4), without any clock: a round of
// heartbeats shows that nobody else led meanwhile.
public sealed partial class RaftNode
{
    // On a leader: asked and not in a round yet, and those of the round under way.
    private readonly List<(MemberId Asker, ulong Session, ulong Token)> _readsWaiting = [];
    private readonly List<(MemberId Asker, ulong Session, ulong Token)> _readsInRound = [];

    // On a follower: asked the leader, with the ticks since.
    private readonly SortedDictionary<ulong, int> _readsForwarded = [];

    // Confirmed, and waiting until this much was delivered.
    private readonly List<(ulong Index, ulong Token)> _readsConfirmed = [];
    private readonly List<ulong> _readsFailed = [];

    // A token may come again after a restart; the answer to the earlier life must not pass for one to this.
    private readonly ulong _readSession;

    private ulong _readRound;
    private ulong _readIndex;

    /// <summary>
    /// Asks when the state here is fresh enough to answer a read that begins now. The token comes back in
    /// <see cref="Ready.Reads"/> or <see cref="Ready.FailedReads"/>. A follower asks the leader.
    /// </summary>
    /// <param name="token">The caller's name for the read; no other read under way here has it.</param>
    /// <returns>False if no leader is known or too many reads wait.</returns>
    public bool ReadIndex(ulong token)
    {
        int count = _readsWaiting.Count + _readsInRound.Count + _readsForwarded.Count + _readsConfirmed.Count;
        if (count >= _options.ReadsMax || Fault != RaftFault.None)
        {
            return false;
        }

        if (Role == RaftRole.Leader)
        {
            _readsWaiting.Add((Self, _readSession, token));
            return true;
        }

        if (Leader.IsNone || !_readsForwarded.TryAdd(token, 0))
        {
            return false;
        }

        SendNow(new RaftMessage.ReadRequest(_readSession, token) { Group = Group, From = Self, To = Leader, Term = Term });
        return true;
    }

    private void HandleReadRequest(RaftMessage.ReadRequest request)
    {
        // An asker that hears nothing gives up by itself.
        if (_readsWaiting.Count < _options.ReadsMax)
        {
            _readsWaiting.Add((request.From, request.Session, request.Token));
        }
    }

    private void HandleReadReply(RaftMessage.ReadReply reply)
    {
        if (reply.Session == _readSession && _readsForwarded.Remove(reply.Token))
        {
            _readsConfirmed.Add((reply.Index, reply.Token));
        }
    }

    // One round serves all that asked before it began; what comes meanwhile waits for the next. Before an entry of the
    // own term is committed a leader does not know yet what is committed.
    private void StartReadRound()
    {
        if (_readsWaiting.Count == 0 || _readsInRound.Count > 0 || !HasCommittedInTerm)
        {
            return;
        }

        _readsInRound.AddRange(_readsWaiting);
        _readsWaiting.Clear();
        _readRound++;
        _readIndex = _log.Committed;
        SendHeartbeats();
        ConfirmReads();
    }

    private void ConfirmReads()
    {
        if (_readsInRound.Count == 0 || !JointQuorum.Holds(Configuration, HasConfirmedRound))
        {
            return;
        }

        foreach ((MemberId asker, ulong session, ulong token) in _readsInRound)
        {
            if (asker == Self)
            {
                _readsConfirmed.Add((_readIndex, token));
            }
            else
            {
                SendNow(new RaftMessage.ReadReply(session, token, _readIndex) { Group = Group, From = Self, To = asker, Term = Term });
                if (_progress.TryGetValue(asker, out PeerProgress? progress))
                {
                    progress.AwaitedCommit = _readIndex;
                    TellAwaited(asker, progress);
                }
            }
        }

        _readsInRound.Clear();
    }

    private bool HasConfirmedRound(MemberId member) =>
        member == Self || (_progress.TryGetValue(member, out PeerProgress? progress) && progress.ReadRound >= _readRound);

    private void TickReads()
    {
        foreach ((ulong token, int ticks) in _readsForwarded.ToArray())
        {
            if (ticks + 1 >= _options.ElectionTicks)
            {
                _readsForwarded.Remove(token);
                _readsFailed.Add(token);
            }
            else
            {
                _readsForwarded[token] = ticks + 1;
            }
        }
    }

    // Whoever was asked is not the leader any more. What was confirmed before stays confirmed.
    private void FailReads()
    {
        _readsFailed.AddRange(_readsWaiting.Concat(_readsInRound).Where(read => read.Asker == Self).Select(read => read.Token));
        _readsFailed.AddRange(_readsForwarded.Keys);
        _readsWaiting.Clear();
        _readsInRound.Clear();
        _readsForwarded.Clear();
    }

    private ImmutableArray<ulong> TakeFailedReads()
    {
        ImmutableArray<ulong> failed = [.. _readsFailed];
        _readsFailed.Clear();
        return failed;
    }

    private ImmutableArray<ulong> TakeAnswerableReads()
    {
        if (_readsConfirmed.Count == 0)
        {
            return [];
        }

        ImmutableArray<ulong> answerable = [.. _readsConfirmed.Where(read => read.Index <= _log.Delivered).Select(read => read.Token)];
        _readsConfirmed.RemoveAll(read => read.Index <= _log.Delivered);
        return answerable;
    }
}

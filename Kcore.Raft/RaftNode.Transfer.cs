namespace Kcore.Raft;

/// <summary>What became of a request to transfer leadership.</summary>
public enum TransferOutcome
{
    /// <summary>It is under way: either this node stops leading, or <see cref="RaftNode.TransferTarget"/> becomes nobody again.</summary>
    Started,

    /// <summary>Only the leader can give leadership away.</summary>
    NotLeader,

    /// <summary>The target does not vote in the present configuration.</summary>
    NotAVoter,

    /// <summary>The target leads already.</summary>
    IsSelf,

    /// <summary>Another transfer is under way.</summary>
    UnderWay,
}

// Giving leadership away (Raft thesis §3.10).
public sealed partial class RaftNode
{
    private int _transferElapsed;

    /// <summary>On a leader that gives leadership away: to whom; else <see cref="MemberId.None"/>.</summary>
    public MemberId TransferTarget { get; private set; }

    /// <summary>
    /// Gives leadership to <paramref name="target"/> as soon as its log is complete. Proposals are refused meanwhile, and
    /// accepted again when it did not succeed within one election time-out.
    /// </summary>
    public TransferOutcome Transfer(MemberId target)
    {
        if (Role != RaftRole.Leader)
        {
            return TransferOutcome.NotLeader;
        }

        if (target == Self)
        {
            return TransferOutcome.IsSelf;
        }

        if (!Configuration.Voters.Contains(target))
        {
            return TransferOutcome.NotAVoter;
        }

        if (!TransferTarget.IsNone)
        {
            return TransferOutcome.UnderWay;
        }

        TransferTarget = target;
        _transferElapsed = 0;
        ContinueTransfer();
        return TransferOutcome.Started;
    }

    private void TickTransfer()
    {
        if (TransferTarget.IsNone)
        {
            return;
        }

        if (++_transferElapsed >= _options.ElectionTicks)
        {
            TransferTarget = MemberId.None;
            return;
        }

        // The request may have been lost.
        ContinueTransfer();
    }

    private void ContinueTransfer()
    {
        if (!TransferTarget.IsNone && IsComplete(TransferTarget))
        {
            SendTimeoutNow(TransferTarget);
        }
    }

    // A leader that can't or may not go on asks one to take over who lacks nothing, which saves an election time-out.
    private void HandOver()
    {
        foreach (MemberId voter in Configuration.Voters)
        {
            if (voter != Self && IsActive(voter) && IsComplete(voter))
            {
                SendTimeoutNow(voter);
                return;
            }
        }
    }

    private bool IsComplete(MemberId member) =>
        _progress.TryGetValue(member, out PeerProgress? progress) && progress.Match == _log.LastIndex;

    private void SendTimeoutNow(MemberId target) => SendNow(new RaftMessage.TimeoutNow(_log.LastIndex, _log.LastTerm)
    {
        Group = Group,
        From = Self,
        To = target,
        Term = Term,
    });

    // Only from the leader of this very term, and only with its whole log here: else a late or forged request would cost
    // the group an election that nobody can win.
    private void HandleTimeoutNow(RaftMessage.TimeoutNow request)
    {
        bool isComplete = _log.LastTerm == request.LastTerm && _log.LastIndex >= request.LastIndex;
        if (Role == RaftRole.Follower && request.From == Leader && isComplete && IsPromotable)
        {
            BecomeCandidate(isTransfer: true);
        }
    }
}

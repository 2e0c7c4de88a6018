namespace Kcore.Raft;

// Elections.
public sealed partial class RaftNode
{
    private readonly SortedDictionary<MemberId, bool> _votes = [];

    /// <summary>
    /// Asks for leadership now instead of after the election time-out: right for the only voter, who has nobody to
    /// disturb. Without effect on a leader or on who may not vote.
    /// </summary>
    public void Campaign()
    {
        _electionElapsed = 0;
        DrawElectionTimeout();
        if (Role == RaftRole.Leader || !IsPromotable)
        {
            return;
        }

        // The pre-vote changes neither term nor vote, so being cut off does not disturb the others on return.
        FailReads();
        Role = RaftRole.PreCandidate;
        Leader = MemberId.None;
        _votes.Clear();
        RequestVotes(isPreVote: true, isTransfer: false, Term + 1);
        CountVote(Self, isGranted: true);
    }

    private void BecomeCandidate(bool isTransfer)
    {
        FailReads();
        Role = RaftRole.Candidate;
        Leader = MemberId.None;
        _hardState = new HardState(Term + 1, Self, _hardState.Commit);
        _votes.Clear();
        _electionElapsed = 0;
        DrawElectionTimeout();

        // The own vote counts when it is durable, like everybody else's; so does the right to ask.
        SendWhenDurable(new RaftMessage.VoteReply(false, true) { Group = Group, From = Self, To = Self, Term = Term });
        RequestVotes(isPreVote: false, isTransfer, Term);
    }

    private void RequestVotes(bool isPreVote, bool isTransfer, ulong term)
    {
        foreach (MemberId voter in Configuration.Members)
        {
            if (voter != Self && Configuration.IsVoter(voter))
            {
                var request = new RaftMessage.VoteRequest(isPreVote, _log.LastIndex, _log.LastTerm)
                {
                    Group = Group,
                    From = Self,
                    To = voter,
                    Term = term,
                    IsTransfer = isTransfer,
                };
                if (isPreVote)
                {
                    SendNow(request);
                }
                else
                {
                    SendWhenDurable(request);
                }
            }
        }
    }

    // Decided by term, log and stickiness alone, not by the configuration: a member promoted a moment ago may be needed
    // for the quorum before it knows that it votes.
    private void HandleVoteRequest(RaftMessage.VoteRequest request)
    {
        bool isFree = _hardState.Vote == request.From
            || (_hardState.Vote.IsNone && Leader.IsNone)
            || (request.Pre && request.Term > Term);
        bool isGranted = isFree && _log.IsUpToDate(request.LastIndex, request.LastTerm);
        if (isGranted && !request.Pre)
        {
            _hardState = _hardState with { Vote = request.From };
            _electionElapsed = 0;
        }

        SendWhenDurable(new RaftMessage.VoteReply(request.Pre, isGranted)
        {
            Group = Group,
            From = Self,
            To = request.From,
            Term = isGranted ? request.Term : Term,
        });
    }

    private void HandleVoteReply(RaftMessage.VoteReply reply)
    {
        bool isAwaited = reply.Pre
            ? Role == RaftRole.PreCandidate && (!reply.Granted || reply.Term == Term + 1)
            : Role == RaftRole.Candidate;
        if (isAwaited)
        {
            CountVote(reply.From, reply.Granted);
        }
    }

    private void CountVote(MemberId voter, bool isGranted)
    {
        // The first answer counts; a repeated or contradicting one does not.
        _votes.TryAdd(voter, isGranted);
        switch (JointQuorum.Tally(Configuration, member => _votes.TryGetValue(member, out bool vote) ? vote : null))
        {
            case VoteTally.Won when Role == RaftRole.PreCandidate:
                BecomeCandidate(isTransfer: false);
                break;
            case VoteTally.Won:
                BecomeLeader();
                break;
            case VoteTally.Lost:
                BecomeFollower(Term, MemberId.None);
                break;
            default:
                break;
        }
    }
}

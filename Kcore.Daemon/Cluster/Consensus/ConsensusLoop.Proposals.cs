namespace Kcore.Daemon.Cluster.Consensus;

// Proposals that nobody awaits: their answers are gathered while entries are applied and leave together.
public sealed partial class ConsensusLoop<TResult, TChange>
{
    private readonly HashSet<IProposalAnswers<TResult>> _answered = [];

    /// <summary>
    /// As <see cref="ProposeAsync"/>, for who has many under way: the answer, or the refusal, is told to
    /// <paramref name="answers"/> exactly once, perhaps before this returns. Any thread.
    /// </summary>
    /// <param name="command">At most <see cref="Kcore.Raft.RaftEntry.EntryBytesMax"/> bytes; not changed afterwards.</param>
    /// <param name="number">The caller's name for it.</param>
    /// <param name="answers">Where the answer goes.</param>
    public void Propose(ReadOnlyMemory<byte> command, ulong number, IProposalAnswers<TResult> answers)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(command.Length, Kcore.Raft.RaftEntry.EntryBytesMax);
        ProposeException? refusal = TryEnqueue(new Input.Propose(new Proposal<TResult>(command, _time.GetTimestamp(), number, answers))) switch
        {
            EnqueueOutcome.Full => new ProposeException(ProposeFailure.Unavailable, "Too many requests wait for the cluster's log."),
            EnqueueOutcome.Closed => Stopped(),
            _ => null,
        };
        if (refusal is not null)
        {
            answers.Refuse(number, refusal);
            answers.Send();
        }
    }

    private void Grant(Proposal<TResult> proposal, TResult result)
    {
        proposal.Succeed(result);
        Note(proposal);
    }

    private void Refuse(Proposal<TResult> proposal, ProposeException failure)
    {
        proposal.Fail(failure);
        Note(proposal);
    }

    private void Note(Proposal<TResult> proposal)
    {
        if (proposal.Answers is { } answers)
        {
            _answered.Add(answers);
        }
    }

    private void SendAnswers()
    {
        if (_answered.Count == 0)
        {
            return;
        }

        foreach (IProposalAnswers<TResult> answers in _answered)
        {
            answers.Send();
        }

        _answered.Clear();
    }

    // Both are in the order in which they were asked.
    private void RefuseOverdue()
    {
        while (_waiting.TryPeek(out Proposal<TResult>? waiting) && IsOverdue(waiting))
        {
            _waiting.Dequeue();
            if (waiting.TryAbandon())
            {
                Refuse(waiting, NoLeader(_status));
            }
        }

        while (_appended.Count > 0 && _appended.First() is var (index, appended) && IsOverdue(appended))
        {
            _appended.Remove(index);
            Refuse(appended, UnknownOutcome());
        }
    }

    private bool IsOverdue(Proposal<TResult> proposal) => _time.GetElapsedTime(proposal.Asked) >= _options.ProposeTimeout;
}

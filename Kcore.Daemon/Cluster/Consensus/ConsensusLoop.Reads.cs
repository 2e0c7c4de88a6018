using System.Collections.Immutable;

namespace Kcore.Daemon.Cluster.Consensus;

// Reads that miss nothing that was committed when they were asked, whichever member is asked. The core has the leader
// prove that it still leads; here are those who wait for it.
public sealed partial class ConsensusLoop<TResult, TChange>
{
    // All that ask between two rounds share the next one, and there is one at a time: a crowd costs what two readers cost.
    private readonly List<WaitingRead> _readsWaiting = [];
    private readonly List<WaitingRead> _readsAsked = [];
    private ulong _readToken;

    /// <summary>
    /// Runs <paramref name="read"/> on the loop as soon as everything is applied here that was committed anywhere when
    /// this was called (read-index, Raft thesis §6.4). Not bounded in time but by the token. Any thread.
    /// </summary>
    /// <param name="read">Looks at the state machine; quick, as for <see cref="ReadAsync"/>.</param>
    /// <param name="cancellationToken">Gives up; it costs nobody anything.</param>
    /// <exception cref="ProposeException">
    /// NotLeader: no leader is known, or it was lost before a quorum confirmed it; ask again. Unavailable: too much waits.
    /// Stopped: this member takes no part.
    /// </exception>
    public async Task<T> ReadCommittedAsync<T>(Func<T> read, CancellationToken cancellationToken)
    {
        var completion = new TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously);
        var waiting = new WaitingRead(refusal => Complete(completion, read, refusal), () => completion.Task.IsCompleted);
        switch (TryEnqueue(new Input.ReadCommitted(waiting)))
        {
            case EnqueueOutcome.Full:
                throw new ProposeException(ProposeFailure.Unavailable, "Too many requests wait for the cluster's log.");
            case EnqueueOutcome.Closed:
                throw Stopped();
            default:
                break;
        }

        try
        {
            return await completion.Task.WaitAsync(cancellationToken);
        }
        catch (OperationCanceledException)
        {
            // The loop sees by it that nobody waits any more.
            completion.TrySetCanceled(cancellationToken);
            throw;
        }
    }

    private void Ask(WaitingRead read)
    {
        if (_readsWaiting.Count >= _options.InboxCapacity)
        {
            read.Answer(new ProposeException(ProposeFailure.Unavailable, "Too many reads wait for the cluster's log."));
            return;
        }

        _readsWaiting.Add(read);
    }

    private void OfferReads()
    {
        if (_readsWaiting.Count == 0 || _readsAsked.Count > 0)
        {
            return;
        }

        if (_node.ReadIndex(++_readToken))
        {
            _readsAsked.AddRange(_readsWaiting);
            _readsWaiting.Clear();
        }
        else
        {
            Answer(_readsWaiting, NoLeader(_status));
        }
    }

    // Called after everything of the same round was applied.
    private void AnswerReads(ImmutableArray<ulong> confirmed, ImmutableArray<ulong> failed)
    {
        if (_readsAsked.Count == 0)
        {
            return;
        }

        if (failed.Contains(_readToken))
        {
            Answer(_readsAsked, new ProposeException(ProposeFailure.NotLeader, "No quorum confirmed that the leader still leads.", _node.Leader));
        }
        else if (confirmed.Contains(_readToken))
        {
            Answer(_readsAsked, null);
        }
    }

    // Whoever still waits has nobody to answer for the state.
    private void RefuseReads()
    {
        Answer(_readsAsked, Stopped());
        Answer(_readsWaiting, Stopped());
    }

    private void DropAbandonedReads() => _readsWaiting.RemoveAll(r => r.IsOver);

    private static void Answer(List<WaitingRead> reads, ProposeException? refusal)
    {
        foreach (WaitingRead read in reads)
        {
            read.Answer(refusal);
        }

        reads.Clear();
    }

    private static void Complete<T>(TaskCompletionSource<T> completion, Func<T> read, Exception? refusal)
    {
        try
        {
            if (refusal is null && !completion.Task.IsCompleted)
            {
                completion.TrySetResult(read());
            }
            else if (refusal is not null)
            {
                completion.TrySetException(refusal);
            }
        }
        catch (Exception failure)
        {
            // The reader's own fault goes back to the reader; the loop serves others too.
            completion.TrySetException(failure);
        }
    }

    private sealed class WaitingRead(Action<Exception?> answer, Func<bool> isOver)
    {
        /// <summary>Nobody waits for it any more.</summary>
        public bool IsOver => isOver();

        /// <summary>Null runs the read.</summary>
        public void Answer(Exception? refusal) => answer(refusal);
    }
}

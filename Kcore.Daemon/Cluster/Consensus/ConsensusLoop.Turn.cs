using Kcore.Raft;

namespace Kcore.Daemon.Cluster.Consensus;

// Who works: the loop has a thread of its own, and whoever brings an input to an idle loop does the work instead of waking
// it. A wake-up costs more than what there is to do, and without this a commit would wait for a dozen of them.
public sealed partial class ConsensusLoop<TResult, TChange>
{
    private const int InputsPerRound = 256;

    // Who lends itself has work of its own.
    private const int LentRounds = 4;

    private Exception? _failure;

    // Read by the writer's thread: the next batch waits for it already, so it has no time for this one's consequences.
    private volatile bool _isMoreToWrite;
    private ulong _handedTo;

    /// <summary>
    /// Runs the member until cancelled: between a commit and its answer nothing waits for what else the daemon does. Call
    /// it once. Returns normally after cancellation.
    /// </summary>
    public async Task RunAsync(CancellationToken stoppingToken)
    {
        RaftSnapshot snapshot = _node.Snapshot;
        ConsensusLog.Opened(
            _logger, _node.Self, _store.Identity.ClusterId, _node.Term, _node.LastIndex, snapshot.Index);
        _handedTo = _node.LastIndex;
        await using var writer = new StorageWriter(
            _store, _time, outcome => Post(new Input.Storage(outcome), mayWork: !_isMoreToWrite));
        _writer = writer;

        // Before this returns to its caller the state is what the snapshot says.
        if (snapshot.Index > 0)
        {
            Restore(snapshot);
        }

        if (_node.Configuration is { IsJoint: false, Voters: [var only] } && only == _node.Self)
        {
            // Nobody else could be leading, so there is nothing to wait for.
            _node.Campaign();
        }

        Advance();
        _observer.Opened(_applied);
        await using ITimer timer = _time.CreateTimer(
            _ => EnqueueTick(), null, _options.TickInterval, _options.TickInterval);
        await using CancellationTokenRegistration stop = stoppingToken.Register(_inbox.Stop);
        var ended = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        new Thread(() => Run(ended)) { IsBackground = true, Name = "raft" }.Start();
        await ended.Task;
    }

    // The first turn, begun in RunAsync, is the thread's.
    private void Run(TaskCompletionSource ended)
    {
        do
        {
            Work(int.MaxValue);
        }
        while (_inbox.WaitForTurn());

        Close();
        if (_failure is { } failure)
        {
            ended.SetException(failure);
        }
        else
        {
            ended.SetResult();
        }
    }

    private bool Post(Input input, bool mayWork = true)
    {
        bool isTaken = _inbox.TryAdd(input, mayWork, out bool isTurn);
        if (isTurn)
        {
            Work(LentRounds);
        }

        return isTaken;
    }

    private void Work(int rounds)
    {
        try
        {
            for (int round = 0; round < rounds; round++)
            {
                for (int i = 0; i < InputsPerRound && _inbox.TryTake(out Input? input); i++)
                {
                    if (input.IsCounted)
                    {
                        Interlocked.Decrement(ref _queuedCount);
                    }

                    Handle(input);
                }

                Advance();
                if (_inbox.TryEndTurn())
                {
                    return;
                }
            }

            _inbox.LeaveTurn();
        }
        catch (Exception failure)
        {
            // It is the loop's and not that of whoever lent itself; the loop's thread ends with it.
            _failure = failure;
            _inbox.Stop();
            _inbox.LeaveTurn();
        }
    }
}

namespace Kcore.Simulation.Raft;

/// <summary>Time that passes only when the next thing happens. Things of one moment happen in the order they were planned.</summary>
internal sealed class VirtualClock
{
    private readonly PriorityQueue<Action, (long At, long Number)> _plan = new();
    private long _planned;

    /// <summary>Microseconds since the beginning.</summary>
    public long Now { get; private set; }

    /// <summary>Things that happened so far.</summary>
    public long Events { get; private set; }

    public void After(long micros, Action what) => _plan.Enqueue(what, (Now + Math.Max(0, micros), _planned++));

    /// <summary>Lets everything happen up to <paramref name="until"/>, or until <paramref name="isDone"/>.</summary>
    public bool RunUntil(long until, Func<bool>? isDone = null)
    {
        while (_plan.TryPeek(out _, out (long At, long Number) next) && next.At <= until)
        {
            Now = next.At;
            Events++;
            _plan.Dequeue()();
            if (isDone?.Invoke() == true)
            {
                return true;
            }
        }

        Now = until;
        return false;
    }
}

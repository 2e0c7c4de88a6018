using System.Diagnostics.CodeAnalysis;

namespace Kcore.Daemon.Cluster.Consensus;

/// <summary>
/// What waits for the consensus loop, and whose turn it is to do it. Whoever adds to an idle loop may take the turn and do
/// the work itself, so that between a message and its answer no other thread has to wake up; what is added meanwhile is
/// left to whoever has the turn. There is never more than one.
/// </summary>
internal sealed class ConsensusInbox<T>
    where T : class
{
    // A monitor and not a channel: the one who waits is a thread, and a pulse reaches it without a detour through the pool.
    private readonly object _door = new();
    private readonly Queue<T> _items = new();

    // Somebody has the turn; at first whoever starts the loop.
    private bool _isTaken = true;

    // It was left to the loop's own thread, which may not be awake yet.
    private bool _isLeft;
    private bool _isStopped;
    private bool _isClosed;

    /// <summary>Any thread. False after <see cref="Close"/>.</summary>
    /// <param name="item">What is to be done.</param>
    /// <param name="mayWork">The caller has time: if the loop is idle it takes the turn. Otherwise the loop's thread is woken.</param>
    /// <param name="isTurn">It is the caller's turn: it works until <see cref="TryEndTurn"/> or <see cref="LeaveTurn"/>.</param>
    public bool TryAdd(T item, bool mayWork, out bool isTurn)
    {
        lock (_door)
        {
            isTurn = false;
            if (_isClosed)
            {
                return false;
            }

            _items.Enqueue(item);
            if (!_isTaken)
            {
                _isTaken = true;
                isTurn = mayWork && !_isStopped;
                if (!isTurn)
                {
                    Leave();
                }
            }

            return true;
        }
    }

    /// <summary>For who has the turn: the next piece of work.</summary>
    public bool TryTake([NotNullWhen(true)] out T? item)
    {
        lock (_door)
        {
            return _items.TryDequeue(out item);
        }
    }

    /// <summary>Gives the turn up; false if there is more to do and it was not.</summary>
    public bool TryEndTurn()
    {
        lock (_door)
        {
            if (_items.Count > 0 && !_isStopped)
            {
                return false;
            }

            _isTaken = false;
            if (_isStopped)
            {
                Monitor.Pulse(_door);
            }

            return true;
        }
    }

    /// <summary>Gives the turn to the loop's own thread, with whatever there is still to do.</summary>
    public void LeaveTurn()
    {
        lock (_door)
        {
            Leave();
        }
    }

    /// <summary>For the loop's own thread, which does not have the turn: sleeps until it does. False after <see cref="Stop"/>: the turn is the last.</summary>
    public bool WaitForTurn()
    {
        lock (_door)
        {
            while (!_isLeft && !(_isStopped && !_isTaken))
            {
                Monitor.Wait(_door);
            }

            _isLeft = false;
            _isTaken = true;
            return !_isStopped;
        }
    }

    /// <summary>Makes <see cref="WaitForTurn"/> return false as soon as nobody has the turn. Any thread.</summary>
    public void Stop()
    {
        lock (_door)
        {
            _isStopped = true;
            Monitor.Pulse(_door);
        }
    }

    /// <summary>Nothing is added from now on; what is inside can still be taken.</summary>
    public void Close()
    {
        lock (_door)
        {
            _isClosed = true;
        }
    }

    private void Leave()
    {
        _isLeft = true;
        Monitor.Pulse(_door);
    }
}

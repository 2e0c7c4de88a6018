using System.Diagnostics.CodeAnalysis;

namespace Kcore.Daemon.Cluster.Consensus;

/// <summary>
/// What waits for the consensus loop: many add, one thread takes and sleeps while there is nothing. Whoever adds wakes that
/// thread and no other.
/// </summary>
internal sealed class ConsensusInbox<T>
    where T : class
{
    // A monitor and not a channel: the reader is a thread, and a pulse reaches it without a detour through the pool.
    private readonly object _door = new();
    private readonly Queue<T> _items = new();
    private bool _isStopped;
    private bool _isClosed;

    /// <summary>False after <see cref="Close"/>. Any thread.</summary>
    public bool TryAdd(T item)
    {
        lock (_door)
        {
            if (_isClosed)
            {
                return false;
            }

            _items.Enqueue(item);
            if (_items.Count == 1)
            {
                Monitor.Pulse(_door);
            }

            return true;
        }
    }

    /// <summary>Makes <see cref="Wait"/> return false from now on. Any thread.</summary>
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

    /// <summary>Sleeps until there is something; false after <see cref="Stop"/>.</summary>
    public bool Wait()
    {
        lock (_door)
        {
            while (_items.Count == 0 && !_isStopped)
            {
                Monitor.Wait(_door);
            }

            return !_isStopped;
        }
    }

    public bool TryTake([NotNullWhen(true)] out T? item)
    {
        lock (_door)
        {
            return _items.TryDequeue(out item);
        }
    }
}

namespace Kcore.Daemon.Reconciliation;

/// <summary>
/// An immutable snapshot that one owner replaces whole and many read, with a signal that it was replaced. Readers that are
/// slow see the newest snapshot, not every one: what follows is computed from state, never from the event.
/// </summary>
internal sealed class Published<T>(T initial)
    where T : class
{
    private readonly Lock _swap = new();
    private TaskCompletionSource _changed = NewSignal();
    private T _current = initial;
    private long _revision;

    public T Current => Volatile.Read(ref _current);

    public (T Value, long Revision) Read()
    {
        lock (_swap)
        {
            return (_current, _revision);
        }
    }

    public void Replace(T value)
    {
        TaskCompletionSource signal;
        lock (_swap)
        {
            _current = value;
            _revision++;
            signal = _changed;
            _changed = NewSignal();
        }

        signal.SetResult();
    }

    /// <summary>Completes when the revision is no longer <paramref name="seen"/>; at once if that is so already.</summary>
    public Task ChangedSince(long seen, CancellationToken token)
    {
        lock (_swap)
        {
            return _revision != seen ? Task.CompletedTask : _changed.Task.WaitAsync(token);
        }
    }

    /// <summary>The first snapshot, from now on, that satisfies the condition.</summary>
    public async Task<T> WhenAsync(Func<T, bool> condition, CancellationToken token)
    {
        while (true)
        {
            (T value, long revision) = Read();
            if (condition(value))
            {
                return value;
            }

            await ChangedSince(revision, token).ConfigureAwait(false);
        }
    }

    // Continuations run elsewhere: the owner must not execute its readers.
    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}

using System.Diagnostics;

namespace Kcore.Bench.Membership;

/// <summary>What an agent thinks of a member.</summary>
internal enum Standing
{
    Unknown,
    Alive,
    Suspect,
    Dead,
    Left,
}

/// <summary>
/// Everything the agents say, with the moment it was heard (<see cref="Stopwatch"/> ticks). Written by one reader per
/// agent, waited on by the course.
/// </summary>
internal sealed class Sightings
{
    private readonly Lock _door = new();
    private readonly Dictionary<(string Agent, string Subject), (Standing Standing, long At)> _standings = [];
    private readonly Dictionary<(string Agent, string Update), long> _updates = [];
    private readonly Dictionary<Standing, long> _counts = [];
    private TaskCompletionSource _changed = NewSignal();

    public void Say(string agent, string subject, Standing standing)
    {
        long at = Stopwatch.GetTimestamp();
        lock (_door)
        {
            _standings[(agent, subject)] = (standing, at);
            _counts[standing] = _counts.GetValueOrDefault(standing) + 1;
        }

        Pulse();
    }

    public void SayUpdate(string agent, string update)
    {
        long at = Stopwatch.GetTimestamp();
        lock (_door)
        {
            _updates.TryAdd((agent, update), at);
        }

        Pulse();
    }

    /// <summary>An agent that starts anew knows nobody.</summary>
    public void Forget(string agent)
    {
        lock (_door)
        {
            foreach ((string Agent, string Subject) key in _standings.Keys.Where(k => k.Agent == agent).ToList())
            {
                _standings.Remove(key);
            }
        }
    }

    public (Standing Standing, long At) Of(string agent, string subject)
    {
        lock (_door)
        {
            return _standings.GetValueOrDefault((agent, subject));
        }
    }

    /// <summary>When the agent heard of the update; null while it has not.</summary>
    public long? UpdateAt(string agent, string update)
    {
        lock (_door)
        {
            return _updates.TryGetValue((agent, update), out long at) ? at : null;
        }
    }

    /// <summary>How often anybody was said to be that.</summary>
    public long Count(Standing standing)
    {
        lock (_door)
        {
            return _counts.GetValueOrDefault(standing);
        }
    }

    /// <summary>Waits until nothing is missing; false when it did not come true in time.</summary>
    public async Task<bool> WaitAsync(Func<bool> holds, TimeSpan within)
    {
        using CancellationTokenSource limit = new(within);
        while (true)
        {
            Task changed;
            lock (_door)
            {
                changed = _changed.Task;
            }

            if (holds())
            {
                return true;
            }

            try
            {
                await changed.WaitAsync(limit.Token);
            }
            catch (OperationCanceledException)
            {
                return holds();
            }
        }
    }

    private void Pulse()
    {
        TaskCompletionSource signal;
        lock (_door)
        {
            signal = _changed;
            _changed = NewSignal();
        }

        signal.SetResult();
    }

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}

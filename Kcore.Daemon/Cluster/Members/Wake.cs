using System.Threading.Channels;

namespace Kcore.Daemon.Cluster.Members;

/// <summary>
/// What one loop sleeps on: anybody may wake it, any number of times; it wakes once and looks at everything. A wake-up
/// between two sleeps ends the next one at once, so none is missed.
/// </summary>
internal sealed class Wake : IDisposable
{
    private readonly Channel<bool> _signal = Channel.CreateBounded<bool>(
        new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite, SingleReader = true });

    private readonly ITimer _timer;

    public Wake(TimeProvider time)
    {
        Set = () => _signal.Writer.TryWrite(true);
        _timer = time.CreateTimer(_ => Set(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Wakes the sleeper. Always the same delegate, so handing it on costs nothing.</summary>
    public Action Set { get; }

    /// <summary>Sleeps until woken or until the time is over.</summary>
    public async ValueTask SleepAsync(TimeSpan atMost)
    {
        // Timers count whole milliseconds and cut off the rest: one that rings early costs a turn for nothing.
        _timer.Change(TimeSpan.FromMilliseconds(Math.Max(0, Math.Ceiling(atMost.TotalMilliseconds))), Timeout.InfiniteTimeSpan);
        await _signal.Reader.WaitToReadAsync(CancellationToken.None);
        _signal.Reader.TryRead(out _);
    }

    public void Dispose() => _timer.Dispose();
}

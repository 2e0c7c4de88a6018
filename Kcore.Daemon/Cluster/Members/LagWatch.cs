using Microsoft.Extensions.Logging;

namespace Kcore.Daemon.Cluster.Members;

/// <summary>
/// Notices when the gossip loop came late to a deadline, and how much of that was the garbage collector: the core voids its
/// probes then by itself, and an operator who sees suspicions should see why. Not thread-safe.
/// </summary>
internal sealed partial class LagWatch(ILogger logger)
{
    /// <summary>From here on the core takes the delay for a stall of its own node (its option of that name).</summary>
    private static readonly TimeSpan Threshold = new Gossip.GossipOptions().StallThreshold;

    private TimeSpan _paused = GC.GetTotalPauseDuration();
    private long _stalls;

    /// <summary>Once a turn.</summary>
    /// <param name="late">How long ago the core's deadline was; negative when it is still to come.</param>
    public void Look(TimeSpan late)
    {
        TimeSpan paused = GC.GetTotalPauseDuration();
        if (late >= Threshold)
        {
            Log.Stalled(logger, (long)late.TotalMilliseconds, (long)(paused - _paused).TotalMilliseconds, ++_stalls);
        }

        _paused = paused;
    }

    private static partial class Log
    {
        [LoggerMessage(1125, LogLevel.Warning, "This node stood still for {Late} ms, {Collecting} ms of it in garbage collection ({Count} times so far): its probes of that time count for nothing")]
        public static partial void Stalled(ILogger logger, long late, long collecting, long count);
    }
}

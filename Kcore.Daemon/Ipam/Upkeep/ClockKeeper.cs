namespace Kcore.Daemon.Ipam.Upkeep;

/// <summary>
/// Moves the log's clock while addresses rest by it. What it moves the clock by is time that went by on this host since the
/// clock was seen where it stands, measured monotonically: no wall clock is trusted, and a new leader can only be late.
/// </summary>
internal sealed class ClockKeeper
{
    /// <summary>While it is needed. An address rests for up to two of these longer.</summary>
    public static readonly TimeSpan Every = TimeSpan.FromSeconds(30);

    private object? _log;
    private ulong _clock;
    private TimeSpan _since;

    /// <summary>On every node and all the time: whoever becomes leader has seen the clock stand for as long as it did.</summary>
    /// <param name="log">Whose clock it is; another one begins anew.</param>
    /// <param name="clock">What it reads.</param>
    /// <param name="now">Read after <paramref name="clock"/> was.</param>
    public void Hear(object log, ulong clock, TimeSpan now)
    {
        if (!ReferenceEquals(log, _log) || clock != _clock)
        {
            (_log, _clock, _since) = (log, clock, now);
        }
    }

    /// <summary>What the leader should propose now, or null.</summary>
    /// <param name="isNeeded">Addresses rest.</param>
    /// <param name="seen">A log index that was applied before <paramref name="now"/> was read.</param>
    /// <param name="now">Of the same clock as in <see cref="Hear"/>.</param>
    public ReplicatedCommand.AdvanceClock? Due(bool isNeeded, ulong seen, TimeSpan now)
    {
        TimeSpan passed = now - _since;
        return isNeeded && passed >= Every
            ? new ReplicatedCommand.AdvanceClock(seen, _clock + Math.Min((ulong)passed.TotalMilliseconds, ReplicatedState.ClockStepMax))
            : null;
    }
}

namespace Kcore.Daemon.Dataplane;

/// <summary>
/// Tells repairs that come back and back: the third within ten seconds is a fight, and further ones are let through
/// once a second, so that two programs that disagree do not burn the machine. Pure: time comes in.
/// </summary>
internal sealed class FightTracker
{
    public const int FightCount = 3;

    private static readonly TimeSpan _window = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan _pause = TimeSpan.FromSeconds(1);

    private readonly Dictionary<string, List<TimeSpan>> _repairs = new(StringComparer.Ordinal);

    /// <summary>When this repair may be made: now or later.</summary>
    public TimeSpan AllowedAt(string key, TimeSpan now) =>
        _repairs.TryGetValue(key, out List<TimeSpan>? times) && CountWithin(times, now) >= FightCount && times[^1] + _pause > now
            ? times[^1] + _pause
            : now;

    /// <summary>Notes a repair and returns how many there were within the window, this one included.</summary>
    public int Note(string key, TimeSpan now)
    {
        if (!_repairs.TryGetValue(key, out List<TimeSpan>? times))
        {
            _repairs[key] = times = [];
        }

        times.RemoveAll(t => t + _window <= now);
        times.Add(now);
        return times.Count;
    }

    /// <summary>Forgets what is over; called once per pass, so the memory is bounded by what was repaired lately.</summary>
    public void Forget(TimeSpan now)
    {
        foreach (string key in _repairs.Where(r => r.Value[^1] + _window <= now).Select(r => r.Key).ToList())
        {
            _repairs.Remove(key);
        }
    }

    private static int CountWithin(List<TimeSpan> times, TimeSpan now) => times.Count(t => t + _window > now);
}

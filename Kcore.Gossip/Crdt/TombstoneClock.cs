namespace Kcore.Gossip;

/// <summary>
/// Remembers which version was reached when, coarsely, to tell how old a tombstone is at least. After a start all
/// tombstones count as new: waiting longer is safe.
/// </summary>
internal sealed class TombstoneClock
{
    private readonly List<(TimeSpan At, ulong Version)> _marks = [];

    public void Mark(TimeSpan now, ulong version)
    {
        if (_marks.Count == 0 || version > _marks[^1].Version)
        {
            _marks.Add((now, version));
        }
    }

    public void Reset() => _marks.Clear();

    /// <summary>
    /// The largest version whose tombstones may go: older than <paramref name="min"/> and known to everybody
    /// (<paramref name="stable"/>), or older than <paramref name="max"/>.
    /// </summary>
    public ulong Floor(TimeSpan now, TimeSpan min, TimeSpan max, ulong stable)
    {
        ulong floor = 0;
        foreach ((TimeSpan at, ulong version) in _marks)
        {
            if (now - at >= max)
            {
                floor = version;
            }
            else if (now - at >= min)
            {
                floor = Math.Max(floor, Math.Min(version, stable));
            }
        }

        _marks.RemoveAll(m => m.Version <= floor && now - m.At >= max);
        return floor;
    }
}

namespace Kcore.Daemon.Dataplane.Paths;

/// <summary>Binary search for the largest packet that passes.</summary>
/// <param name="low">A size that passes, in bytes.</param>
/// <param name="high">A larger one that does not.</param>
internal sealed class SizeSearch(int low, int high)
{
    private int _high = high;
    private int _misses;

    /// <summary>The largest size known to pass.</summary>
    public int Low { get; private set; } = low;

    public bool IsOver => _high - Low <= 1;

    /// <summary>Whether a packet passed since the search was over.</summary>
    public bool IsConfirmed { get; private set; }

    public int Next => Low + ((_high - Low) / 2);

    public void Passed(int bytes)
    {
        IsConfirmed = IsOver;
        if (bytes > Low && bytes < _high)
        {
            Low = bytes;
            _misses = 0;
        }
    }

    /// <param name="enough">So many packets of one size in a row that were lost mean that it does not pass.</param>
    public void Missed(int bytes, int enough)
    {
        if (bytes == Next && ++_misses >= enough)
        {
            _high = bytes;
            _misses = 0;
        }
    }
}

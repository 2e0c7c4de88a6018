namespace Kcore.Daemon.Ipam;

/// <summary>
/// Addresses of one pool that were given back and may be granted again, as ordinals. Each first rests in quarantine: a
/// guest that was told to go may still answer for it, and neighbours remember it. Time is the log's own.
/// </summary>
internal sealed class ReturnedAddresses
{
    /// <summary>How long an address rests, in milliseconds of replicated time.</summary>
    public const ulong RestMillis = 600_000;

    // Since is null until the clock has moved after the address was given back: the last reading of it may be old.
    private readonly SortedDictionary<long, (ulong Index, ulong? Since)> _resting = [];
    private readonly SortedSet<long> _rested = [];

    public IEnumerable<(long Ordinal, ulong Index, ulong? Since)> Resting => _resting.Select(row => (row.Key, row.Value.Index, row.Value.Since));

    public IEnumerable<long> Rested => _rested;

    public int RestingCount => _resting.Count;

    public int RestedCount => _rested.Count;

    /// <summary>One past the ordinal granted again last; the next in order is at or after it, else the smallest.</summary>
    public long Cursor { get; private set; }

    public long? Next =>
        _rested.Count == 0 ? null
        : _rested.Max >= Cursor ? _rested.GetViewBetween(Cursor, long.MaxValue).Min
        : _rested.Min;

    public bool IsRested(long ordinal) => _rested.Contains(ordinal);

    public bool Contains(long ordinal) => _resting.ContainsKey(ordinal) || _rested.Contains(ordinal);

    /// <summary>False if it is here already.</summary>
    public bool TryAdd(long ordinal, ulong index) => !_rested.Contains(ordinal) && _resting.TryAdd(ordinal, (index, null));

    /// <summary>Takes all away, rested or not.</summary>
    public long[] TakeAll()
    {
        long[] all = [.. _resting.Keys, .. _rested];
        _resting.Clear();
        _rested.Clear();
        return all;
    }

    public void Take(long ordinal)
    {
        if (ordinal == Next)
        {
            Cursor = ordinal + 1;
        }

        _rested.Remove(ordinal);
    }

    /// <summary>
    /// The clock reads <paramref name="clock"/>, and did so when what was given back up to <paramref name="seen"/> had been.
    /// </summary>
    /// <returns>True if an address may be granted from now on that could not before.</returns>
    public bool Advance(ulong seen, ulong clock)
    {
        int rested = _rested.Count;
        foreach ((long ordinal, (ulong index, ulong? since)) in _resting.ToArray())
        {
            if (since is { } began && clock - began >= RestMillis)
            {
                _resting.Remove(ordinal);
                _rested.Add(ordinal);
            }
            else if (since is null && index <= seen)
            {
                _resting[ordinal] = (index, clock);
            }
        }

        return _rested.Count > rested;
    }

    /// <summary>Puts back what a snapshot held; false if it can't be true.</summary>
    public bool TryRestore(long cursor, long count, IEnumerable<(long Ordinal, ulong Index, ulong? Since)> resting, IEnumerable<long> rested, ulong clock)
    {
        Cursor = cursor;
        return cursor >= 0
            && cursor <= count
            && resting.All(row => row.Ordinal >= 0 && row.Ordinal < count && (row.Since ?? 0) <= clock && _resting.TryAdd(row.Ordinal, (row.Index, row.Since)))
            && rested.All(ordinal => ordinal >= 0 && ordinal < count && !_resting.ContainsKey(ordinal) && _rested.Add(ordinal));
    }
}

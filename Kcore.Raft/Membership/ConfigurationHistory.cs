namespace Kcore.Raft;

/// <summary>
/// The configurations that stand in the log, by the index of their entry. The newest is in effect from the moment it is
/// appended; when the log is truncated the one before is in effect again, so it must still be known.
/// </summary>
internal sealed class ConfigurationHistory(Configuration first, ulong firstIndex)
{
    private readonly List<(ulong Index, Configuration Configuration)> _history = [(firstIndex, first)];

    public Configuration Current => _history[^1].Configuration;

    /// <summary>The index of the entry that made <see cref="Current"/>.</summary>
    public ulong CurrentIndex => _history[^1].Index;

    /// <summary>The configuration in effect at <paramref name="index"/>, with the index of its entry.</summary>
    public (ulong Index, Configuration Configuration) At(ulong index)
    {
        int newest = _history.FindLastIndex(item => item.Index <= index);
        return _history[Math.Max(newest, 0)];
    }

    /// <summary>
    /// True if <paramref name="member"/> votes in the configuration that is in effect at <paramref name="index"/>, or in any
    /// later one.
    /// </summary>
    public bool IsVoterSince(ulong index, MemberId member)
    {
        for (int i = _history.Count - 1; i >= 0; i--)
        {
            if (_history[i].Configuration.IsVoter(member))
            {
                return true;
            }

            if (_history[i].Index <= index)
            {
                return false;
            }
        }

        return false;
    }

    public void Append(ulong index, Configuration configuration) => _history.Add((index, configuration));

    public void TruncateFrom(ulong index)
    {
        int kept = Math.Max(_history.FindLastIndex(item => item.Index < index), 0) + 1;
        _history.RemoveRange(kept, _history.Count - kept);
    }

    /// <summary>Forgets what was superseded at or before <paramref name="index"/>.</summary>
    public void CompactTo(ulong index)
    {
        int newest = _history.FindLastIndex(item => item.Index <= index);
        if (newest > 0)
        {
            _history.RemoveRange(0, newest);
        }
    }

    public void Reset(Configuration configuration, ulong index)
    {
        _history.Clear();
        _history.Add((index, configuration));
    }
}

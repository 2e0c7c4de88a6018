namespace Kcore.Daemon.Ipam.Upkeep;

/// <summary>When the members should compare their states: after so many entries, or after fewer and some time; never while nothing is written.</summary>
internal sealed class StateChecks
{
    public const ulong EveryEntries = 1024;

    public static readonly TimeSpan AtLatest = TimeSpan.FromMinutes(10);

    private (ulong Applied, TimeSpan At)? _last;

    /// <summary>This node does not lead; what it does when it does counts from then on.</summary>
    public void Forget() => _last = null;

    public bool IsDue(ulong applied, TimeSpan now)
    {
        _last ??= (applied, now);
        return applied >= _last.Value.Applied + EveryEntries || (applied > _last.Value.Applied && now - _last.Value.At >= AtLatest);
    }

    /// <summary>They were compared, or it failed: either way not again at once.</summary>
    public void Done(ulong applied, TimeSpan now) => _last = (applied, now);
}

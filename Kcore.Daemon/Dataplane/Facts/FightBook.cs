using System.Collections.Immutable;

namespace Kcore.Daemon.Dataplane.Facts;

/// <summary>An object of ours that somebody keeps changing back.</summary>
/// <param name="Times">Repairs since the fight began.</param>
/// <param name="By">Who does it: the program the kernel named, or the ones that could; null when nothing points to anybody.</param>
internal sealed record Fight(string Object, string Network, int Times, DateTimeOffset Since, DateTimeOffset Last, string? By)
{
    public override string ToString() =>
        $"{Object} is changed back again and again: put right {Times} times since {Since.UtcDateTime:HH:mm:ss} UTC{(By is null ? "" : $", by {By}")}";
}

/// <summary>
/// Which fights go on. One begins with the third repair within ten seconds and is over when ten seconds pass without one.
/// Each is told when it begins, and again every ten minutes. Pure: time comes in.
/// </summary>
internal sealed class FightBook
{
    private static readonly TimeSpan _quiet = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan _again = TimeSpan.FromMinutes(10);

    private ImmutableSortedDictionary<string, (Fight Fight, DateTimeOffset Told)> _fights =
        ImmutableSortedDictionary.Create<string, (Fight, DateTimeOffset)>(StringComparer.Ordinal);

    /// <summary>May be read from anywhere.</summary>
    public ImmutableArray<Fight> At(DateTimeOffset now) =>
        [.. Volatile.Read(ref _fights).Values.Select(f => f.Fight).Where(f => now - f.Last < _quiet)];

    /// <summary>Notes a repair of a fight, and returns the fight when it is to be told.</summary>
    /// <param name="suspects">Looked for when the kernel named nobody and the fight is told.</param>
    public Fight? Note(DriftRepair repair, DateTimeOffset now, Func<string?> suspects)
    {
        bool known = _fights.TryGetValue(repair.Object, out (Fight Fight, DateTimeOffset Told) entry) && now - entry.Fight.Last < _quiet;
        bool tell = !known || now - entry.Told >= _again;
        Fight fight = known
            ? entry.Fight with { Times = entry.Fight.Times + 1, Last = now, By = repair.By ?? entry.Fight.By }
            : new Fight(repair.Object, repair.Network, repair.Count, now, now, repair.By);
        fight = fight.By is null && tell ? fight with { By = suspects() } : fight;
        Volatile.Write(ref _fights, _fights.RemoveRange(_fights.Where(f => now - f.Value.Fight.Last >= _quiet).Select(f => f.Key))
            .SetItem(repair.Object, (fight, tell ? now : entry.Told)));
        return tell ? fight : null;
    }
}

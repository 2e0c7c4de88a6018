using System.Collections.Immutable;

namespace Kcore.Daemon.Dataplane;

/// <summary>Frames that matched, and their bytes.</summary>
internal readonly record struct FrameCount(ulong Packets, ulong Bytes);

/// <summary>
/// Our nftables tables by meaning: the fixed chains and rules, and the set elements that vary. Rules never
/// name a network, so a change of networks or members is a change of elements only.
/// </summary>
/// <param name="Skeleton">One line per table, set, chain and rule, in listing order; a hand-made change shows here.</param>
/// <param name="Elements">Elements by "family set-name", each in one canonical spelling.</param>
internal sealed record NftTables(
    ImmutableArray<string> Skeleton,
    ImmutableSortedDictionary<string, ImmutableSortedSet<string>> Elements)
{
    /// <summary>What elements have counted so far. No part of what the tables mean: it changes by itself.</summary>
    public ImmutableDictionary<(string Set, string Element), FrameCount> Counts { get; init; } =
        ImmutableDictionary<(string Set, string Element), FrameCount>.Empty;

    public bool Equals(NftTables? other) =>
        other is not null
        && Skeleton.AsSpan().SequenceEqual(other.Skeleton.AsSpan())
        && Elements.Count == other.Elements.Count
        && Elements.All(pair =>
            other.Elements.TryGetValue(pair.Key, out ImmutableSortedSet<string>? elements)
            && Same(pair.Value, elements));

    /// <summary>In the same order there is nothing to look for.</summary>
    private static bool Same(ImmutableSortedSet<string> a, ImmutableSortedSet<string> b) =>
        a.Count == b.Count && (a.KeyComparer.Equals(b.KeyComparer) ? a.SequenceEqual(b) : a.SetEquals(b));

    public override int GetHashCode() => HashCode.Combine(Skeleton.Length, Elements.Count);
}

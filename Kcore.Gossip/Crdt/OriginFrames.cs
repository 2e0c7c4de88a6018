using Kcore.Gossip.Wire;

namespace Kcore.Gossip;

/// <summary>
/// Cuts what is held of an origin into frames. A delta covers a contiguous range of versions and a cut falls between
/// two versions, never inside one: a receiver's watermark then never claims what it does not hold.
/// </summary>
internal static class OriginFrames
{
    /// <summary>Everything in a delta or snapshot frame but its entries, at most.</summary>
    private const int Overhead = Frames.HeaderBytes + 1 + 18 + (5 * 9) + 5;

    /// <summary>
    /// Frames for one who holds <paramref name="version"/> of <paramref name="epoch"/>: deltas where its place in the
    /// sequence still exists, else a snapshot. Null when a piece that may not be cut exceeds the budget.
    /// </summary>
    public static List<byte[]>? Since(OriginState origin, ulong epoch, ulong version, int budget)
    {
        if (epoch != origin.Epoch || version < origin.GcFloor)
        {
            return Snapshot(origin, budget);
        }

        return version >= origin.Version ? [] : Deltas(origin, version, origin.Version, [.. origin.After(version)], budget);
    }

    /// <summary>Frames that pass on the given versions. Null when one of them exceeds the budget.</summary>
    public static List<byte[]>? Versions(OriginState origin, SortedSet<ulong> versions, int budget)
    {
        List<byte[]> frames = [];
        List<CatalogEntry> run = [];
        ulong from = 0, to = 0;
        foreach (ulong version in versions)
        {
            IReadOnlyList<CatalogEntry> entries = origin.At(version);
            if (entries.Count == 0)
            {
                continue;
            }

            ulong start = version > origin.Version ? version - 1 : origin.Predecessor(version);
            if (run.Count > 0 && start != to && !Flush())
            {
                return null;
            }

            from = run.Count == 0 ? start : from;
            run.AddRange(entries);
            to = version;
        }

        return run.Count == 0 || Flush() ? frames : null;

        bool Flush()
        {
            List<byte[]>? deltas = Deltas(origin, from, to, run, budget);
            frames.AddRange(deltas ?? []);
            run = [];
            return deltas is not null;
        }
    }

    private static List<byte[]>? Deltas(OriginState origin, ulong from, ulong to, List<CatalogEntry> entries, int budget)
    {
        List<byte[]> frames = [];
        int start = 0;
        while (true)
        {
            int end = start, cut = start, size = Overhead;
            while (end < entries.Count && size + entries[end].Raw.Length <= budget)
            {
                size += entries[end].Raw.Length;
                end++;
                if (end == entries.Count || entries[end].Version != entries[end - 1].Version)
                {
                    cut = end;
                }
            }

            if (cut == entries.Count)
            {
                frames.Add(Frames.Delta(origin, from, to, entries[start..]));
                return frames;
            }

            if (cut == start)
            {
                return null;
            }

            frames.Add(Frames.Delta(origin, from, entries[cut - 1].Version, entries[start..cut]));
            from = entries[cut - 1].Version;
            start = cut;
        }
    }

    public static List<byte[]>? Snapshot(OriginState origin, int budget)
    {
        List<byte[]> frames = [];
        List<CatalogEntry> part = [];
        int size = Overhead;
        foreach (CatalogEntry entry in origin.Settled)
        {
            if (Overhead + entry.Raw.Length > budget)
            {
                return null;
            }

            if (size + entry.Raw.Length > budget)
            {
                frames.Add(Frames.Snapshot(origin, frames.Count, last: false, part));
                part = [];
                size = Overhead;
            }

            part.Add(entry);
            size += entry.Raw.Length;
        }

        frames.Add(Frames.Snapshot(origin, frames.Count, last: true, part));
        return frames;
    }
}

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
    /// sequence still exists, else a snapshot. Null when a piece that may not be cut exceeds the budget, or there would
    /// be more frames than <paramref name="most"/>.
    /// </summary>
    public static List<byte[]>? Since(OriginState origin, ulong epoch, ulong version, int budget, int most = int.MaxValue) =>
        IsInSequence(origin, epoch, version)
            ? Gather(Deltas(origin.Head, version, origin.Version, origin.After(version), budget), most)
            : Gather(Snapshot(origin, budget), most);

    /// <summary>
    /// The same, made piece by piece while it is read. The origin may change meanwhile: what is sent is what it was at the
    /// first piece.
    /// </summary>
    public static IEnumerable<byte[]> Stream(OriginState origin, ulong epoch, ulong version, int budget)
    {
        if (IsInSequence(origin, epoch, version))
        {
            bool whole = true;
            foreach (byte[]? frame in Deltas(origin.Head, version, origin.Version, [.. origin.After(version)], budget))
            {
                if (frame is null)
                {
                    whole = false;
                    break;
                }

                yield return frame;
            }

            if (whole)
            {
                yield break;
            }
        }

        foreach (byte[]? frame in Snapshot(origin, budget))
        {
            if (frame is not null)
            {
                yield return frame;
            }
        }
    }

    /// <summary>Frames that pass on the given versions, which ascend. Null when one of them exceeds the budget.</summary>
    public static List<byte[]>? Versions(OriginState origin, IReadOnlyCollection<ulong> versions, int budget)
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
            List<byte[]>? deltas = Gather(Deltas(origin.Head, from, to, run, budget), int.MaxValue);
            frames.AddRange(deltas ?? []);
            run = [];
            return deltas is not null;
        }
    }

    /// <summary>What floats above the watermark, the latest first. A frame with one entry only may exceed the budget.</summary>
    public static List<byte[]> Floating(OriginState origin, int budget)
    {
        List<byte[]> frames = [];
        List<CatalogEntry> part = [];
        int size = Overhead;
        foreach (CatalogEntry entry in origin.Floating.OrderByDescending(e => e.Version).ThenBy(e => e.Key, StringComparer.Ordinal))
        {
            if (part.Count > 0 && size + entry.Raw.Length > budget)
            {
                frames.Add(Frames.Floating(origin.Origin, origin.Epoch, part));
                part = [];
                size = Overhead;
            }

            part.Add(entry);
            size += entry.Raw.Length;
        }

        if (part.Count > 0)
        {
            frames.Add(Frames.Floating(origin.Origin, origin.Epoch, part));
        }

        return frames;
    }

    private static bool IsInSequence(OriginState origin, ulong epoch, ulong version) =>
        epoch == origin.Epoch && version >= origin.GcFloor;

    private static List<byte[]>? Gather(IEnumerable<byte[]?> frames, int most)
    {
        List<byte[]> gathered = [];
        foreach (byte[]? frame in frames)
        {
            if (frame is null || gathered.Count == most)
            {
                return null;
            }

            gathered.Add(frame);
        }

        return gathered;
    }

    /// <summary>One delta after the other; null where a version with several entries exceeds the budget.</summary>
    private static IEnumerable<byte[]?> Deltas(OriginHead head, ulong from, ulong to, IEnumerable<CatalogEntry> entries, int budget)
    {
        if (from >= to)
        {
            yield break;
        }

        List<CatalogEntry> part = [];
        int size = Overhead;
        int cut = 0;
        foreach (CatalogEntry entry in entries)
        {
            if (part.Count > 0 && part[^1].Version != entry.Version)
            {
                cut = part.Count;
            }

            part.Add(entry);
            size += entry.Raw.Length;
            if (size <= budget)
            {
                continue;
            }

            if (cut == 0)
            {
                yield return null;
                yield break;
            }

            yield return Frames.Delta(head, from, part[cut - 1].Version, part.GetRange(0, cut));
            from = part[cut - 1].Version;
            part.RemoveRange(0, cut);
            cut = 0;
            size = Overhead + part.Sum(e => e.Raw.Length);
            if (size > budget)
            {
                yield return null;
                yield break;
            }
        }

        yield return Frames.Delta(head, from, to, part);
    }

    /// <summary>All parts of a snapshot; null where an entry exceeds the budget.</summary>
    private static IEnumerable<byte[]?> Snapshot(OriginState origin, int budget)
    {
        OriginHead head = origin.Head;
        List<CatalogEntry> part = [];
        int size = Overhead, parts = 0;
        foreach (CatalogEntry entry in origin.Settled.ToList())
        {
            if (Overhead + entry.Raw.Length > budget)
            {
                yield return null;
                yield break;
            }

            if (size + entry.Raw.Length > budget)
            {
                yield return Frames.Snapshot(head, parts++, last: false, part);
                part = [];
                size = Overhead;
            }

            part.Add(entry);
            size += entry.Raw.Length;
        }

        yield return Frames.Snapshot(head, parts, last: true, part);
    }
}

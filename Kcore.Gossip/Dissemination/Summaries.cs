using Kcore.Gossip.Wire;

namespace Kcore.Gossip;

/// <summary>
/// What a node says of its state when digests differ: sums of buckets where there is much, else heads of everything.
/// </summary>
internal sealed class Summaries(MemberTable members, CatalogState catalog)
{
    /// <summary>Heads that fit a datagram with everything around them.</summary>
    public const int HeadsPerDatagram = (WireLimits.PayloadBytes - 32) / (Frames.HeadBytes + Frames.SurfaceBytes);

    /// <summary>Up to so many are listed at once instead of compared by bucket.</summary>
    private const int DirectHeads = 22;

    /// <summary>The first word of a comparison with a peer whose digests are these.</summary>
    public void AddOpening(List<byte[]> frames, StateDigest theirs)
    {
        if (theirs.Catalog != catalog.Root)
        {
            if (catalog.Origins.Count <= DirectHeads)
            {
                frames.AddRange(Heads(BucketSet.All, WireLimits.PayloadBytes));
            }
            else
            {
                AddSums(frames, DigestKind.Catalog, catalog.Buckets, catalog.Origins.Count);
            }
        }

        if (theirs.Members != members.Root)
        {
            if (members.Total <= DirectHeads)
            {
                frames.AddRange(MemberHeads(BucketSet.All, WireLimits.PayloadBytes));
            }
            else
            {
                AddSums(frames, DigestKind.Members, members.Buckets, members.Total);
            }
        }
    }

    /// <summary>Our sums of the division that a peer has sent.</summary>
    public ulong[] Sums(DigestKind kind, byte quarter) =>
        BucketSet.Sums(kind == DigestKind.Catalog ? catalog.Buckets : members.Buckets, quarter);

    public List<byte[]> Heads(BucketSet buckets, int budget) => ByBucket(
        buckets,
        catalog.Origins.Where(o => o.IsKnown && buckets.Contains(o.Origin)).Select(catalog.HeadOf),
        h => h.Origin,
        h => h.Bytes,
        budget,
        Frames.Heads);

    public List<byte[]> MemberHeads(BucketSet buckets, int budget) => ByBucket(
        buckets,
        members.All.Where(m => buckets.Contains(m.Id)).Select(m => new MemberDigest(m.Id, m.Epoch, m.BootNonce, m.Incarnation, m.Status)),
        m => m.Id,
        _ => Frames.HeadBytes,
        budget,
        Frames.MemberHeads);

    private static void AddSums(List<byte[]> frames, DigestKind kind, ReadOnlySpan<ulong> finest, int count)
    {
        if (count < BucketSet.ManyIds)
        {
            frames.Add(Frames.Buckets(kind, BucketSet.Sums(finest, 0), 0));
            return;
        }

        for (byte quarter = 1; quarter <= BucketSet.Most / BucketSet.Few; quarter++)
        {
            frames.Add(Frames.Buckets(kind, BucketSet.Sums(finest, quarter), quarter));
        }
    }

    /// <summary>
    /// Lists whole buckets a frame, because what a bucket's list leaves out is taken for unknown. A bucket larger than
    /// the budget gets a frame of its own, which only a stream can carry.
    /// </summary>
    private static List<byte[]> ByBucket<T>(BucketSet buckets, IEnumerable<T> items, Func<T, NodeId> id, Func<T, int> size, int budget, Func<BucketSet, IReadOnlyCollection<T>, byte[]> frame)
    {
        ILookup<int, T> lookup = items.ToLookup(i => buckets.IndexOf(id(i)));
        List<byte[]> frames = [];
        List<T> list = [];
        int left = budget - 32;
        ulong listed = 0;
        for (int bucket = 0; bucket < BucketSet.Few; bucket++)
        {
            if ((buckets.Bits >> bucket & 1) == 0)
            {
                continue;
            }

            List<T> content = [.. lookup[bucket]];
            int bytes = content.Sum(size);
            if (listed != 0 && bytes > left)
            {
                frames.Add(frame(buckets with { Bits = listed }, list));
                list = [];
                listed = 0;
                left = budget - 32;
            }

            list.AddRange(content);
            left -= bytes;
            listed |= 1UL << bucket;
        }

        if (listed != 0)
        {
            frames.Add(frame(buckets with { Bits = listed }, list));
        }

        return frames;
    }
}

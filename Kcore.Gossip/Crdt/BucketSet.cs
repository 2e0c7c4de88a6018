namespace Kcore.Gossip;

/// <summary>
/// A part of all ids, by the leading bits of their hash: some of 64 buckets, or of one quarter of 256 where there are
/// so many members that the list of one bucket in 64 would not fit a few datagrams.
/// </summary>
/// <param name="Bits">Bit i stands for bucket i of the quarter.</param>
/// <param name="Quarter">0 when the division is into 64; 1 to 4 name a quarter of 256.</param>
internal readonly record struct BucketSet(ulong Bits, byte Quarter = 0)
{
    public const int Few = 64;
    public const int Most = 256;

    /// <summary>From so many members or origins on, 256 buckets are compared.</summary>
    public const int ManyIds = 4096;

    public static BucketSet All => new(ulong.MaxValue);

    public static BucketSet None => new(0);

    public static int Finest(NodeId id) => (int)(Digest.OfId(id) >> 56);

    public bool Contains(NodeId id) => Bits != 0 && IndexOf(id) is >= 0 and var index && (Bits >> index & 1) != 0;

    /// <summary>The bucket of an id within this division; negative when it lies in another quarter.</summary>
    public int IndexOf(NodeId id)
    {
        int finest = Finest(id);
        return Quarter == 0 ? finest >> 2 : finest >> 6 == Quarter - 1 ? finest & 63 : -1;
    }

    /// <summary>The 64 sums of this division, out of the 256 finest.</summary>
    public static ulong[] Sums(ReadOnlySpan<ulong> finest, byte quarter)
    {
        ulong[] sums = new ulong[Few];
        for (int i = 0; i < Few; i++)
        {
            sums[i] = quarter == 0
                ? unchecked(finest[4 * i] + finest[(4 * i) + 1] + finest[(4 * i) + 2] + finest[(4 * i) + 3])
                : finest[(64 * (quarter - 1)) + i];
        }

        return sums;
    }

    /// <summary>This set in up to <paramref name="count"/> disjoint parts of like size.</summary>
    public IReadOnlyList<BucketSet> Split(int count)
    {
        ulong[] parts = new ulong[count];
        for (int i = 0; i < Few; i++)
        {
            parts[i % count] |= Bits & (1UL << i);
        }

        byte quarter = Quarter;
        return [.. parts.Where(p => p != 0).Select(p => new BucketSet(p, quarter))];
    }
}

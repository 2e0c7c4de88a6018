namespace Kcore.Gossip;

/// <summary>
/// 64-bit digests that are summed over sets, so that the order of arrival does not show. They tell accidents apart,
/// not attackers: the datagrams that carry them are authenticated.
/// </summary>
internal static class Digest
{
    private const ulong Prime = 0x0000_0100_0000_01b3;
    private const ulong Offset = 0xcbf2_9ce4_8422_2325;

    public static ulong OfEntry(NodeId origin, ReadOnlySpan<byte> raw)
    {
        ulong hash = Offset;
        foreach (byte b in raw)
        {
            hash = unchecked((hash ^ b) * Prime);
        }

        return Mix(hash ^ OfId(origin));
    }

    public static ulong OfHead(NodeId origin, ulong epoch, ulong version, ulong content, Surface surface)
    {
        ulong settled = unchecked(Mix(Mix(Mix(OfId(origin) ^ epoch) + version) + content));
        return surface == default
            ? settled
            : unchecked(Mix(Mix(Mix(settled + surface.Floating) ^ surface.LaterEpoch) + (surface.IsHidden ? 1UL : 0)));
    }

    public static ulong OfMember(Member member) =>
        unchecked(Mix(Mix(Mix(OfId(member.Id) + member.Epoch) ^ member.BootNonce) + ((ulong)member.Incarnation << 8) + (uint)member.Status));

    public static ulong OfId(NodeId id) => unchecked(Mix((ulong)id.Value) + Mix((ulong)(id.Value >> 64) ^ Offset));

    /// <summary>The finalizer of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014).</summary>
    public static ulong Mix(ulong z)
    {
        unchecked
        {
            z += 0x9e37_79b9_7f4a_7c15;
            z = (z ^ (z >> 30)) * 0xbf58_476d_1ce4_e5b9;
            z = (z ^ (z >> 27)) * 0x94d0_49bb_1331_11eb;
            return z ^ (z >> 31);
        }
    }
}

/// <summary>
/// What nodes may show differently of one origin though they hold the same settled content of it. Nothing of it is the
/// default, which is how most origins are nearly always.
/// </summary>
/// <param name="Floating">Sum of the hashes of what floats.</param>
/// <param name="LaterEpoch">An epoch of which only the existence is known, else 0.</param>
/// <param name="IsHidden">The entries are not shown any more, because of that later epoch.</param>
internal readonly record struct Surface(ulong Floating, ulong LaterEpoch, bool IsHidden);

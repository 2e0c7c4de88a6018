using System.Buffers.Binary;
using System.Security.Cryptography;
using Kcore.Daemon.Catalog.Facts;
using Kcore.Gossip;

namespace Kcore.Daemon.Catalog.Networks;

/// <summary>A node's word on a network name, as it is written.</summary>
internal static class Claims
{
    /// <summary>Gives a claim its stamp; one without a creation is its own.</summary>
    /// <param name="counter">More than that of every claim it was made in knowledge of.</param>
    public static ClaimFact Stamped(ClaimFact claim, ulong counter, NodeId self)
    {
        ClaimFact content = claim with { Created = default, Stamp = new ClaimStamp(counter, self, 0) };
        var stamp = new ClaimStamp(counter, self, BinaryPrimitives.ReadUInt64BigEndian(SHA256.HashData(FactCodec.Encode(content).Span)));
        return claim with { Stamp = stamp, Created = claim.Created == default ? stamp : claim.Created };
    }
}

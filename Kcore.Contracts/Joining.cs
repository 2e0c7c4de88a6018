using System.Collections.Immutable;

namespace Kcore.Contracts;

/// <param name="Token">One line, <c>kcore1-...</c>; as secret as the key it holds.</param>
public sealed record JoinTokenReply(string Token);

/// <summary>Takes this node to the cluster a token is for.</summary>
public sealed record JoinClusterRequest
{
    public string? Token { get; init; }
}

/// <summary>A node heard on the LAN, by its own word: a hint, not authenticated.</summary>
/// <param name="Fingerprint">Of the key it seals with.</param>
/// <param name="SharesKey">It announces a key the serving node holds.</param>
/// <param name="ClusterId">Null while it is in none.</param>
/// <param name="Heard">When it was last heard.</param>
public sealed record LanNeighbour(
    string Id, ImmutableArray<string> Addresses, int GossipPort, string Fingerprint, bool SharesKey, string? ClusterId, bool SameCluster, DateTimeOffset Heard);

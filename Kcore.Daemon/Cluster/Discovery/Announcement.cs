using System.Collections.Immutable;
using System.Net;

namespace Kcore.Daemon.Cluster.Discovery;

/// <summary>What a node tells the LAN about itself. Nothing in it is secret, and nobody believes it.</summary>
/// <param name="NodeUid">TXT <c>n=</c>, 32 hexadecimal digits.</param>
/// <param name="KeyFingerprint">TXT <c>f=</c>; tells clusters apart.</param>
/// <param name="ClusterId">TXT <c>c=</c>, 32 hexadecimal digits; null and empty while the node belongs to none.</param>
/// <param name="ClusterEpoch">TXT <c>e=</c>.</param>
/// <param name="IsVirgin">TXT <c>g=1</c>: the cluster has never handed anything out and may dissolve.</param>
/// <param name="GossipPort">SRV port.</param>
/// <param name="RaftPort">TXT <c>r=</c>.</param>
internal sealed record Announcement(
    UInt128 NodeUid,
    string KeyFingerprint,
    UInt128? ClusterId,
    uint ClusterEpoch,
    bool IsVirgin,
    ushort GossipPort,
    ushort RaftPort)
{
    /// <summary>TXT <c>v=</c> of this build.</summary>
    public const int CurrentProtocol = 1;

    public int Protocol { get; init; } = CurrentProtocol;

    /// <summary>TXT <c>o=</c>: during a rotation the fingerprints of the other keys the node accepts, joined by dots.</summary>
    public string OtherFingerprints { get; init; } = "";

    /// <summary>Of all keys the node accepts.</summary>
    public IEnumerable<string> Fingerprints => OtherFingerprints.Split('.', StringSplitOptions.RemoveEmptyEntries).Prepend(KeyFingerprint);
}

/// <summary>
/// One sighting of a node on the LAN: a hint where a contact is worth trying. Sightings are repeated for as long as the
/// node answers, also unchanged ones, so nothing is lost by failing to act on one.
/// </summary>
/// <param name="Node">What it says about itself.</param>
/// <param name="Addresses">Where it says it is, the address its datagram came from first if it is one of them; 1 to 8.</param>
/// <param name="Interface">The local interface it was heard on.</param>
/// <param name="IsGoodbye">It said that it is going away; a hint too, anybody can say that.</param>
internal sealed record DiscoveredPeer(
    Announcement Node, ImmutableArray<IPAddress> Addresses, string Interface, bool IsGoodbye);

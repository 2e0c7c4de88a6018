using System.Collections.Immutable;
using System.Net;
using Kcore.Daemon.Catalog.Facts;

namespace Kcore.Daemon.Dataplane.Mesh;

/// <summary>The encrypted mesh as this node should have it.</summary>
/// <param name="Address">This node's tunnel address inside.</param>
/// <param name="Mtu">What fits into a packet of WireGuard on the underlay, bytes.</param>
internal sealed record MeshIntent(IPAddress Address, int Mtu, ImmutableArray<MeshPeer> Peers)
{
    /// <summary>Of the device on every node.</summary>
    public const string Device = "kwg0";

    /// <summary>Where all nodes listen; each says so, and others go by that.</summary>
    public const ushort Port = 51820;

    public bool Equals(MeshIntent? other) =>
        other is not null && Address.Equals(other.Address) && Mtu == other.Mtu && Peers.SequenceEqual(other.Peers);

    public override int GetHashCode() => HashCode.Combine(Address, Mtu, Peers.Length);
}

/// <summary>Another node of the mesh.</summary>
/// <param name="Endpoint">Where it says it listens.</param>
/// <param name="Address">Its tunnel address inside, the only one it may send from.</param>
internal sealed record MeshPeer(string NodeName, WireguardKey Key, IPEndPoint Endpoint, IPAddress Address);

using System.Collections.Immutable;
using Kcore.Daemon.Catalog.Facts;

namespace Kcore.Daemon.Dataplane.Mesh;

/// <summary>How the mesh of this node is, as of the last look.</summary>
/// <param name="IsUp">The device is there and set.</param>
/// <param name="Failure">Why it is not; null while it is being made, too.</param>
/// <param name="Handshakes">When each peer last proved who it is; peers that never did are missing.</param>
internal sealed record MeshStatus(bool IsUp, string? Failure, ImmutableDictionary<WireguardKey, DateTimeOffset> Handshakes)
{
    public static MeshStatus None { get; } = new(false, null, ImmutableDictionary<WireguardKey, DateTimeOffset>.Empty);
}

using System.Collections.Frozen;
using System.Net;
using Kcore.Gossip;

namespace Kcore.Daemon.Dataplane.Paths;

/// <summary>What is known of the way tunnel packets take to a peer and back.</summary>
internal enum PathState
{
    /// <summary>Not told yet.</summary>
    Unknown,

    /// <summary>A packet as large as this node's underlay carries arrives, and is answered.</summary>
    Works,

    /// <summary>Small packets are answered, those of full size are not.</summary>
    TooSmall,

    /// <summary>Not even small ones are answered.</summary>
    Broken,
}

/// <summary>The path to one peer.</summary>
/// <param name="Address">Where it was asked.</param>
/// <param name="Full">IPv4 packet this node's overlays may send there, in bytes.</param>
/// <param name="Passes">The largest packet that was answered, in bytes; null unless <see cref="PathState.TooSmall"/>.</param>
/// <param name="Hears">Broken, but questions of the peer arrive here: it is the way there that is cut.</param>
internal sealed record PathSight(PathState State, IPAddress Address, int Full, int? Passes = null, bool Hears = false);

/// <summary>The paths to all peers this node shares an overlay with.</summary>
/// <param name="Obstacle">Why this node cannot ask, in words.</param>
internal sealed record PathSights(FrozenDictionary<NodeId, PathSight> Paths, string? Obstacle)
{
    public static PathSights None { get; } = new(FrozenDictionary<NodeId, PathSight>.Empty, null);

    public PathSight? Of(NodeId node) => Paths.GetValueOrDefault(node);
}

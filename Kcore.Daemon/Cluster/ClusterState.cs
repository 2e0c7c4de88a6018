using System.Collections.Immutable;

namespace Kcore.Daemon.Cluster;

internal enum ClusterPhase
{
    /// <summary>Looking for a cluster to join, with leave to found one.</summary>
    Founding,

    /// <summary>Looking for a cluster to join, without.</summary>
    Joining,

    Member,

    /// <summary>The node has left its cluster and joins none until it is reset or gets a token.</summary>
    Left,

    /// <summary>The cluster has removed the node.</summary>
    Removed,
}

/// <summary>Where this node stands.</summary>
/// <param name="Conflicts">Other clusters with our key that cannot merge with ours, in words.</param>
/// <param name="Obstacle">Why joining does not succeed, in words.</param>
internal sealed record ClusterState(ClusterPhase Phase, ClusterRef? Cluster, ImmutableArray<string> Conflicts, string? Obstacle)
{
    public static ClusterState Initial { get; } = new(ClusterPhase.Founding, null, [], null);
}

using Kcore.Daemon.Cluster.Streams;
using Kcore.Daemon.Cluster.Trust;
using Kcore.Daemon.Reconciliation;
using Kcore.Daemon.Storage;
using Kcore.Gossip;
using Kcore.Gossip.Wire.Sealing;
using Microsoft.Extensions.Logging;

namespace Kcore.Daemon.Cluster.Members;

/// <summary>What a <see cref="GossipLoop"/> is made of; it owns the socket from then on.</summary>
internal sealed record GossipLoopParts
{
    public required GossipCore Core { get; init; }

    public required SealedSocket Socket { get; init; }

    public required PeerConnector Connector { get; init; }

    /// <summary>Which cluster, in which epoch: only who is of the same is spoken with on streams.</summary>
    public required ClusterScope Scope { get; init; }

    public required CatalogStore Store { get; init; }

    public required NodeIdentity Identity { get; init; }

    /// <summary>Where the loop publishes; outlives it when the node changes clusters.</summary>
    public required Published<GossipView> View { get; init; }

    public required IGossipObserver Observer { get; init; }

    public required TimeProvider Time { get; init; }

    /// <summary>Timestamp that is zero for the core.</summary>
    public required long Started { get; init; }

    public required ILogger Logger { get; init; }
}

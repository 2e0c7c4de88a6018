using Kcore.Daemon.Cluster.Addressing;
using Kcore.Daemon.Cluster.Discovery;
using Kcore.Daemon.Cluster.Members;
using Kcore.Daemon.Cluster.Streams;
using Kcore.Daemon.Cluster.Trust;
using Kcore.Daemon.Hosting;
using Kcore.Daemon.Reconciliation;
using Kcore.Daemon.Storage;
using Kcore.Gossip.Wire.Sealing;
using Microsoft.Extensions.Logging;

namespace Kcore.Daemon.Cluster.Founding;

/// <summary>What a <see cref="ClusterLoop"/> is made of.</summary>
internal sealed record ClusterLoopParts
{
    public required ClusterOptions Options { get; init; }

    public MembershipOptions Membership { get; init; } = new();

    public required string NodeName { get; init; }

    public required NodeIdentity Identity { get; init; }

    public required KeyRing Ring { get; init; }

    public required PeerKeys PeerKeys { get; init; }

    /// <summary>The node made its key at this start: there can be nobody to join, it founds at once.</summary>
    public required bool KeyWasMade { get; init; }

    public required PeerConnector Connector { get; init; }

    /// <summary>Null with <c>--discovery off</c>.</summary>
    public required MdnsDiscovery? Discovery { get; init; }

    public required Published<Underlay> Underlay { get; init; }

    public required CatalogStore Catalog { get; init; }

    public required IClusterLedger Ledger { get; init; }

    public required IGossipObserver Observer { get; init; }

    public required TwinWatch Twins { get; init; }

    public required TimeProvider Time { get; init; }

    public required ILogger Logger { get; init; }
}

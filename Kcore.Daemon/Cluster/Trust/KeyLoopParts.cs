using Kcore.Daemon.Cluster.Founding;
using Kcore.Daemon.Cluster.Streams;
using Kcore.Daemon.Storage.Events;
using Kcore.Gossip;
using Kcore.Gossip.Wire.Sealing;
using Microsoft.Extensions.Logging;

namespace Kcore.Daemon.Cluster.Trust;

/// <summary>What a <see cref="KeyLoop"/> is made of.</summary>
internal sealed record KeyLoopParts
{
    public required NodeId Self { get; init; }

    /// <summary>Where the keys are stored.</summary>
    public required string Path { get; init; }

    public required RingContent Content { get; init; }

    /// <summary>Changed by the loop from here on.</summary>
    public required KeyRing Ring { get; init; }

    public required PeerKeys Peers { get; init; }

    public required ClusterLoop Cluster { get; init; }

    public required PeerConnector Connector { get; init; }

    public required EventLog Events { get; init; }

    public required TimeProvider Time { get; init; }

    public required ILogger Logger { get; init; }
}

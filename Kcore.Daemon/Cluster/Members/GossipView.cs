using System.Collections.Immutable;
using Kcore.Gossip;

namespace Kcore.Daemon.Cluster.Members;

/// <summary>Members and live catalog entries at one moment.</summary>
internal sealed record GossipView(MembershipView Members, ImmutableArray<CatalogEntry> Entries, ulong Digest, int HealthScore)
{
    /// <summary>What the log committed up to here is among the entries, all of it.</summary>
    public LogMark Log { get; init; }

    /// <summary>When this node came to the digest, by the clock of the host.</summary>
    public DateTimeOffset Since { get; init; }
}

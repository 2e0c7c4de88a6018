using System.Collections.Immutable;
using Kcore.Raft;

namespace Kcore.Daemon.Cluster.Consensus;

/// <summary>How the log stands in the eyes of one member; on the leader with what it knows of the others.</summary>
/// <param name="Peers">The leader's view of every member, itself included; empty elsewhere.</param>
public sealed record LogReport(ConsensusStatus Status, Configuration Configuration, ImmutableArray<PeerReport> Peers)
{
    /// <summary>Entries that <paramref name="match"/> lacks.</summary>
    public ulong LagOf(ulong match) => Status.LastIndex - Math.Min(match, Status.LastIndex);
}

/// <summary>What the leader knows of one member.</summary>
/// <param name="Match">It holds everything up to here durably.</param>
/// <param name="Heard">Since its last answer of any kind.</param>
/// <param name="Healthy">Since its last sign that its disk keeps up.</param>
/// <param name="IsInstalling">It is being sent a snapshot.</param>
public readonly record struct PeerReport(MemberId Member, ulong Match, TimeSpan Heard, TimeSpan Healthy, bool IsInstalling);

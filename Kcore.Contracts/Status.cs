using System.Collections.Immutable;

namespace Kcore.Contracts;

/// <summary>What <c>kctl status</c> shows: this node's view, answered from its own replica whatever else is dead.</summary>
public sealed record StatusReport
{
    public required string Node { get; init; }

    public required string NodeId { get; init; }

    public required string Version { get; init; }

    /// <summary><c>founding</c>, <c>joining</c>, <c>member</c>, <c>conflict</c>, <c>left</c>, <c>removed</c>.</summary>
    public required string Phase { get; init; }

    public string? ClusterId { get; init; }

    public uint ClusterEpoch { get; init; }

    /// <summary>16 hex digits; equal on all nodes that hold the same catalog.</summary>
    public required string Digest { get; init; }

    /// <summary>Members whose last digest differed from ours, with how long.</summary>
    public required ImmutableArray<string> DigestDiffers { get; init; }

    public required ImmutableArray<MemberLine> Members { get; init; }

    public required ConsensusStatus Consensus { get; init; }

    public required DataplaneStatus Dataplane { get; init; }

    /// <summary>Empty when all is well; otherwise <c>kctl status</c> exits with 9.</summary>
    public required ImmutableArray<string> Degraded { get; init; }
}

public sealed record MemberLine(string Name, string Id, string Address, string Status);

/// <param name="Role"><c>leader</c>, <c>follower</c>, <c>candidate</c>, <c>learner</c> (receives the log) or <c>observer</c>.</param>
/// <param name="Leader">Name of the leader, if one is known.</param>
/// <param name="Missing">Voters that are not seen.</param>
/// <param name="Margin">How many more voters may fail before no address can be given out; 0 also without quorum.</param>
/// <param name="Since">Since when there is no quorum, RFC 3339.</param>
public sealed record ConsensusStatus(
    string Role,
    string? Leader,
    ulong Term,
    ulong Commit,
    ulong Applied,
    ImmutableArray<string> Voters,
    bool Quorum,
    ImmutableArray<string> Missing,
    int Margin,
    DateTimeOffset? Since);

/// <param name="LastPass">RFC 3339; null before the first pass.</param>
/// <param name="Repairs">Objects put back since the daemon started because somebody else changed them.</param>
public sealed record DataplaneStatus(
    int Networks,
    int Nics,
    DateTimeOffset? LastPass,
    double LastPassMilliseconds,
    long Repairs,
    bool DeletionsHeld,
    ImmutableArray<string> Refusals);

public sealed record VersionInfo(string Version, string Node);

using System.Collections.Immutable;

namespace Kcore.Contracts;

/// <summary>What <c>kctl cluster status</c> shows: who decides in this cluster, and how much it can lose.</summary>
public sealed record ClusterReport
{
    /// <summary>The node that answers.</summary>
    public required string Node { get; init; }

    public string? ClusterId { get; init; }

    public required uint Epoch { get; init; }

    /// <summary>Name of the leader, if one is known.</summary>
    public string? Leader { get; init; }

    public required ulong Term { get; init; }

    /// <summary>The last entry known to be on a majority.</summary>
    public required ulong Commit { get; init; }

    /// <summary>The last entry the source has carried out.</summary>
    public required ulong Applied { get; init; }

    /// <summary>The last entry of the source's log.</summary>
    public required ulong Last { get; init; }

    /// <summary><c>leader</c>: told by it just now. <c>local</c>: what this node knows by itself, because the leader does not answer.</summary>
    public required string Source { get; init; }

    public required bool Quorum { get; init; }

    /// <summary>How many more voters may fail before no address can be given out.</summary>
    public required int Margin { get; init; }

    /// <summary>Since when there is no quorum.</summary>
    public DateTimeOffset? Since { get; init; }

    /// <summary>The voters are being changed.</summary>
    public required bool Changing { get; init; }

    public required ImmutableArray<ClusterMember> Voters { get; init; }

    /// <summary>Nodes that receive the log and do not vote.</summary>
    public required ImmutableArray<ClusterMember> Learners { get; init; }

    /// <summary>Nodes without a part in the log.</summary>
    public required ImmutableArray<string> Observers { get; init; }

    /// <summary>The log index at which this node last compared its state with the leader's; null before the first time.</summary>
    public ulong? StateComparedAt { get; init; }

    /// <summary>
    /// Addresses that are held back because the cluster was recovered from a copy of its log that may lack the last grants; null when it was not, or when that is
    /// finished, or when the serving node has no copy of the log.
    /// </summary>
    public long? HeldBack { get; init; }

    /// <summary>Empty when all is well; otherwise <c>kctl cluster status</c> exits with 9.</summary>
    public required ImmutableArray<string> Degraded { get; init; }
}

/// <summary>A node with its copy of the log. The numbers are the leader's; null when it was not asked.</summary>
/// <param name="Store">Id of the store; a wiped one is another member.</param>
/// <param name="Health">Membership's view: <c>alive</c>, <c>suspect</c>, <c>dead</c>, <c>left</c> or <c>unknown</c>.</param>
/// <param name="Match">Everything up to here is durable there.</param>
/// <param name="Lag">Entries it lacks.</param>
/// <param name="HeardMilliseconds">Since its last answer.</param>
/// <param name="DurableMilliseconds">Since its last sign that its disk keeps up.</param>
/// <param name="State"><c>ok</c>, <c>silent</c>, <c>behind</c> or <c>installing</c> (a snapshot).</param>
public sealed record ClusterMember(
    string Name,
    string NodeId,
    string? Store,
    string Health,
    ulong? Match,
    ulong? Lag,
    long? HeardMilliseconds,
    long? DurableMilliseconds,
    string? State);

/// <summary>What <c>kctl cluster transfer-leader</c> asks for.</summary>
public sealed record TransferLeaderRequest
{
    /// <summary>Name or id of a voter; null lets the leader choose.</summary>
    public string? Node { get; init; }
}

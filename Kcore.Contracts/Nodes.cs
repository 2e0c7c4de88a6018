using System.Collections.Immutable;

namespace Kcore.Contracts;

/// <summary>One row of <c>kctl get nodes</c>.</summary>
/// <param name="Status"><c>alive</c>, <c>suspect</c>, <c>dead</c> or <c>left</c>.</param>
/// <param name="Drained">It takes no new NICs and does not vote: <c>kctl node drain</c>.</param>
public sealed record NodeSummary(
    string Id,
    string Name,
    string Address,
    string Status,
    string Role,
    bool VxlanDisabled,
    int Networks,
    string Version,
    bool Drained = false);

/// <summary>What <c>kctl describe node</c> shows.</summary>
public sealed record NodeDetail
{
    public required NodeSummary Summary { get; init; }

    /// <summary>Why this address was chosen; known only for the serving node.</summary>
    public string? AddressReason { get; init; }

    public string? UnderlayInterface { get; init; }

    public int? UnderlayMtu { get; init; }

    /// <summary>
    /// Whether the node's host answers the serving node's ICMP echo, which it asks for when kcored there does not: <c>answers</c>,
    /// <c>silent</c> (its entries are withdrawn while kcored is dead, too), <c>mute</c> (never answers: it is not judged by
    /// that) or <c>unknown</c>. Null for the serving node.
    /// </summary>
    public string? Host { get; init; }

    /// <summary>
    /// Whether tunnel packets (UDP 4789) of the serving node get to this one and back, and how large they may be. Null for the
    /// serving node, and for nodes it shares no ready overlay with.
    /// </summary>
    public NodePath? Path { get; init; }

    public required uint Epoch { get; init; }

    public required uint Incarnation { get; init; }

    public required int GossipPort { get; init; }

    public required int RaftPort { get; init; }

    /// <summary>The node's public WireGuard key, base64; null until an encrypted network asked for one.</summary>
    public string? WireguardKey { get; init; }

    /// <summary>Its tunnel address inside the encrypted mesh.</summary>
    public string? MeshAddress { get; init; }

    /// <summary>When it last proved to the serving node that it holds that key; null when it never did, and for the serving node.</summary>
    public DateTimeOffset? LastHandshake { get; init; }

    public required ImmutableArray<NodeNetwork> Networks { get; init; }

    /// <summary>What an operator should look at, each with what to do.</summary>
    public required ImmutableArray<string> Warnings { get; init; }
}

/// <param name="State"><c>works</c>, <c>too-small</c> (large packets do not pass), <c>broken</c> (none do) or <c>unknown</c> (not told yet).</param>
/// <param name="Bytes">The largest IPv4 packet overlays of the serving node send there.</param>
/// <param name="Passes">The largest one that was answered; only when it is too small.</param>
public sealed record NodePath(string State, int Bytes, int? Passes = null);

public sealed record NodeNetwork(string Network, string State, string? Reason);

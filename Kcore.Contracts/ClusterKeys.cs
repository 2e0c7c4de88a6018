using System.Collections.Immutable;

namespace Kcore.Contracts;

/// <summary>Which cluster keys there are, and who holds which. Never a key itself.</summary>
public sealed record ClusterKeys
{
    /// <summary>Oldest first.</summary>
    public required ImmutableArray<ClusterKey> Keys { get; init; }

    /// <summary>Every member, by name.</summary>
    public required ImmutableArray<KeyHolder> Members { get; init; }

    /// <summary>What a rotation waits for, and who will be locked out by it.</summary>
    public required ImmutableArray<string> Notes { get; init; }
}

/// <param name="Id">Eight hexadecimal digits, derived from the key; the same in logs and in datagrams.</param>
/// <param name="Generation">0 for the key the cluster began with, one more with every rotation.</param>
/// <param name="State"><c>staged</c>, <c>active</c> or <c>retiring</c>, on the serving node; <c>elsewhere</c> when it does not hold it.</param>
/// <param name="Fingerprint">What nodes that hold the key announce on the LAN; null for a key this node does not hold.</param>
/// <param name="RetiresAt">When the serving node stops accepting it, if every live member has moved by then.</param>
/// <param name="HeldBy">Live members that hold it.</param>
/// <param name="ActiveOn">Live members that seal with it.</param>
public sealed record ClusterKey(
    string Id, uint Generation, string State, string? Fingerprint, DateTimeOffset? ActiveSince, DateTimeOffset? RetiresAt, int HeldBy, int ActiveOn);

/// <param name="Held">Ids of the keys the member holds, oldest first; empty when it has not said yet.</param>
public sealed record KeyHolder(string Node, string NodeId, string Status, ImmutableArray<string> Held, string? Active);

/// <summary>Begins a rotation: a new key is made and spread.</summary>
public sealed record RotateKeyRequest
{
    /// <summary>How long older keys stay valid once the new one is active: 10 s to 30 days, a day when left out.</summary>
    public int? RetireAfterSeconds { get; init; }
}

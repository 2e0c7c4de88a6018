using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Net;
using Kcore.Contracts;
using Kcore.Daemon.Catalog.Facts;
using Kcore.Gossip;

namespace Kcore.Daemon.Catalog.View;

/// <summary>A network as all nodes that hold the same facts see it.</summary>
/// <param name="Conflict">Not null: another claim won the VNI; the network is not materialised anywhere.</param>
/// <param name="Losers">Claims on the same name that lost, for people.</param>
internal sealed record Network(
    string Name,
    UInt128 Uid,
    NetworkSpec Spec,
    ClaimStamp Created,
    NodeId Creator,
    string? Conflict,
    ImmutableArray<string> Losers)
{
    /// <summary>The one node a network of type nat or bridge is on; null for an overlay.</summary>
    public NodeId? Home { get; init; }
}

/// <summary>A NIC with the node that states it.</summary>
internal sealed record HostedNic(NodeId Node, NicFact Fact);

/// <summary>
/// What the facts of all origins mean together: a pure function of them, so that any two nodes with equal facts agree,
/// in whatever order the facts came.
/// </summary>
internal sealed record CatalogView
{
    public static CatalogView Empty { get; } = CatalogViewBuilder.Build([]);

    /// <summary>The overlays by name, in ordinal order; conflicting ones included.</summary>
    public required ImmutableSortedDictionary<string, Network> Networks { get; init; }

    /// <summary>Networks of one node each (nat and bridge), ordered by name and node; conflicting ones included.</summary>
    public required ImmutableArray<Network> LocalNetworks { get; init; }

    /// <summary>The last word on every name ever claimed, deletions included.</summary>
    public required ImmutableArray<ClaimFact> Verdicts { get; init; }

    public required FrozenDictionary<UInt128, Network> NetworksByUid { get; init; }

    public required FrozenDictionary<NodeId, NodeFact> Nodes { get; init; }

    /// <summary>Network uid to the nodes that take part.</summary>
    public required FrozenDictionary<UInt128, ImmutableArray<(NodeId Node, ParticipationFact Fact)>> Participants { get; init; }

    /// <summary>All NICs, winners only, ordered by network, name, attachment.</summary>
    public required ImmutableArray<HostedNic> Nics { get; init; }

    public required FrozenDictionary<UInt128, PoolFact> Pools { get; init; }

    /// <summary>By attachment id. There may be very many, and each view has its own: they are not worth freezing.</summary>
    public required IReadOnlyDictionary<UInt128, LeaseFact> Leases { get; init; }

    /// <summary>NICs that go from one node to another, ordered by when that began.</summary>
    public required ImmutableArray<MoveFact> Moves { get; init; }

    /// <summary>NICs stated by nodes that they are being moved to, and are not yet on; each attachment once.</summary>
    public required FrozenDictionary<UInt128, HostedNic> Arriving { get; init; }

    /// <summary>Addresses in the emergency reserves of the nodes, ordered by network.</summary>
    public required ImmutableArray<ParkedFact> Parked { get; init; }

    /// <summary>Tunnel addresses inside the encrypted mesh.</summary>
    public required FrozenDictionary<NodeId, IPAddress> Mesh { get; init; }

    public required ImmutableArray<AdmissionFact> Admissions { get; init; }

    /// <summary>Nodes the cluster has removed: nothing they stated counts, but what they decided about overlays.</summary>
    public required FrozenDictionary<NodeId, RemovalFact> Removals { get; init; }

    /// <summary>Nodes that hold the log, by their own word.</summary>
    public required ImmutableArray<NodeId> Voters { get; init; }

    public required DissolvedFact? Dissolved { get; init; }

    /// <summary>Largest claim counter seen; a new claim takes one more and so dominates all it was made in knowledge of.</summary>
    public required ulong ClaimCounter { get; init; }

    public IEnumerable<Network> AllNetworks => Networks.Values.Concat(LocalNetworks);

    /// <summary>What a node means by a name: its own network of that name, else the overlay.</summary>
    /// <exception cref="RefusedException">NotFound, or FailedPrecondition when only other nodes have it (behaviour 97).</exception>
    public Network Find(string name, NodeId seenFrom)
    {
        ImmutableArray<Network> copies = Copies(name);
        return copies.FirstOrDefault(n => n.Home is null || n.Home == seenFrom)
            ?? throw new RefusedException(
                ErrorCode.FailedPrecondition,
                $"network '{name}' is not on node {NameOf(seenFrom)}",
                [.. copies.Select(n => $"it is of type {n.Spec.TypeName} and on node {NameOf(n.Home!.Value)}")],
                "run the command there, or create the network on this node");
    }

    /// <summary>All networks of a name: the overlay, or those of single nodes; that of <paramref name="first"/> comes first.</summary>
    /// <exception cref="RefusedException">NotFound, naming it.</exception>
    public ImmutableArray<Network> Copies(string name, NodeId? first = null)
    {
        ImmutableArray<Network> copies =
        [
            .. AllNetworks.Where(n => string.Equals(n.Name, name, StringComparison.Ordinal)).OrderBy(n => n.Home is null || n.Home == first ? 0 : 1),
        ];
        return copies.IsEmpty
            ? throw new RefusedException(ErrorCode.NotFound, $"network '{name}' does not exist", next: "kctl get networks")
            : copies;
    }

    private string NameOf(NodeId node) => Nodes.TryGetValue(node, out NodeFact? fact) ? fact.Name : node.Short;

    /// <summary>Found by halving, for they are ordered by network: with many networks, looking through all for each would be quadratic.</summary>
    public IEnumerable<HostedNic> NicsOf(UInt128 network)
    {
        int first = 0;
        for (int end = Nics.Length; first < end;)
        {
            int middle = first + ((end - first) / 2);
            (first, end) = Nics[middle].Fact.Network < network ? (middle + 1, end) : (first, middle);
        }

        for (int i = first; i < Nics.Length && Nics[i].Fact.Network == network; i++)
        {
            yield return Nics[i];
        }
    }

    public ImmutableArray<(NodeId Node, ParticipationFact Fact)> ParticipantsOf(UInt128 network) =>
        Participants.TryGetValue(network, out ImmutableArray<(NodeId, ParticipationFact)> nodes) ? nodes : [];
}

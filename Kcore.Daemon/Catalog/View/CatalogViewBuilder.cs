using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Globalization;
using System.Net;
using Kcore.Daemon.Catalog.Facts;
using Kcore.Daemon.Catalog.Naming;
using Kcore.Gossip;

namespace Kcore.Daemon.Catalog.View;

/// <summary>Computes the view from all live entries.</summary>
internal static class CatalogViewBuilder
{
    // One origin's claims on two spellings of a name can carry one stamp; then the spelling decides.
    private static readonly Comparer<(ClaimStamp Stamp, string Name)> Latest = Comparer<(ClaimStamp Stamp, string Name)>.Create(
        (a, b) => a.Stamp.CompareTo(b.Stamp) is not 0 and int order ? order : string.CompareOrdinal(a.Name, b.Name));

    public static CatalogView Build(IEnumerable<CatalogEntry> entries) => Build(entries, FactReader.Read);

    /// <param name="entries">All that are live.</param>
    /// <param name="read">What <see cref="FactReader.Read"/> says of an entry.</param>
    public static CatalogView Build(IEnumerable<CatalogEntry> entries, Func<CatalogEntry, object?> read)
    {
        var nodes = new Dictionary<NodeId, NodeFact>();
        var participants = new Dictionary<UInt128, List<(NodeId, ParticipationFact)>>();
        var nics = new List<HostedNic>();
        var claims = new List<(NodeId Origin, ClaimFact Claim)>();
        var pools = new Dictionary<UInt128, PoolFact>();
        var leases = new Dictionary<UInt128, LeaseFact>();
        var parked = new List<ParkedFact>();
        var moves = new List<MoveFact>();
        var mesh = new Dictionary<NodeId, IPAddress>();
        var admissions = new List<AdmissionFact>();
        var removals = new Dictionary<NodeId, RemovalFact>();
        DissolvedFact? dissolved = null;

        foreach (CatalogEntry entry in entries)
        {
            switch (read(entry))
            {
                case NodeFact fact:
                    nodes[entry.Origin] = fact;
                    break;
                case ParticipationFact fact:
                    if (!participants.TryGetValue(fact.Network, out List<(NodeId, ParticipationFact)>? list))
                    {
                        participants[fact.Network] = list = [];
                    }

                    list.Add((entry.Origin, fact));
                    break;
                case NicFact fact:
                    nics.Add(new HostedNic(entry.Origin, fact));
                    break;
                case ClaimFact fact:
                    claims.Add((entry.Origin, fact));
                    break;
                case PoolFact fact:
                    pools[fact.Network] = fact;
                    break;
                case LeaseFact fact:
                    leases[fact.AttachmentId] = fact;
                    break;
                case ParkedFact fact:
                    parked.Add(fact);
                    break;
                case MoveFact fact:
                    moves.Add(fact);
                    break;
                case MeshFact fact:
                    mesh[fact.Node] = fact.Address;
                    break;
                case AdmissionFact fact:
                    admissions.Add(fact);
                    break;
                case RemovalFact fact:
                    removals[fact.Node] = fact;
                    break;
                case DissolvedFact fact:
                    dissolved = fact;
                    break;
                default:
                    break;
            }
        }

        if (removals.Count > 0)
        {
            // A removed node's word on overlays counts until another node has repeated it (RemovalLoop).
            claims.RemoveAll(c => c.Claim.Home is { } home && removals.ContainsKey(home));
            nics.RemoveAll(n => removals.ContainsKey(n.Node));
            foreach (NodeId node in removals.Keys)
            {
                nodes.Remove(node);
            }

            foreach (List<(NodeId Node, ParticipationFact)> list in participants.Values)
            {
                list.RemoveAll(p => removals.ContainsKey(p.Node));
            }
        }

        ImmutableArray<Network> networks = ResolveNetworks(claims);

        // Lease and move change with one entry of the log and may still come one after the other; the lease decides.
        HashSet<(UInt128, NodeId)> expected =
            [.. moves.Where(m => m.IsPending && leases.GetValueOrDefault(m.AttachmentId)?.Node != m.To).Select(m => (m.AttachmentId, m.To))];
        HostedNic[] arriving = [.. nics.Where(n => expected.Contains((n.Fact.AttachmentId, n.Node)))];
        nics.RemoveAll(n => expected.Contains((n.Fact.AttachmentId, n.Node)));
        return new CatalogView
        {
            Networks = networks.Where(n => n.Home is null).ToImmutableSortedDictionary(n => n.Name, n => n, StringComparer.Ordinal),
            LocalNetworks = [.. networks.Where(n => n.Home is not null).OrderBy(n => n.Name, StringComparer.Ordinal).ThenBy(n => n.Home)],
            Verdicts = [.. Names(claims)
                .Select(g => g.MaxBy(c => (c.Claim.Stamp, c.Claim.Name), Latest).Claim)
                .OrderBy(c => c.Name, StringComparer.Ordinal).ThenBy(c => c.Home)],
            // A uid is random, but it comes from other nodes: two names with one uid must not end this one.
            NetworksByUid = networks.OrderBy(n => n.Created).ThenBy(n => n.Name, StringComparer.Ordinal).ThenBy(n => n.Home).DistinctBy(n => n.Uid).ToFrozenDictionary(n => n.Uid),
            Nodes = nodes.ToFrozenDictionary(),
            Participants = participants.ToFrozenDictionary(
                p => p.Key, p => p.Value.OrderBy(n => n.Item1).ToImmutableArray()),
            Nics = ResolveNics(nics, leases),
            Moves = [.. moves.OrderBy(m => m.Begun).ThenBy(m => m.Move)],
            Arriving = arriving.OrderBy(n => n.Node).DistinctBy(n => n.Fact.AttachmentId).ToFrozenDictionary(n => n.Fact.AttachmentId),
            Pools = pools.ToFrozenDictionary(),
            Leases = leases,
            Parked = [.. parked.OrderBy(p => p.Network).ThenBy(p => FactKeys.Parked(p.Network, p.Address), StringComparer.Ordinal)],
            Mesh = mesh.ToFrozenDictionary(),
            Admissions = [.. admissions.OrderBy(a => a.Node)],
            Removals = removals.ToFrozenDictionary(),
            Voters = [.. nodes.Where(n => n.Value.Votes).Select(n => n.Key).Order()],
            Dissolved = dissolved,
            ClaimCounter = claims.Count == 0 ? 0 : claims.Max(c => c.Claim.Stamp.Counter),
        };
    }

    /// <summary>Two names that differ only in case are one name (A18): created in two halves of a split, one of them wins.</summary>
    private static IEnumerable<IGrouping<(string, NodeId?), (NodeId Origin, ClaimFact Claim)>> Names(List<(NodeId Origin, ClaimFact Claim)> claims) =>
        claims.GroupBy(c => (c.Claim.Name.ToUpperInvariant(), c.Claim.Home));

    private static ImmutableArray<Network> ResolveNetworks(List<(NodeId Origin, ClaimFact Claim)> claims)
    {
        var winners = new List<Network>();
        foreach (IGrouping<(string, NodeId?), (NodeId Origin, ClaimFact Claim)> name in Names(claims))
        {
            (NodeId origin, ClaimFact claim) = name.MaxBy(c => (c.Claim.Stamp, c.Claim.Name), Latest);
            if (claim.Spec is not { } spec)
            {
                continue;
            }

            winners.Add(new Network(
                claim.Name,
                claim.Uid,
                spec,
                claim.Created,
                origin,
                null,
                [.. name.Where(c => c.Claim.Spec is not null && c.Claim.Uid != claim.Uid).OrderBy(c => (c.Claim.Stamp, c.Claim.Name), Latest).Select(Describe)])
            {
                Home = claim.Home,
            });
        }

        return [.. MarkNameConflicts(MarkVniConflicts(winners))];
    }

    /// <summary>
    /// An overlay and a network of one node want the same bridge there. They cannot be created so, but two halves of a
    /// split may: the overlay keeps the name, because it is on every node.
    /// </summary>
    private static IEnumerable<Network> MarkNameConflicts(IEnumerable<Network> networks)
    {
        Network[] all = [.. networks];
        HashSet<string> overlays = new(all.Where(n => n.Home is null).Select(n => n.Name), StringComparer.OrdinalIgnoreCase);
        return all.Select(n => n.Home is not null && overlays.Contains(n.Name)
            ? n with { Conflict = $"the name belongs to an overlay, which is on every node" }
            : n);
    }

    /// <summary>Of two overlays with one VNI the earlier creation keeps it, then the smaller name (A4).</summary>
    private static IEnumerable<Network> MarkVniConflicts(List<Network> networks)
    {
        var holders = new Dictionary<uint, Network>();
        foreach (Network network in networks.OrderBy(n => n.Created).ThenBy(n => n.Name, StringComparer.Ordinal))
        {
            if (network.Spec.Type != NetworkType.Vxlan)
            {
                yield return network;
                continue;
            }

            uint vni = DerivedNames.Vni(network.Name);
            if (holders.TryAdd(vni, network))
            {
                yield return network;
            }
            else
            {
                yield return network with
                {
                    Conflict = string.Create(CultureInfo.InvariantCulture, $"VNI {vni} belongs to network '{holders[vni].Name}', created earlier"),
                };
            }
        }
    }

    /// <summary>
    /// Two nodes that state one MAC on one network: the one that holds its lease wins, so that a move is one step for everybody who
    /// sees the lease change hands; then the later lease, then the smaller node id.
    /// </summary>
    private static ImmutableArray<HostedNic> ResolveNics(List<HostedNic> nics, Dictionary<UInt128, LeaseFact> leases) =>
    [
        .. nics
            .GroupBy(n => (n.Fact.Network, n.Fact.Mac))
            .Select(g => g
                .OrderByDescending(n => leases.TryGetValue(n.Fact.AttachmentId, out LeaseFact? lease) && lease.Node == n.Node)
                .ThenByDescending(n => n.Fact.LeaseIndex).ThenBy(n => n.Node).ThenBy(n => n.Fact.AttachmentId).First())
            .OrderBy(n => n.Fact.Network).ThenBy(n => n.Fact.Name, StringComparer.Ordinal).ThenBy(n => n.Fact.AttachmentId).ThenBy(n => n.Node),
    ];

    private static string Describe((NodeId Origin, ClaimFact Claim) claim) =>
        $"'{claim.Claim.Name}' {claim.Claim.Spec!.TypeName} {claim.Claim.Spec.Gateway}/{claim.Claim.Spec.PrefixLength} claimed by node {claim.Origin.Short}";
}

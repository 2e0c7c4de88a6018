using System.Collections.Immutable;
using Kcore.Contracts;
using Kcore.Daemon.Catalog;
using Kcore.Daemon.Catalog.Facts;
using Kcore.Daemon.Cluster.Addressing;
using Kcore.Daemon.Dataplane;
using Kcore.Daemon.Dataplane.Facts;
using Kcore.Daemon.Reconciliation;
using Kcore.Gossip;

namespace Kcore.Daemon.Api;

/// <summary>Nodes as <c>kctl</c> shows them, from the local replica.</summary>
internal sealed class NodeReports(LocalNode self, CatalogHub catalog, Published<Underlay> underlay, DataplaneReports kernel)
{
    public ImmutableArray<NodeSummary> List()
    {
        CatalogSnapshot now = catalog.Current.Current;
        return [.. now.Gossip.Members.Members.Select(m => Summary(m, now)).OrderBy(n => n.Name, StringComparer.Ordinal)];
    }

    public NodeDetail Describe(string nameOrId)
    {
        CatalogSnapshot now = catalog.Current.Current;
        Member member = now.FindNode(nameOrId.Trim()) is { } id && now.Gossip.Members.Find(id) is { } found
            ? found
            : throw new RefusedException(ErrorCode.NotFound, $"node '{nameOrId}' is not known", next: "kctl get nodes");
        now.View.Nodes.TryGetValue(member.Id, out NodeFact? fact);
        bool isSelf = member.Id == self.Id;
        ReconcileStatus state = kernel.Status.Current;
        return new NodeDetail
        {
            Summary = Summary(member, now),
            AddressReason = isSelf ? underlay.Current.Advertised.Reason : null,
            UnderlayInterface = fact?.UnderlayInterface,
            UnderlayMtu = fact?.UnderlayMtu,
            Epoch = member.Epoch,
            Incarnation = member.Incarnation,
            GossipPort = member.Endpoint.Port,
            RaftPort = member.RaftPort,
            Networks =
            [
                .. now.View.AllNetworks.SelectMany(n => now.View.ParticipantsOf(n.Uid)
                    .Where(p => p.Node == member.Id)
                    .Select(p => new NodeNetwork(n.Name, p.Fact.State.ToString(), p.Fact.Reason))),
            ],
            Warnings = isSelf ? [.. state.Error is { } error ? [error] : ImmutableArray<string>.Empty, .. state.Warnings, .. kernel.Fights.Select(f => f.ToString())] : [],
        };
    }

    private static NodeSummary Summary(Member member, CatalogSnapshot now)
    {
        now.View.Nodes.TryGetValue(member.Id, out NodeFact? fact);
        return new NodeSummary(
            member.Id.ToString(),
            member.Name,
            member.Endpoint.Address.ToString(),
            member.Status.ToString().ToLowerInvariant(),
            now.View.Voters.Contains(member.Id) ? "voter" : "observer",
            fact?.VxlanDisabled ?? false,
            now.View.AllNetworks.Count(n => now.View.ParticipantsOf(n.Uid).Any(p => p.Node == member.Id)),
            fact?.Version ?? "");
    }
}

using System.Collections.Immutable;
using Kcore.Contracts;
using Kcore.Daemon.Catalog;
using Kcore.Daemon.Catalog.Facts;
using Kcore.Daemon.Cluster.Addressing;
using Kcore.Daemon.Dataplane;
using Kcore.Daemon.Dataplane.Facts;
using Kcore.Daemon.Dataplane.Hosts;
using Kcore.Daemon.Dataplane.Paths;
using Kcore.Daemon.Reconciliation;
using Kcore.Gossip;

namespace Kcore.Daemon.Api;

/// <summary>Nodes as <c>kctl</c> shows them, from the local replica.</summary>
internal sealed class NodeReports(LocalNode self, CatalogHub catalog, Published<Underlay> underlay, DataplaneReports kernel, Published<HostSights> hosts, Published<PathSights> paths, MeshReports mesh)
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
            Host = isSelf ? null : TextOf(hosts.Current.Of(member.Id)),
            Path = paths.Current.Of(member.Id) is { } path ? new NodePath(TextOf(path.State), path.Full, path.Passes) : null,
            Epoch = member.Epoch,
            Incarnation = member.Incarnation,
            GossipPort = member.Endpoint.Port,
            RaftPort = member.RaftPort,
            WireguardKey = fact?.Wireguard?.Key.ToString(),
            MeshAddress = now.View.Mesh.GetValueOrDefault(member.Id)?.ToString(),
            LastHandshake = mesh.LastHandshake(member.Id, fact),
            Networks =
            [
                .. now.View.AllNetworks.SelectMany(n => now.View.ParticipantsOf(n.Uid)
                    .Where(p => p.Node == member.Id)
                    .Select(p => new NodeNetwork(n.Name, p.Fact.State.ToString(), p.Fact.Reason))),
            ],
            Warnings = isSelf
                ? [.. new[] { state.Error, hosts.Current.Obstacle, paths.Current.Obstacle }.OfType<string>(), .. state.Warnings, .. kernel.Fights.Select(f => f.ToString())]
                : [.. WarningsOf(member, hosts.Current.Of(member.Id)), .. PathWarnings(member)],
        };
    }

    private static string TextOf(HostState state) => state switch
    {
        HostState.Answers => "answers",
        HostState.Mute => "mute",
        HostState.Silent => "silent",
        _ => "unknown",
    };

    private static string TextOf(PathState state) => state switch
    {
        PathState.Works => "works",
        PathState.TooSmall => "too-small",
        PathState.Broken => "broken",
        _ => "unknown",
    };

    private IEnumerable<string> PathWarnings(Member member)
    {
        if (paths.Current.Of(member.Id) is { } sight && PathFinding.Of(member.Name, sight, underlay.Current) is { } finding)
        {
            yield return finding.ToString();
        }
    }

    private static IEnumerable<string> WarningsOf(Member member, HostState host)
    {
        if (member.Status == MemberStatus.Dead)
        {
            yield return host switch
            {
                HostState.Silent => $"neither kcored nor the host answers: its entries are withdrawn until it is back; if it is gone for good: kctl node remove {member.Name}",
                HostState.Answers => "kcored does not answer, but the host does: its entries stay; look at kcored there",
                HostState.Mute => "kcored does not answer; the host never answered ICMP echo, so its entries stay: look at it",
                _ => "kcored does not answer; its entries stay",
            };
        }
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
            fact?.Version ?? "",
            fact?.Drained ?? false);
    }
}

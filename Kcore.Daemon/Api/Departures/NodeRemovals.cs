using System.Collections.Immutable;
using Kcore.Contracts;
using Kcore.Daemon.Catalog;
using Kcore.Daemon.Catalog.Facts;
using Kcore.Daemon.Cluster;
using Kcore.Daemon.Dataplane.Nics;
using Kcore.Daemon.Ipam;
using Kcore.Daemon.Ipam.Ledger;
using Kcore.Gossip;

namespace Kcore.Daemon.Api.Departures;

/// <summary>Removes another node for good, from any node.</summary>
internal sealed class NodeRemovals(LocalNode self, CatalogHub catalog, ProposalClient proposals, QuorumSight quorum, LeaderRoute route, TimeProvider time)
{
    private static readonly TimeSpan LogPatience = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan ViewPatience = TimeSpan.FromSeconds(5);

    /// <param name="force">Also when it is alive or has NICs; their leases end.</param>
    public async Task<ChangeReceipt> RemoveAsync(string nameOrId, bool force, CancellationToken token)
    {
        CatalogSnapshot now = catalog.Current.Current;
        if (Find(nameOrId.Trim(), now) is not { } node)
        {
            return now.View.Removals.Values.FirstOrDefault(r => IsMeant(nameOrId.Trim(), r.Node, r.Name)) is { } gone
                ? new ChangeReceipt("unchanged", "Node", gone.Name, self.Name)
                : throw new RefusedException(ErrorCode.NotFound, $"node '{nameOrId}' is not known", next: "kctl get nodes");
        }

        string name = now.NameOf(node);
        Check(node, name, force, now);
        if (await proposals.ProposeAsync(new ReplicatedCommand.NodeRemove(Uid.ToGuid(node.Value), force), LogPatience, token) is ReplicatedResult.Refused refused)
        {
            throw new RefusedException(NicService.CodeOf(refused.Code), refused.Text, next: $"kctl node remove {name} --force also ends what it holds");
        }

        // Whoever asked finds it gone on this node; the others follow by themselves.
        using var limit = new CancellationTokenSource(ViewPatience, time);
        using CancellationTokenSource both = CancellationTokenSource.CreateLinkedTokenSource(token, limit.Token);
        try
        {
            await catalog.Current.WhenAsync(s => s.View.Removals.ContainsKey(node) && s.Gossip.Members.Find(node) is null, both.Token);
        }
        catch (OperationCanceledException) when (!token.IsCancellationRequested)
        {
            // It is committed; the catalog is late.
        }

        return new ChangeReceipt("removed", "Node", name, self.Name);
    }

    private void Check(NodeId node, string name, bool force, CatalogSnapshot now)
    {
        if (node == self.Id)
        {
            throw new RefusedException(ErrorCode.FailedPrecondition, $"node '{name}' is the one that serves this call; it does not remove itself", next: "kctl node leave");
        }

        bool isAlive = now.Gossip.Members.Find(node) is { IsActive: true };
        if (isAlive && !force)
        {
            throw new RefusedException(
                ErrorCode.FailedPrecondition,
                $"node '{name}' is alive",
                next: $"kctl node leave, on {name}; or kctl node remove {name} --force, which cuts its guests off from the others");
        }

        ImmutableArray<string> nics = NicsOf(node, now);
        if (!nics.IsEmpty && !force)
        {
            throw new RefusedException(
                ErrorCode.FailedPrecondition,
                $"node '{name}' has {nics.Length} NIC{(nics.Length == 1 ? "" : "s")}",
                nics,
                $"if it is gone for good: kctl node remove {name} --force; their addresses are not given out again");
        }

        // A removed voter is gone at once: what is left must be a majority by itself, or nobody could change the voters.
        ImmutableArray<NodeId> voters = route.Voters;
        int others = voters.Count(v => v != node && now.Gossip.Members.Find(v) is { Status: MemberStatus.Alive });
        if (quorum.Current.HasQuorum && voters.Contains(node) && others <= voters.Length / 2)
        {
            throw new RefusedException(
                ErrorCode.FailedPrecondition,
                $"node '{name}' votes, and the other voters alone are no majority ({others} of {voters.Length} are alive)",
                [.. voters.Select(v => $"voter {now.NameOf(v)}: {now.Gossip.Members.Find(v)?.Status.ToString().ToLowerInvariant() ?? "unknown"}")],
                isAlive ? $"kctl node leave, on {name}: it hands its vote on first" : "bring another voter back first");
        }
    }

    private static ImmutableArray<string> NicsOf(NodeId node, CatalogSnapshot now) =>
    [
        .. now.View.Nics.Where(n => n.Node == node).Select(n => $"NIC {n.Fact.Name} on network {NetworkOf(n.Fact.Network, now)}")
            .Concat(now.View.Leases.Values.Where(l => l.Node == node).Select(l => $"NIC {l.NicName} on network {NetworkOf(l.Network, now)}"))
            .Distinct(StringComparer.Ordinal)
            .Order(StringComparer.Ordinal),
    ];

    private static string NetworkOf(UInt128 network, CatalogSnapshot now) =>
        now.View.NetworksByUid.TryGetValue(network, out Catalog.View.Network? found) ? found.Name : FactKeys.Hex(network)[..8];

    /// <summary>Also one that is only in the log: a node that is dead may be unknown to members that started after it died.</summary>
    private static NodeId? Find(string nameOrId, CatalogSnapshot now) =>
        now.View.Admissions.FirstOrDefault(a => IsMeant(nameOrId, a.Node, a.Name))?.Node
        ?? (now.FindNode(nameOrId) is { } id && !now.View.Removals.ContainsKey(id) ? id : null);

    private static bool IsMeant(string nameOrId, NodeId node, string name) =>
        NodeId.TryParse(nameOrId, out NodeId id) ? id == node : string.Equals(name, nameOrId, StringComparison.Ordinal);
}

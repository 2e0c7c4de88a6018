using System.Collections.Immutable;
using Kcore.Contracts;
using Kcore.Daemon.Catalog;
using Kcore.Daemon.Catalog.Facts;
using Kcore.Daemon.Catalog.Naming;
using Kcore.Daemon.Catalog.View;
using Kcore.Daemon.Cluster.Addressing;
using Kcore.Daemon.Dataplane.Desired;
using Kcore.Daemon.Reconciliation;
using Kcore.Gossip;

namespace Kcore.Daemon.Api;

/// <summary>Networks as <c>kctl</c> shows them, from the local replica.</summary>
internal sealed class NetworkReports(CatalogHub catalog, Published<Underlay> underlay)
{
    public ImmutableArray<NetworkSummary> List()
    {
        CatalogSnapshot now = catalog.Current.Current;
        return
        [
            .. now.View.Networks.Values.Select(n => new NetworkSummary(
                n.Name,
                n.Spec.TypeName,
                n.Spec.Gateway.ToString(),
                n.Spec.Netmask,
                n.Spec.VlanId,
                n.Spec.Type == NetworkType.Vxlan,
                DerivedNames.Bridge(n.Name),
                Members(n, now).Count(),
                n.Conflict)),
        ];
    }

    public NetworkDetail Describe(string name)
    {
        CatalogSnapshot now = catalog.Current.Current;
        Network network = now.View.Find(name.Trim());
        uint vni = DerivedNames.Vni(network.Name);
        now.View.Pools.TryGetValue(network.Uid, out PoolFact? pool);
        Underlay link = underlay.Current;
        return new NetworkDetail
        {
            Name = network.Name,
            Uid = FactKeys.Hex(network.Uid),
            Type = network.Spec.TypeName,
            Overlay = network.Spec.Type == NetworkType.Vxlan,
            Bridge = DerivedNames.Bridge(network.Name),
            GatewayIp = network.Spec.Gateway.ToString(),
            InternalNetmask = network.Spec.Netmask,
            NetworkCidr = network.Spec.Subnet.ToString(),
            Vlan = network.Spec.VlanId,
            OutboundNat = network.Spec.OutboundNat,
            AllowedTcpPorts = [],
            AllowedUdpPorts = [],
            ExternalIp = network.Spec.ExternalIp?.ToString(),
            Vni = (int)vni,
            VxlanDevice = DerivedNames.VxlanDevice(vni),
            Mtu = KernelFacts.OverlayMtu(link.Mtu, link.Advertised.Address),
            Addresses = pool is null ? null : new PoolUsage(pool.Size, pool.Used, pool.Free, pool.Next?.ToString()),
            Nodes = [.. Members(network, now).Select(m => Describe(m.Node, m.Fact, now))],
            Conflicts = [.. network.Conflict is { } lost ? [lost] : ImmutableArray<string>.Empty, .. network.Losers],
        };
    }

    private static NetworkNode Describe(NodeId node, ParticipationFact fact, CatalogSnapshot now) => new(
        now.NameOf(node),
        node.ToString(),
        now.View.Nodes.TryGetValue(node, out NodeFact? host) ? host.Vtep.ToString() : null,
        fact.State.ToString(),
        fact.Reason,
        now.Gossip.Members.Find(node)?.Status.ToString().ToLowerInvariant() ?? "unknown");

    /// <summary>Configured members, healthy or not (A21); disabled ones and those that left take no part (behaviour 53).</summary>
    private static IEnumerable<(NodeId Node, ParticipationFact Fact)> Members(Network network, CatalogSnapshot now) =>
        now.View.ParticipantsOf(network.Uid).Where(p =>
            now.Gossip.Members.Find(p.Node) is not { Status: MemberStatus.Left }
            && !(now.View.Nodes.TryGetValue(p.Node, out NodeFact? host) && host.VxlanDisabled));
}

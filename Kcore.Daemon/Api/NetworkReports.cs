using System.Collections.Immutable;
using System.Globalization;
using System.Net;
using Kcore.Contracts;
using Kcore.Daemon.Catalog;
using Kcore.Daemon.Catalog.Facts;
using Kcore.Daemon.Catalog.Naming;
using Kcore.Daemon.Catalog.Networks;
using Kcore.Daemon.Catalog.View;
using Kcore.Daemon.Cluster.Addressing;
using Kcore.Daemon.Dataplane.Desired;
using Kcore.Daemon.Dataplane.Facts;
using Kcore.Daemon.Dataplane.Mesh;
using Kcore.Daemon.Dataplane.Paths;
using Kcore.Daemon.Reconciliation;
using Kcore.Gossip;

namespace Kcore.Daemon.Api;

/// <summary>Networks as <c>kctl</c> shows them, from the local replica.</summary>
internal sealed class NetworkReports(LocalNode self, CatalogHub catalog, Published<Underlay> underlay, Published<PathSights> paths, DataplaneReports kernel, string? gatewayInterface)
{
    /// <summary>One row per name: networks of single nodes that share it are told apart by describe.</summary>
    /// <param name="all">Also the network every node has of its own (A7).</param>
    public ImmutableArray<NetworkSummary> List(bool all)
    {
        CatalogSnapshot now = catalog.Current.Current;
        return
        [
            .. now.View.AllNetworks
                .Where(n => all || n.Name != NetworkService.DefaultName)
                .GroupBy(n => n.Name, StringComparer.Ordinal)
                .OrderBy(g => g.Key, StringComparer.Ordinal)
                .Select(g => (Network: g.OrderBy(n => n.Home is null || n.Home == self.Id ? 0 : 1).First(), Nodes: g.Sum(n => Members(n, now).Count())))
                .Select(g => new NetworkSummary(
                    g.Network.Name,
                    g.Network.Spec.TypeName,
                    g.Network.Spec.Gateway.ToString(),
                    g.Network.Spec.Netmask,
                    g.Network.Spec.VlanId,
                    g.Network.Spec.Type == NetworkType.Vxlan,
                    DerivedNames.Bridge(g.Network.Name),
                    g.Nodes,
                    g.Network.Conflict)),
        ];
    }

    /// <param name="targetNode">Of networks of single nodes, which one; null shows this node's, and the nodes of all.</param>
    public NetworkDetail Describe(string name, string? targetNode)
    {
        CatalogSnapshot now = catalog.Current.Current;
        ImmutableArray<Network> copies = now.View.Copies(name.Trim(), self.Id);
        Network network = string.IsNullOrWhiteSpace(targetNode)
            ? copies[0]
            : copies.FirstOrDefault(n => n.Home is null || n.Home == now.FindNode(targetNode.Trim())) ?? throw new RefusedException(
                ErrorCode.NotFound, $"network '{copies[0].Name}' is not on node '{targetNode.Trim()}'", next: $"kctl describe network {copies[0].Name}");
        NetworkSpec spec = network.Spec;
        bool overlay = spec.Type == NetworkType.Vxlan;
        uint vni = DerivedNames.Vni(network.Name);
        now.View.Pools.TryGetValue(network.Uid, out PoolFact? pool);
        Underlay link = underlay.Current;
        string? parent = network.Home != self.Id ? spec.Uplink : spec.Uplink ?? gatewayInterface ?? link.Advertised.Interface;
        return new NetworkDetail
        {
            Name = network.Name,
            Uid = FactKeys.Hex(network.Uid),
            Type = spec.TypeName,
            Overlay = overlay,
            Bridge = DerivedNames.Bridge(network.Name),
            GatewayIp = spec.Gateway.ToString(),
            InternalNetmask = spec.Netmask,
            NetworkCidr = spec.Subnet.ToString(),
            Vlan = spec.VlanId,
            OutboundNat = spec.OutboundNat,
            AllowedTcpPorts = spec.Ports.Allowed(TransportProtocol.Tcp),
            AllowedUdpPorts = spec.Ports.Allowed(TransportProtocol.Udp),
            ExternalIp = spec.ExternalIp?.ToString(),
            Uplink = spec.Type == NetworkType.Bridge || spec.VlanId != 0 ? parent : null,
            VlanDevice = spec.VlanId != 0 && parent is not null ? DerivedNames.VlanDevice(parent, spec.VlanId) : null,
            Published = [.. Published(network, now)],
            DhcpRange = spec.Type == NetworkType.Nat && GuestRange.Of(spec) is var range ? $"{range.First} - {range.Last}" : null,
            Vni = overlay ? (int)vni : null,
            VxlanDevice = overlay ? DerivedNames.VxlanDevice(vni) : null,
            Encryption = overlay ? spec.EncryptionName : null,
            Mtu = Mtu(network, parent, link, now),
            AddressReuse = overlay ? NetworkSpec.NameOf(spec.Reuse) : null,
            EmergencyReserve = overlay ? spec.EmergencyReserve : null,
            Addresses = spec.Type == NetworkType.Nat ? AddressReports.LocalUsage(network, now)
                : pool is null ? null
                : new PoolUsage(pool.Size, pool.Used, pool.Free, pool.Next?.ToString(), pool.Resting, pool.Parked),
            Nodes =
            [
                .. (string.IsNullOrWhiteSpace(targetNode) ? copies : [network])
                    .SelectMany(copy => Members(copy, now).Select(m => Describe(copy, m.Node, m.Fact, now)))
                    .OrderBy(n => n.NodeId, StringComparer.Ordinal),
            ],
            Conflicts = [.. copies.SelectMany(n => n.Conflict is { } lost ? n.Losers.Insert(0, lost) : n.Losers)],
        };
    }

    private static IEnumerable<string> Published(Network network, CatalogSnapshot now)
    {
        IPAddress? external = network.Home is { } home ? LocalPlace.ExternalOf(network.Spec, home, now.View) : null;
        return network.Spec.Ports.Rules.Where(r => r.Nic is not null).Select(r => string.Create(
            CultureInfo.InvariantCulture, $"{external?.ToString() ?? "?"}:{r.Port}/{r.ProtocolName} -> {r.Nic}:{r.TargetPort}"));
    }

    /// <summary>What this node knows of another's devices is what it advertises by.</summary>
    private int? Mtu(Network network, string? parent, Underlay link, CatalogSnapshot now) => network switch
    {
        { Home: null } when IntentBuilder.IsEncrypted(network) => KernelFacts.EncryptedMtu(link.Mtu, link.Advertised.Address),
        { Home: null } => KernelFacts.OverlayMtu(link.Mtu, link.Advertised.Address),
        { Home: { } home } when home == self.Id => parent == link.Advertised.Interface ? link.Mtu : UnderlayWatch.MtuOf(parent!) ?? link.Mtu,
        { Home: { } home, Spec.Type: NetworkType.Nat } when now.View.Nodes.TryGetValue(home, out NodeFact? host) => host.UnderlayMtu,
        _ => null,
    };

    private NetworkNode Describe(Network network, NodeId node, ParticipationFact fact, CatalogSnapshot now) => new(
        now.NameOf(node),
        node.ToString(),
        network.Home is not null ? null
            : IntentBuilder.IsEncrypted(network) ? MeshIntents.AddressOf(node, now.View)?.ToString()
            : now.View.Nodes.TryGetValue(node, out NodeFact? host) ? host.Vtep.ToString() : null,
        fact.State.ToString(),
        fact.Reason,
        now.Gossip.Members.Find(node)?.Status.ToString().ToLowerInvariant() ?? "unknown",
        network.Home is not null && network.Spec.Type == NetworkType.Nat ? LocalPlace.ExternalOf(network.Spec, node, now.View)?.ToString() : null,
        node == self.Id ? FirewallWarning(network)
            : network.Home is null && paths.Current.Of(node) is { } sight ? PathFinding.Of(now.NameOf(node), sight, underlay.Current)?.What
            : null);

    /// <summary>Foreign rules of this host that drop what this network needs (behaviour 49).</summary>
    private string? FirewallWarning(Network network)
    {
        string bridge = DerivedNames.Bridge(network.Name);
        string[] blocks =
        [
            .. kernel.Status.Current.Blocks
                .Where(b => b.Bridge is { } hit ? hit == bridge : network.Home is null || b.Family == NftSkeleton.Bridge)
                .Select(b => b.ToString()),
        ];
        return blocks.Length == 0 ? null : string.Join("; ", blocks);
    }

    /// <summary>Configured members, healthy or not (A21); disabled ones and those that left take no part (behaviour 53).</summary>
    private static IEnumerable<(NodeId Node, ParticipationFact Fact)> Members(Network network, CatalogSnapshot now) =>
        now.View.ParticipantsOf(network.Uid).Where(p =>
            now.Gossip.Members.Find(p.Node) is not { Status: MemberStatus.Left }
            && (network.Home is null
                ? !(now.View.Nodes.TryGetValue(p.Node, out NodeFact? host) && host.VxlanDisabled)
                : p.Node == network.Home));
}

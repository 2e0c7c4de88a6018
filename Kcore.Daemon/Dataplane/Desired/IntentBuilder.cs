using System.Collections.Immutable;
using System.Net;
using Kcore.Daemon.Catalog;
using Kcore.Daemon.Catalog.Facts;
using Kcore.Daemon.Catalog.Naming;
using Kcore.Daemon.Catalog.View;
using Kcore.Daemon.Cluster.Addressing;
using Kcore.Daemon.Dataplane.Hosts;
using Kcore.Daemon.Dataplane.Mesh;
using Kcore.Daemon.Ipam.Attachments;
using Kcore.Gossip;

namespace Kcore.Daemon.Dataplane.Desired;

/// <summary>What the catalog, the leases and the members say about this node's kernel: a pure function.</summary>
internal static class IntentBuilder
{
    public static DataplaneIntent Build(
        LocalNode self, Underlay underlay, string? gatewayInterface, CatalogSnapshot catalog, AttachmentSet attachments, string? deletionsHeldBack,
        Func<string, int?>? mtuOf = null, HostSights? hosts = null)
    {
        hosts ??= HostSights.None;
        CatalogView view = catalog.View;
        string egress = gatewayInterface ?? underlay.Advertised.Interface;
        ILookup<UInt128, AttachmentRecord> local = attachments.Wanted.Where(a => a.Address is not null && MoveRules.IsHere(a, view, self.Id)).ToLookup(a => a.Network);
        ImmutableArray<OverlayIntent> overlays = self.VxlanDisabled
            ? []
            : [.. view.Networks.Values.Where(IsMaterialised).Select(n => Overlay(n, self.Id, catalog, local[n.Uid], hosts))];
        bool encrypted = overlays.Any(o => o.Encrypted);
        return new DataplaneIntent(
            new NodeIntent
            {
                Name = self.Name,
                Uid = self.Id.Value,
                Vtep = underlay.Advertised.Address,
                EgressInterface = egress,
                UnderlayMtu = underlay.Mtu,
                VxlanDisabled = self.VxlanDisabled,
                DeletionsHeldBack = deletionsHeldBack,
            },
            overlays,
            [
                .. view.Nodes
                    .Where(n => n.Key != self.Id && HasNotLeft(n.Key, catalog))
                    .Select(n => n.Value.Vtep)
                    .Distinct()
                    .OrderBy(a => a.ToString(), StringComparer.Ordinal),
            ])
        {
            Mesh = encrypted ? MeshIntents.Of(self.Id, underlay, catalog, n => HasNotLeft(n, catalog)) : null,
            Locals = new LocalIntents(self, underlay, egress, view, attachments, mtuOf ?? (_ => null)).Build(),
        };
    }

    /// <summary>
    /// The same for a catalog, underlay, attachments and hosts that did not change since: only what is not in them is looked at
    /// again. Overlays with many peers and NICs take longer than everything else.
    /// </summary>
    public static DataplaneIntent Renew(
        DataplaneIntent last, LocalNode self, Underlay underlay, CatalogSnapshot catalog, AttachmentSet attachments, string? deletionsHeldBack, Func<string, int?> mtuOf) => last with
        {
            Self = last.Self with { DeletionsHeldBack = deletionsHeldBack },
            Locals = new LocalIntents(self, underlay, last.Self.EgressInterface, catalog.View, attachments, mtuOf).Build(),
        };

    /// <summary>No networks and no peers: what a host is that has nothing of ours.</summary>
    public static DataplaneIntent Nothing(LocalNode self, Underlay underlay, string? gatewayInterface) => new(
        new NodeIntent
        {
            Name = self.Name,
            Uid = self.Id.Value,
            Vtep = underlay.Advertised.Address,
            EgressInterface = gatewayInterface ?? underlay.Advertised.Interface,
            UnderlayMtu = underlay.Mtu,
            VxlanDisabled = self.VxlanDisabled,
        },
        [],
        []);

    public static bool IsMaterialised(Network network) => network.Spec.Type == NetworkType.Vxlan && network.Conflict is null;

    private static OverlayIntent Overlay(Network network, NodeId self, CatalogSnapshot catalog, IEnumerable<AttachmentRecord> local, HostSights hosts)
    {
        uint vni = DerivedNames.Vni(network.Name);
        return new OverlayIntent
        {
            Name = network.Name,
            Uid = network.Uid,
            Vni = vni,
            Bridge = DerivedNames.Bridge(network.Name),
            VxlanDevice = DerivedNames.VxlanDevice(vni),
            Gateway = network.Spec.Gateway,
            PrefixLength = network.Spec.PrefixLength,
            OutboundNat = network.Spec.OutboundNat,
            Encrypted = IsEncrypted(network),
            WithoutKey = [.. WithoutKey(network, self, catalog)],
            Peers = [.. Peers(network, self, catalog, hosts)],
            RemoteNics = [.. RemoteNics(network, self, catalog, hosts)],
            LocalNics = [.. local.Select(a => LocalNic(a, network, MoveRules.IsArriving(a, catalog.View, self)))],
        };
    }

    /// <summary>
    /// Ordered by node id (behaviour 15). Suspicion and death of a daemon take nothing away: only a member that left does,
    /// or one whose host is as silent as its daemon.
    /// </summary>
    private static IEnumerable<PeerIntent> Peers(Network network, NodeId self, CatalogSnapshot catalog, HostSights hosts)
    {
        foreach ((NodeId node, _) in catalog.View.ParticipantsOf(network.Uid))
        {
            if (Reachable(node, self, catalog, hosts) is { } fact && Endpoint(network, node, fact, catalog) is { } vtep)
            {
                yield return new PeerIntent(vtep, fact.Name, node.Value);
            }
        }
    }

    private static IEnumerable<RemoteNicIntent> RemoteNics(Network network, NodeId self, CatalogSnapshot catalog, HostSights hosts)
    {
        foreach (HostedNic nic in catalog.View.NicsOf(network.Uid))
        {
            // The lease decides which address is the NIC's; the host's word is used until the lease has arrived here.
            IPAddress? address = catalog.View.Leases.TryGetValue(nic.Fact.AttachmentId, out LeaseFact? lease) ? lease.Address : nic.Fact.Address;
            if (address is not null && Reachable(nic.Node, self, catalog, hosts) is { } host && Endpoint(network, nic.Node, host, catalog) is { } vtep)
            {
                yield return new RemoteNicIntent(nic.Fact.Name, nic.Fact.Mac, address, vtep, host.Name);
            }
        }
    }

    public static LocalNicIntent LocalNic(AttachmentRecord record, Network network, bool isArriving) => new()
    {
        Name = record.Name,
        AttachmentId = record.Key,
        Mac = record.Mac,
        Address = record.Address,
        PrefixLength = network.Spec.PrefixLength,
        Gateway = network.Spec.Gateway,
        Device = record.Device,
        Attachment = record.Netns is null ? new NicAttachment.Tap() : new NicAttachment.Netns(record.Netns, record.Ifname!),
        AllowSpoofing = record.AllowSpoofing,
        Arriving = isArriving,
    };

    public static bool IsEncrypted(Network network) => network.Spec.Encryption == Encryption.Wireguard;

    /// <summary>Where frames for a node go: never to its address outside when the network is encrypted.</summary>
    private static IPAddress? Endpoint(Network network, NodeId node, NodeFact fact, CatalogSnapshot catalog) =>
        !IsEncrypted(network) ? fact.Vtep : MeshIntents.AddressOf(node, catalog.View);

    /// <summary>Nodes of an encrypted network that have no key or no address in the mesh yet, by name.</summary>
    public static IEnumerable<string> WithoutKey(Network network, NodeId self, CatalogSnapshot catalog) => !IsEncrypted(network)
        ? []
        : catalog.View.ParticipantsOf(network.Uid)
            .Where(p => p.Node != self && HasNotLeft(p.Node, catalog) && MeshIntents.AddressOf(p.Node, catalog.View) is null)
            .Select(p => catalog.View.Nodes.TryGetValue(p.Node, out NodeFact? fact) && !fact.VxlanDisabled ? fact.Name : null)
            .OfType<string>();

    /// <summary>What another node says of itself, if frames may be sent to it.</summary>
    private static NodeFact? Reachable(NodeId node, NodeId self, CatalogSnapshot catalog, HostSights hosts) =>
        node != self && HasNotLeft(node, catalog) && !hosts.IsGone(node) && catalog.View.Nodes.TryGetValue(node, out NodeFact? fact) && !fact.VxlanDisabled ? fact : null;

    private static bool HasNotLeft(NodeId node, CatalogSnapshot catalog) => catalog.Gossip.Members.Find(node) is not { Status: MemberStatus.Left };
}

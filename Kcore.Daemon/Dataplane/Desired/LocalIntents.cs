using System.Collections.Immutable;
using System.Net;
using Kcore.Daemon.Catalog;
using Kcore.Daemon.Catalog.Facts;
using Kcore.Daemon.Catalog.Naming;
using Kcore.Daemon.Catalog.Networks;
using Kcore.Daemon.Catalog.View;
using Kcore.Daemon.Cluster.Addressing;
using Kcore.Daemon.Ipam.Attachments;

namespace Kcore.Daemon.Dataplane.Desired;

/// <summary>The networks of this node alone, from catalog and attachments: pure.</summary>
/// <param name="mtuOf">MTU of a device of this host; null when it is not there.</param>
internal sealed class LocalIntents(LocalNode self, Underlay underlay, string egress, CatalogView view, AttachmentSet attachments, Func<string, int?> mtuOf)
{
    public static bool IsHere(Network network, LocalNode self) => network.Home == self.Id && network.Conflict is null;

    public ImmutableArray<LocalNetworkIntent> Build()
    {
        Network[] here = [.. view.LocalNetworks.Where(n => IsHere(n, self)).OrderBy(n => n.Created).ThenBy(n => n.Name, StringComparer.Ordinal)];
        Network[] overlays = self.VxlanDisabled ? [] : [.. view.Networks.Values.Where(IntentBuilder.IsMaterialised)];
        return
        [
            .. here
                .Select((n, i) => Intent(n) with { Conflict = n.Spec.Type == NetworkType.Nat ? Conflict(n, overlays, here.Take(i)) : Management(n.Spec) })
                .OrderBy(n => n.Name, StringComparer.Ordinal),
        ];
    }

    /// <summary>Two halves of a split may create what neither would create knowing of the other.</summary>
    private static string? Conflict(Network network, IEnumerable<Network> overlays, IEnumerable<Network> earlier) =>
        overlays.Concat(earlier.Where(n => n.Spec.Type == NetworkType.Nat)).FirstOrDefault(n => HostSubnets.Overlap(n.Spec.Subnet, network.Spec.Subnet)) is { } other
            ? $"subnet {network.Spec.Subnet} overlaps {other.Spec.Subnet} of network '{other.Name}'"
            : null;

    /// <summary>Whoever asked on another node could not see this host's devices (behaviour 87).</summary>
    private string? Management(NetworkSpec spec) => spec.VlanId == 0 && (spec.Uplink ?? egress) is var uplink && uplink == underlay.Advertised.Interface
        ? $"{uplink} is the management interface: it has the advertised address {underlay.Advertised.Address}; give another with --uplink"
        : null;

    private LocalNetworkIntent Intent(Network network)
    {
        NetworkSpec spec = network.Spec;
        bool nat = spec.Type == NetworkType.Nat;
        string parent = spec.Uplink ?? egress;
        VlanIntent? vlan = spec.VlanId == 0 ? null : new VlanIntent(parent, spec.VlanId, DerivedNames.VlanDevice(parent, spec.VlanId));
        AttachmentRecord[] records = [.. attachments.Wanted.Where(a => a.Network == network.Uid && (a.Address is not null || !nat) && MoveRules.IsHere(a, view, self.Id))];
        return new LocalNetworkIntent
        {
            Name = network.Name,
            Uid = network.Uid,
            Bridge = DerivedNames.Bridge(network.Name),
            Mtu = parent == underlay.Advertised.Interface ? underlay.Mtu : mtuOf(parent) ?? underlay.Mtu,
            Nat = nat
                ? new NatIntent(spec.Gateway, spec.PrefixLength, vlan?.Device ?? parent, GuestRange.Of(spec), [.. Ports(spec, records)])
                : null,
            Uplink = nat || vlan is not null ? null : parent,
            Vlan = vlan,
            LocalNics = [.. records.Select(r => IntentBuilder.LocalNic(r, network, MoveRules.IsArriving(r, view, self.Id)))],
        };
    }

    /// <summary>A rule whose NIC is not attached (yet) leads nowhere; what arrives then is the host's own.</summary>
    private IEnumerable<PublishedPort> Ports(NetworkSpec spec, AttachmentRecord[] records)
    {
        IPAddress external = spec.ExternalIp is { } given && !given.Equals(IPAddress.Any) ? given : underlay.Advertised.Address;
        foreach (PublishRule rule in spec.Ports.Rules)
        {
            AttachmentRecord? nic = rule.Nic is null
                ? records is [var only] ? only : null
                : Array.Find(records, r => string.Equals(r.Name, rule.Nic, StringComparison.Ordinal));
            if (nic is not null)
            {
                yield return new PublishedPort(external, rule.Protocol, rule.Port, nic.Address!, rule.TargetPort);
            }
        }
    }
}

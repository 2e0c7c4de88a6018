using System.Net;
using Kcore.Contracts;
using Kcore.Daemon.Catalog.Facts;
using Kcore.Daemon.Catalog.View;
using Kcore.Gossip;

namespace Kcore.Daemon.Catalog.Networks;

/// <summary>Whether a network of one node can be there, by what the catalog says: the same answer on every node.</summary>
internal static class LocalPlace
{
    private const int VxlanPort = 4789;

    /// <exception cref="RefusedException">FailedPrecondition or AlreadyExists, with what is in the way.</exception>
    public static void Check(string name, NetworkSpec spec, NodeId home, CatalogSnapshot now)
    {
        foreach (Network other in now.View.LocalNetworks.Where(n => n.Home == home && n.Name != name))
        {
            CheckDevice(spec, other);
        }

        // Guests of a bridge network live in a subnet that others give out.
        if (spec.Type == NetworkType.Bridge)
        {
            return;
        }

        bool overlays = !(now.View.Nodes.TryGetValue(home, out NodeFact? host) && host.VxlanDisabled);
        Network? overlapping = now.View.AllNetworks.FirstOrDefault(n =>
            n.Spec.Type != NetworkType.Bridge
            && (n.Home is null ? overlays : n.Home == home)
            && n.Name != name
            && HostSubnets.Overlap(n.Spec.Subnet, spec.Subnet));
        if (overlapping is not null)
        {
            throw Overlaps(spec.Subnet, $"network '{overlapping.Name}'", overlapping.Spec.Subnet);
        }

        CheckTunnels(spec.Subnet, now);
        CheckPorts(name, spec, home, now);
    }

    /// <exception cref="RefusedException">FailedPrecondition: a node is reached at an address of the subnet.</exception>
    public static void CheckTunnels(IPNetwork subnet, CatalogSnapshot now)
    {
        foreach (NodeFact node in now.View.Nodes.Values.OrderBy(n => n.Name, StringComparer.Ordinal))
        {
            if (subnet.Contains(node.Vtep))
            {
                throw Overlaps(subnet, $"the tunnel address of node {node.Name}", new IPNetwork(node.Vtep, 32));
            }
        }
    }

    public static RefusedException Overlaps(IPNetwork wanted, string other, IPNetwork taken) => new(
        ErrorCode.FailedPrecondition, $"subnet {wanted} overlaps {taken} of {other}", next: "choose another --gateway-ip or --internal-netmask");

    /// <summary>The address published ports are at: the one given, else the node's own.</summary>
    public static IPAddress? ExternalOf(NetworkSpec spec, NodeId home, CatalogView view) =>
        spec.ExternalIp is { } given && !given.Equals(IPAddress.Any) ? given
        : view.Nodes.TryGetValue(home, out NodeFact? host) ? host.Vtep
        : null;

    /// <summary>A device is a port of one bridge, and a VLAN id is there once per device.</summary>
    private static void CheckDevice(NetworkSpec spec, Network other)
    {
        bool leads = spec.Type == NetworkType.Bridge || spec.VlanId != 0;
        bool otherLeads = other.Spec.Type == NetworkType.Bridge || other.Spec.VlanId != 0;
        if (leads && otherLeads && spec.VlanId == other.Spec.VlanId && spec.Uplink == other.Spec.Uplink)
        {
            string device = spec.Uplink ?? "the gateway interface";
            throw new RefusedException(
                ErrorCode.FailedPrecondition,
                spec.VlanId == 0 ? $"{device} is the uplink of network '{other.Name}'" : $"VLAN {spec.VlanId} of {device} belongs to network '{other.Name}'",
                next: "choose another --uplink or --vlan-id");
        }
    }

    /// <summary>One address, port and protocol leads to one guest, and never to what the cluster itself needs (behaviour 47).</summary>
    private static void CheckPorts(string name, NetworkSpec spec, NodeId home, CatalogSnapshot now)
    {
        IPAddress? external = ExternalOf(spec, home, now.View);
        foreach (PublishRule rule in spec.Ports.Rules)
        {
            if (now.View.LocalNetworks.FirstOrDefault(n =>
                n.Home == home && n.Name != name && Equals(ExternalOf(n.Spec, home, now.View), external)
                && n.Spec.Ports.Rules.Any(r => r.Protocol == rule.Protocol && r.Port == rule.Port)) is { } other)
            {
                throw new RefusedException(
                    ErrorCode.AlreadyExists,
                    $"port {rule.Port}/{rule.ProtocolName} of {external} is published by network '{other.Name}'",
                    [rule.ToString()],
                    "choose another port or --external-ip");
            }

            bool udp = rule.Protocol == TransportProtocol.Udp;
            if (now.Gossip.Members.Find(home) is { } member
                && Equals(external, member.Endpoint.Address)
                && (rule.Port == member.Endpoint.Port || (udp ? rule.Port == VxlanPort : rule.Port == member.RaftPort)))
            {
                throw new RefusedException(
                    ErrorCode.FailedPrecondition, $"port {rule.Port}/{rule.ProtocolName} of {external} is Kcore's own", [rule.ToString()], "choose another port or --external-ip");
            }
        }
    }
}

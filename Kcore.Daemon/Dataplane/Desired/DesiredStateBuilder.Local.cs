using System.Globalization;
using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;
using Kcore.Daemon.Catalog.Facts;
using Kcore.Daemon.Catalog.Naming;

namespace Kcore.Daemon.Dataplane.Desired;

/// <summary>The networks of this node alone: nat and bridge.</summary>
internal sealed partial class DesiredStateBuilder
{
    private readonly HashSet<(IPAddress, TransportProtocol, int)> _published = [];

    private void AddLocal(LocalNetworkIntent network)
    {
        if (Impossible(network) is { } reason)
        {
            _refusals.Add(new Refusal(network.Name, null, Blocks: true, "network", network.Bridge, reason));
            _spared.UnionWith([network.Bridge, .. network.LocalNics.Select(n => n.Device)]);
            if (network.Vlan is { } spared)
            {
                _spared.Add(spared.Device);
            }

            return;
        }

        _devices.Add(network.Bridge);
        Origin origin = new(network.Name, null, $"network {network.Name} is on this node");
        PhysicalAddress mac = KernelFacts.BridgeMac(_self.Uid, network.Uid);
        string alias = KernelFacts.Alias($"net={network.Name} uid={network.Uid:x32}");
        _links.Add(new(new Link.Bridge(network.Bridge, network.Mtu, Up: true, alias, mac), origin));
        AddLongName(network.Name, network.Bridge, origin);
        AddSysctls(network.Name, network.Bridge, network.Nat is not null, network.Nat?.Gateway, origin);
        AddWayOut(network, alias, origin);
        if (network.Nat is { } nat)
        {
            _addresses.Add(new(new InterfaceAddress(network.Bridge, nat.Gateway, nat.PrefixLength), origin));
        }

        HashSet<PhysicalAddress> macs = [];
        foreach (LocalNicIntent nic in network.LocalNics.OrderBy(n => n.Device, StringComparer.Ordinal))
        {
            AddLocalNic(network.Name, network.Bridge, mac, network.Mtu, nic, macs);
        }

        if (network.Nat is { } translated)
        {
            AddNat(network, translated);
        }
    }

    private string? Impossible(LocalNetworkIntent network) => network switch
    {
        { Conflict: { } conflict } => conflict,
        _ when !DeviceName.IsUsable(network.Bridge) => $"\"{network.Bridge}\" cannot be a device name",
        { Vlan: { } vlan } when !DeviceName.IsUsable(vlan.Device) || !DeviceName.IsUsable(vlan.Parent) => $"\"{vlan.Device}\" cannot be a device name",
        { Uplink: { } uplink } when !DeviceName.IsUsable(uplink) => $"\"{uplink}\" cannot be a device name",
        { Nat: { } nat } when !DeviceName.IsUsable(nat.Egress) => $"\"{nat.Egress}\" cannot be a device name",
        _ when _devices.Contains(network.Bridge) => $"device {network.Bridge} is used by another network of this node",
        { Vlan: { } vlan } when _devices.Contains(vlan.Device) => $"device {vlan.Device} is used by another network of this node",
        { Uplink: { } uplink } when _devices.Contains(uplink) => $"device {uplink} is used by another network of this node",
        _ => null,
    };

    /// <summary>
    /// What leads to a physical network must learn who is there; a guest's port must not.
    /// </summary>
    private void AddWayOut(LocalNetworkIntent network, string alias, Origin origin)
    {
        string? port = network.Uplink;
        if (network.Uplink is { } uplink)
        {
            _devices.Add(uplink);
            _uplinks.Add(new(new UplinkPort(uplink, network.Bridge, Up: true), origin));
        }

        if (network.Vlan is { } vlan)
        {
            _devices.Add(vlan.Device);
            string? master = network.Nat is null ? network.Bridge : null;
            _links.Add(new(new Link.Vlan(vlan.Device, network.Mtu, Up: true, alias, vlan.Parent, vlan.Id, master), origin));
            port = master is null ? null : vlan.Device;
            if (port is not null)
            {
                SilenceIPv6(vlan.Device, origin);
            }
        }

        if (port is not null)
        {
            _ports.Add(new(new PortFlags(port, Learning: true, Locked: false, NeighSuppress: false), origin));
        }
    }

    private void AddNat(LocalNetworkIntent network, NatIntent nat)
    {
        List<(string, string)> elements =
        [
            ("inet bridges", network.Bridge),
            ("inet within", $"{network.Bridge} . {network.Bridge}"),
            ("inet egress", nat.Egress),
            .. Translation(nat.Gateway, nat.PrefixLength, nat.Egress),
            .. Guards(network.LocalNics),
        ];
        foreach (PublishedPort port in nat.Ports)
        {
            if (port.External.AddressFamily != AddressFamily.InterNetwork)
            {
                _refusals.Add(NotPublished(network, port, "the external address is not IPv4"));
            }
            else if (!_published.Add((port.External, port.Protocol, port.Port)))
            {
                // A map leads to one place; two entries for one key would fail the whole transaction.
                _refusals.Add(NotPublished(network, port, "another network of this node publishes it"));
            }
            else
            {
                elements.Add(("inet published4", string.Create(
                    CultureInfo.InvariantCulture, $"{port.External} . {port.ProtocolName} . {port.Port} : {port.Target} . {port.TargetPort}")));
            }
        }

        _nft.Add(new NftContribution(network.Name, [.. elements]));
    }

    private static Refusal NotPublished(LocalNetworkIntent network, PublishedPort port, string reason) => new(
        network.Name, null, Blocks: false, "nft", network.Bridge, $"port {port.Port}/{port.ProtocolName} of {port.External}: {reason}");
}

using System.Collections.Immutable;
using System.Globalization;
using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;
using Kcore.Daemon.Catalog.Facts;
using Kcore.Daemon.Catalog.Naming;
using Kcore.Daemon.Dataplane.Mesh;

namespace Kcore.Daemon.Dataplane.Desired;

/// <summary>
/// Intent → desired state: total and deterministic. What the intent says in two ways at once, or what no kernel
/// would take, becomes a refusal; nothing throws.
/// </summary>
internal sealed partial class DesiredStateBuilder
{
    private readonly NodeIntent _self;
    private readonly MeshIntent? _mesh;
    private readonly int _mtu;
    private readonly int _encryptedMtu;
    private readonly HashSet<string> _devices = new(StringComparer.Ordinal);
    private readonly HashSet<uint> _vnis = [];
    private readonly List<Wanted<Link>> _links = [];
    private readonly List<Wanted<AltName>> _altNames = [];
    private readonly List<Wanted<PortFlags>> _ports = [];
    private readonly List<Wanted<InterfaceAddress>> _addresses = [];
    private readonly List<Wanted<UplinkPort>> _uplinks = [];
    private readonly List<Wanted<TunnelEntry>> _tunnelEntries = [];
    private readonly List<Wanted<BridgeEntry>> _bridgeEntries = [];
    private readonly List<Wanted<Neighbour>> _neighbours = [];
    private readonly List<Wanted<GuestInterface>> _guests = [];
    private readonly List<Wanted<Sysctl>> _sysctls = [];
    private readonly List<NftContribution> _nft = [];
    private readonly List<Refusal> _refusals = [];
    private readonly HashSet<string> _spared = new(StringComparer.Ordinal);

    // Where those of the network that is being added begin: looking through all for each network would be quadratic.
    private int _firstPort;
    private int _firstRefusal;

    private DesiredStateBuilder(NodeIntent self, MeshIntent? mesh)
    {
        _self = self;
        _mesh = mesh;
        _encryptedMtu = KernelFacts.EncryptedMtu(self.UnderlayMtu, self.Vtep);
        _mtu = KernelFacts.OverlayMtu(self.UnderlayMtu, self.Vtep);
    }

    public static DesiredState From(DataplaneIntent intent)
    {
        DesiredStateBuilder builder = new(intent.Self, intent.Mesh);
        if (!intent.Self.VxlanDisabled)
        {
            foreach (OverlayIntent overlay in intent.Overlays.OrderBy(o => o.Name, StringComparer.Ordinal))
            {
                builder.BeginNetwork();
                builder.AddOverlay(overlay);
            }
        }

        foreach (LocalNetworkIntent network in intent.Locals.OrderBy(n => n.Name, StringComparer.Ordinal))
        {
            builder.BeginNetwork();
            builder.AddLocal(network);
        }

        return builder.Finish(intent.VtepMembers);
    }

    private void BeginNetwork() => (_firstPort, _firstRefusal) = (_ports.Count, _refusals.Count);

    private DesiredState Finish(ImmutableArray<IPAddress> vteps) => new()
    {
        Links = [.. _links],
        AltNames = [.. _altNames],
        Ports = [.. _ports],
        Addresses = [.. _addresses],
        Uplinks = [.. _uplinks],
        TunnelEntries = [.. _tunnelEntries],
        BridgeEntries = [.. _bridgeEntries],
        Neighbours = [.. _neighbours],
        Guests = [.. _guests],
        Sysctls = [.. _sysctls],
        NftShared =
        [
            .. vteps.Concat(_mesh is null ? [] : _mesh.Peers.Select(p => p.Address)).Select(Plain)
                .Select(v => (v.AddressFamily == AddressFamily.InterNetworkV6 ? "inet vteps6" : "inet vteps4", v.ToString())),
        ],
        Nft = [.. _nft],
        Refusals = [.. _refusals],
        SparedDevices = [.. _spared],
        DeletionsHeldBack = _self.DeletionsHeldBack,
    };

    /// <summary>Without a zone and without the IPv4-in-IPv6 spelling, neither of which nft takes as an element.</summary>
    private static IPAddress Plain(IPAddress address) =>
        address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : new IPAddress(address.GetAddressBytes());

    private void AddOverlay(OverlayIntent overlay)
    {
        if (Impossible(overlay) is { } reason)
        {
            _refusals.Add(new Refusal(overlay.Name, null, Blocks: true, "network", overlay.Bridge, reason));
            _spared.UnionWith([overlay.Bridge, overlay.VxlanDevice, .. overlay.LocalNics.Select(n => n.Device)]);
            return;
        }

        _vnis.Add(overlay.Vni);
        _devices.Add(overlay.Bridge);
        _devices.Add(overlay.VxlanDevice);
        Origin origin = new(overlay.Name, null, $"network {overlay.Name} is on this node");
        int mtu = overlay.Encrypted ? _encryptedMtu : _mtu;
        PhysicalAddress gatewayMac = KernelFacts.GatewayMac(overlay.Vni);
        string alias = KernelFacts.Alias($"net={overlay.Name} uid={overlay.Uid:x32}");
        _links.Add(new(
            new Link.Bridge(overlay.Bridge, mtu, Up: true, alias, gatewayMac),
            origin));
        _links.Add(new(
            new Link.Vxlan(
                overlay.VxlanDevice, mtu, Up: true, alias, KernelFacts.TunnelMac(_self.Uid, overlay.Vni), overlay.Vni,
                KernelFacts.VxlanPort, LocalEnd(overlay), Learning: false, overlay.Bridge),
            origin));
        AddLongName(overlay.Name, overlay.Bridge, origin);

        _ports.Add(new(
            new PortFlags(overlay.VxlanDevice, Learning: false, Locked: false, NeighSuppress: true), origin));
        _addresses.Add(new(new InterfaceAddress(overlay.Bridge, overlay.Gateway, overlay.PrefixLength), origin));
        AddSysctls(overlay.Name, overlay.Bridge, overlay.OutboundNat, overlay.Gateway, origin);
        SilenceIPv6(overlay.VxlanDevice, origin);
        AddPeers(overlay);
        HashSet<PhysicalAddress> macs = [];
        HashSet<IPAddress> addresses = [];
        foreach (LocalNicIntent nic in overlay.LocalNics.OrderBy(n => n.Device, StringComparer.Ordinal))
        {
            if (AddLocalNic(overlay.Name, overlay.Bridge, gatewayMac, mtu, nic, macs) is { } made && !nic.AllowSpoofing && !nic.Arriving && nic.Address is { } address)
            {
                // A guest here that is asked for answers itself, but without this the question would go to every peer as well.
                AddNeighbour(overlay, address, nic.Mac, addresses, made);
            }
        }

        AddRemoteNics(overlay, macs, addresses);
        AddNft(overlay, gatewayMac);
    }

    private IPAddress LocalEnd(OverlayIntent overlay) => overlay.Encrypted ? _mesh!.Address : _self.Vtep;

    private string? Impossible(OverlayIntent overlay)
    {
        int bits = overlay.Gateway.GetAddressBytes().Length * 8;
        return (overlay, this) switch
        {
            _ when !DeviceName.IsUsable(overlay.Bridge) => $"\"{overlay.Bridge}\" cannot be a device name",
            _ when !DeviceName.IsUsable(overlay.VxlanDevice) => $"\"{overlay.VxlanDevice}\" cannot be a device name",
            _ when overlay.Vni is 0 or > 0xff_ffff => $"VNI {overlay.Vni} is outside 1..16777215",
            _ when overlay.PrefixLength < 1 || overlay.PrefixLength > bits => $"prefix length {overlay.PrefixLength} is outside 1..{bits}",
            _ when overlay.Encrypted && _mesh is null => "this node has no address in the encrypted mesh yet, which the cluster's log gives it",
            _ when overlay.Encrypted && MeshPool.Contains(Plain(_self.Vtep)) => $"this node's address {_self.Vtep} lies in {MeshPool.Text}, which is kept for the encrypted mesh",
            _ when _vnis.Contains(overlay.Vni) => $"VNI {overlay.Vni} is used by another network of this node",
            _ when _devices.Contains(overlay.Bridge) || _devices.Contains(overlay.VxlanDevice) || overlay.Bridge == overlay.VxlanDevice =>
                $"device {overlay.Bridge} or {overlay.VxlanDevice} is used by another network of this node",
            _ => null,
        };
    }

    /// <summary>The bridge's name in full, when it did not fit: an altname may have 127 bytes.</summary>
    private void AddLongName(string network, string bridge, Origin origin)
    {
        string name = $"kbr-{network}";
        if (name != bridge && name.Length <= 127 && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '-' or '_'))
        {
            _altNames.Add(new(new AltName(bridge, name), origin));
        }
    }

    private void AddSysctls(string network, string bridge, bool outboundNat, IPAddress? gateway, Origin origin)
    {
        if (outboundNat)
        {
            // Wanted once per network, so that one that is left alone does not decide for the others.
            _sysctls.Add(new(
                new Sysctl("net/ipv4/ip_forward", "1", null),
                origin with { Reason = $"network {network} has outbound NAT" }));
        }

        // The source of a guest's packet is checked loosely: its way back may be another device.
        _sysctls.Add(new(new Sysctl($"net/ipv4/conf/{bridge}/rp_filter", "2", bridge), origin));
        // Answer ARP only for addresses of this bridge, not for other addresses of the host.
        _sysctls.Add(new(new Sysctl($"net/ipv4/conf/{bridge}/arp_ignore", "1", bridge), origin));
        if (gateway?.AddressFamily == AddressFamily.InterNetworkV6)
        {
            _sysctls.Add(new(new Sysctl($"net/ipv6/conf/{bridge}/accept_ra", "0", bridge), origin));
        }
        else
        {
            SilenceIPv6(bridge, origin);
        }
    }

    /// <summary>The host itself has no business with IPv6 there; its router and multicast noise would go to every peer.</summary>
    private void SilenceIPv6(string device, Origin origin) =>
        _sysctls.Add(new(new Sysctl($"net/ipv6/conf/{device}/disable_ipv6", "1", device), origin));

    private void AddPeers(OverlayIntent overlay)
    {
        foreach (string node in overlay.WithoutKey)
        {
            _refusals.Add(new Refusal(overlay.Name, null, Blocks: false, "fdb", overlay.VxlanDevice,
                $"flood to {node}: it has no WireGuard key or no address in the mesh yet"));
        }

        HashSet<IPAddress> seen = [];
        foreach (PeerIntent peer in overlay.Peers.OrderBy(p => p.NodeUid))
        {
            if (Unreachable(peer.Vtep, LocalEnd(overlay)) is { } reason)
            {
                _refusals.Add(new Refusal(overlay.Name, null, Blocks: false, "fdb", overlay.VxlanDevice,
                    $"flood to {peer.Vtep} of {peer.NodeName}: {reason}"));
            }
            else if (seen.Add(peer.Vtep))
            {
                _tunnelEntries.Add(new(
                    new TunnelEntry(overlay.VxlanDevice, TunnelEntry.FloodMac, peer.Vtep),
                    new Origin(overlay.Name, null, $"{peer.NodeName} takes part")));
            }
        }
    }

    private static string? Unreachable(IPAddress vtep, IPAddress own) =>
        vtep.Equals(own) ? "that is this node's own tunnel address"
        : vtep.AddressFamily != own.AddressFamily ? "the address family differs from this node's"
        : vtep.Equals(IPAddress.Any) || vtep.Equals(IPAddress.IPv6Any) || IPAddress.IsLoopback(vtep) ? "not an address of a host"
        : null;

    /// <summary>What the tunnel port's ARP suppression answers from, or by which it knows that nobody far away need be asked.</summary>
    private void AddNeighbour(OverlayIntent overlay, IPAddress address, PhysicalAddress mac, HashSet<IPAddress> addresses, Origin origin)
    {
        if (!address.Equals(overlay.Gateway) && address.AddressFamily == overlay.Gateway.AddressFamily && addresses.Add(address))
        {
            _neighbours.Add(new(new Neighbour(overlay.Bridge, address, mac), origin));
        }
    }

    private void AddRemoteNics(OverlayIntent overlay, HashSet<PhysicalAddress> macs, HashSet<IPAddress> addresses)
    {
        PhysicalAddress gatewayMac = KernelFacts.GatewayMac(overlay.Vni);
        foreach (RemoteNicIntent nic in overlay.RemoteNics
            .OrderBy(n => n.Name, StringComparer.Ordinal)
            .ThenBy(n => n.NodeName, StringComparer.Ordinal))
        {
            string? reason = Unreachable(nic.Vtep, LocalEnd(overlay))
                ?? (!KernelFacts.IsGuestMac(nic.Mac) || nic.Mac.Equals(gatewayMac) ? "the MAC cannot be a guest's"
                    : !macs.Add(nic.Mac) ? "the MAC is used by another NIC of the network"
                    : null);
            if (reason is not null)
            {
                _refusals.Add(new Refusal(overlay.Name, null, Blocks: false, "fdb", overlay.VxlanDevice,
                    $"{DerivedNames.MacText(nic.Mac)} of {nic.Name} on {nic.NodeName}: {reason}"));
                continue;
            }

            Origin origin = new(overlay.Name, null, $"{nic.Name} on {nic.NodeName}");
            _tunnelEntries.Add(new(new TunnelEntry(overlay.VxlanDevice, nic.Mac, nic.Vtep), origin));
            _bridgeEntries.Add(new(new BridgeEntry(overlay.VxlanDevice, nic.Mac, BridgeEntryKind.Static), origin));
            AddNeighbour(overlay, nic.Address, nic.Mac, addresses, origin);
        }
    }

    /// <returns>What it is made for; null when it was refused.</returns>
    private Origin? AddLocalNic(
        string network, string bridge, PhysicalAddress gatewayMac, int mtu, LocalNicIntent nic, HashSet<PhysicalAddress> macs)
    {
        Origin origin = new(network, nic.Name, $"NIC {nic.Name} on network {network}");
        string? reason =
            !DeviceName.IsUsable(nic.Device) ? $"\"{nic.Device}\" cannot be a device name"
            : nic.Device.StartsWith(DerivedNames.TunnelNames, StringComparison.Ordinal) ? $"\"{nic.Device}\" is the name of a tunnel device"
            : !KernelFacts.IsGuestMac(nic.Mac) || nic.Mac.Equals(gatewayMac) ? "the MAC cannot be a guest's"
            : nic.Attachment is NicAttachment.Netns netns && !DeviceName.IsUsable(netns.InterfaceName)
                ? $"\"{netns.InterfaceName}\" cannot be a device name"
            : !nic.Arriving && !macs.Add(nic.Mac) ? "the MAC is used by another NIC of the network"
            : !_devices.Add(nic.Device) ? $"device {nic.Device} is used twice on this node"
            : null;
        if (reason is not null)
        {
            _refusals.Add(new Refusal(network, nic.Name, Blocks: true, "nic", nic.Device, reason));
            _spared.Add(nic.Device);
            return null;
        }

        string alias = KernelFacts.Alias($"net={network} nic={nic.Name} attachment={nic.AttachmentId}");
        switch (nic.Attachment)
        {
            case NicAttachment.Tap:
                _links.Add(new(new Link.Tap(nic.Device, mtu, Up: true, alias, bridge), origin));
                break;
            case NicAttachment.Netns guest:
                _links.Add(new(new Link.Veth(nic.Device, mtu, Up: true, alias, bridge), origin));
                _guests.Add(new(
                    new GuestInterface(
                        nic.Device, guest.Path, guest.InterfaceName, nic.Mac, mtu, nic.Address, nic.PrefixLength, nic.Gateway),
                    origin));
                break;
        }

        _ports.Add(new(
            new PortFlags(nic.Device, Learning: false, Locked: !nic.AllowSpoofing || nic.Arriving, NeighSuppress: false), origin));

        // A locked port without an entry lets nothing in; frames for the MAC go on to the node that has the NIC.
        if (!nic.Arriving)
        {
            _bridgeEntries.Add(new(new BridgeEntry(nic.Device, nic.Mac, BridgeEntryKind.Static), origin));
        }

        SilenceIPv6(nic.Device, origin);
        return origin;
    }

    private void AddNft(OverlayIntent overlay, PhysicalAddress gatewayMac)
    {
        List<(string, string)> elements =
        [
            ("inet bridges", overlay.Bridge),
            ("inet within", $"{overlay.Bridge} . {overlay.Bridge}"),
            (NftSkeleton.Tunnels, overlay.VxlanDevice),
            ("bridge gateway_macs", DerivedNames.MacText(gatewayMac)),
        ];
        if (overlay.Encrypted)
        {
            elements.Add((NftSkeleton.SecretVnis, overlay.Vni.ToString(CultureInfo.InvariantCulture)));
        }

        bool v6 = overlay.Gateway.AddressFamily == AddressFamily.InterNetworkV6;
        if (!v6)
        {
            elements.Add(("bridge gateways4", $"{overlay.VxlanDevice} . {overlay.Gateway}"));
        }

        if (DeviceName.IsUsable(_self.EgressInterface))
        {
            elements.Add(("inet egress", _self.EgressInterface));
            elements.AddRange(overlay.OutboundNat ? Translation(overlay.Gateway, overlay.PrefixLength, _self.EgressInterface) : []);
        }

        elements.AddRange(Guards(overlay.LocalNics));

        _nft.Add(new NftContribution(overlay.Name, [.. elements]));
    }

    /// <summary>For those NICs of the network that is being added that are made; what was refused has no port.</summary>
    private IEnumerable<(string Set, string Element)> Guards(ImmutableArray<LocalNicIntent> nics)
    {
        HashSet<string> made = [.. _ports.Skip(_firstPort).Where(p => p.Origin.Nic is not null).Select(p => p.Value.Device)];
        HashSet<string> refused = [.. _refusals.Skip(_firstRefusal).Where(r => r.Nic is not null).Select(r => r.Nic!)];
        return nics
            .Where(n => !n.AllowSpoofing && made.Contains(n.Device) && !refused.Contains(n.Name))
            .SelectMany(GuestGuard.Elements);
    }

    /// <summary>Masquerade for what comes from the subnet, goes elsewhere, and leaves by that device (behaviour 42).</summary>
    private static IEnumerable<(string Set, string Element)> Translation(IPAddress gateway, int prefixLength, string egress)
    {
        bool v6 = gateway.AddressFamily == AddressFamily.InterNetworkV6;
        string subnet = Subnets.Element(Subnets.Of(gateway, prefixLength));
        yield return (v6 ? "inet nat6" : "inet nat4", $"{egress} . {subnet}");
        yield return (v6 ? "inet inside6" : "inet inside4", $"{subnet} . {subnet}");
    }
}

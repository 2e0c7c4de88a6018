using System.Collections.Immutable;
using System.Net.Sockets;
using Kcore.Daemon.Catalog.Naming;

namespace Kcore.Daemon.Dataplane.Desired;

/// <summary>Why a guest's frame was dropped at its port.</summary>
internal enum DropReason
{
    /// <summary>The source MAC is not the NIC's.</summary>
    Mac,

    /// <summary>The IPv4 source address is not the NIC's.</summary>
    Address,

    /// <summary>An ARP packet claims a MAC or an address that is not the NIC's.</summary>
    Arp,

    /// <summary>An answer of a DHCP server (IPv4 or IPv6).</summary>
    Dhcp,

    /// <summary>An IPv6 router advertisement or redirect.</summary>
    Router,
}

/// <summary>
/// What a guest may not send: in another's name, or in the name of the network. A port is in one set for each reason,
/// and a frame that comes as far as matching it is dropped: so the sets count per port and per reason.
/// </summary>
internal static class GuestGuard
{
    private static readonly ImmutableArray<(DropReason Reason, string Set)> _sets =
    [
        (DropReason.Mac, "not_mac"),
        (DropReason.Address, "not_ip"),
        (DropReason.Arp, "not_arp"),
        (DropReason.Dhcp, "not_dhcp"),
        (DropReason.Router, "not_router"),
    ];

    public static IEnumerable<NftSkeleton.SetDefinition> Sets =>
        _sets.Select(s => new NftSkeleton.SetDefinition(NftSkeleton.Bridge, s.Set, "ifname", Counts: true));

    /// <summary>
    /// Frames are judged before the bridge decides on them. A port that is in no set gets through. Only servers send to
    /// the ports of DHCP clients, whatever port they send from. A guest without an address asks for one from 0.0.0.0, and
    /// probes whether its address is free with the sender 0.0.0.0 (RFC 5227).
    /// </summary>
    public static ImmutableArray<string> Rules { get; } =
    [
        // Nearly all frames end with one of these two: what comes from other nodes was judged there, and TCP needs no more. No guest's
        // port has such a name (DesiredStateBuilder); comparing it costs a fraction of a look into the set.
        $"iifname \"{DerivedNames.TunnelNames}*\" {NftSkeleton.NoGateway} accept",
        "meta l4proto tcp iifname . ether saddr . ip saddr @guest_pairs accept",
        "iifname @tunnels ether saddr @gateway_macs drop",
        "iifname . arp saddr ip @gateways4 drop",
        "iifname . arp daddr ip @gateways4 drop",
        "iifname @tunnels accept",
        "iifname . ether saddr != @guest_macs iifname @not_mac drop",
        "udp dport 68 iifname @not_dhcp drop",
        "udp dport 546 iifname @not_dhcp drop",
        "icmpv6 type nd-router-advert iifname @not_router drop",
        "icmpv6 type nd-redirect iifname @not_router drop",
        "iifname . ip saddr @guest_ips accept",
        "ip saddr 0.0.0.0 udp dport 67 accept",
        "meta protocol ip iifname @not_ip drop",
        "iifname . arp saddr ether . arp saddr ip @guest_pairs accept",
        "arp saddr ip 0.0.0.0 accept",
        "meta protocol arp iifname @not_arp drop",
    ];

    /// <summary>The elements that guard one NIC. Its addresses are bound where it has one that we gave.</summary>
    public static IEnumerable<(string Set, string Element)> Elements(LocalNicIntent nic)
    {
        bool bound = nic.Address is { AddressFamily: AddressFamily.InterNetwork };
        string mac = DerivedNames.MacText(nic.Mac);
        foreach ((DropReason reason, string set) in _sets)
        {
            if (bound || reason is not (DropReason.Address or DropReason.Arp))
            {
                yield return ($"{NftSkeleton.Bridge} {set}", nic.Device);
            }
        }

        yield return (NftSkeleton.GuestMacs, $"{nic.Device} . {mac}");
        if (bound)
        {
            yield return (NftSkeleton.GuestIps, $"{nic.Device} . {nic.Address}");
            yield return (NftSkeleton.GuestPairs, $"{nic.Device} . {mac} . {nic.Address}");
        }
    }

    /// <summary>What was dropped at the ports of guests, as counted in our tables.</summary>
    public static IEnumerable<(string Device, DropReason Reason, FrameCount Count)> Drops(NftTables? tables) =>
        from set in _sets
        from count in tables?.Counts ?? []
        where count.Key.Set == $"{NftSkeleton.Bridge} {set.Set}" && count.Value.Packets > 0
        orderby count.Key.Element, set.Reason
        select (count.Key.Element, set.Reason, count.Value);
}

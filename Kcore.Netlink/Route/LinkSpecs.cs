using System.Net;
using System.Net.NetworkInformation;
using Kcore.Netlink.Namespaces;

namespace Kcore.Netlink.Route;

/// <summary>What every new link may be given in its creation message.</summary>
public abstract record LinkSpec
{
    private protected LinkSpec()
    {
    }

    /// <summary>1 to 15 bytes, no slash, colon or blank (dev_valid_name of the kernel).</summary>
    public required string Name { get; init; }

    /// <summary>Interface index chosen in advance, so later messages of the batch can name the link; 0 lets the kernel choose.</summary>
    public int Index { get; init; }

    public PhysicalAddress? Mac { get; init; }

    /// <summary>Device group; 0 is the kernel's default group.</summary>
    public uint Group { get; init; } = KcoreMark.LinkGroup;

    /// <summary>Index of the bridge the link becomes a port of.</summary>
    public int? Master { get; init; }

    public bool Up { get; init; } = true;
}

/// <summary>
/// A bridge without spanning tree, forward delay and multicast snooping. Its MTU belongs into a following
/// <see cref="RouteBatch.ChangeLink"/>: given at creation it is forgotten when the first port joins.
/// </summary>
public sealed record BridgeSpec : LinkSpec
{
    public bool MulticastSnooping { get; init; }

    /// <summary>Lifetime of learned entries; the kernel's default (300 s) when null.</summary>
    public TimeSpan? Ageing { get; init; }
}

/// <summary>A VXLAN device with learning off: its table holds what is programmed and nothing else.</summary>
public sealed record VxlanSpec : LinkSpec
{
    /// <summary>Network identifier, 0 to 16,777,215.</summary>
    public required uint Vni { get; init; }

    /// <summary>Source address of the tunnel.</summary>
    public required IPAddress Local { get; init; }

    /// <summary>UDP destination port. The kernel's own default is 8472, so it is always sent.</summary>
    public ushort Port { get; init; } = 4789;

    /// <summary>Bytes; without it and without <see cref="Underlay"/> the kernel takes 1500, which does not fit.</summary>
    public int? Mtu { get; init; }

    /// <summary>Outer time to live; 0 leaves it to the kernel.</summary>
    public byte Ttl { get; init; }

    /// <summary>Index of the device the tunnel leaves by; null follows the routing table.</summary>
    public int? Underlay { get; init; }
}

/// <summary>An 802.1Q VLAN device on another device. EOPNOTSUPP where the kernel has no VLANs.</summary>
public sealed record VlanSpec : LinkSpec
{
    /// <summary>Index of the device that carries the tagged frames.</summary>
    public required int Parent { get; init; }

    /// <summary>1 to 4094.</summary>
    public required ushort Id { get; init; }

    /// <summary>Bytes; the parent's when null.</summary>
    public int? Mtu { get; init; }
}

/// <summary>A WireGuard device without key, port and peers. EOPNOTSUPP where the kernel has no WireGuard.</summary>
public sealed record WireguardSpec : LinkSpec
{
    /// <summary>Bytes; without it the kernel takes 1420, which assumes an underlay of 1500.</summary>
    public required int Mtu { get; init; }
}

/// <summary>What can be changed on a live VXLAN device; index, MTU and FDB survive. Null leaves a value alone.</summary>
public sealed record VxlanChange
{
    /// <summary>A new source address, of the same family as the old one.</summary>
    public IPAddress? Local { get; init; }

    public bool? Learning { get; init; }

    public byte? Ttl { get; init; }

    public int? Underlay { get; init; }
}

/// <summary>
/// A virtual Ethernet pair whose other end may be born in another network namespace. The peer is born down: the kernel
/// refuses to raise it before the pair is complete (ENOTCONN), so it is raised by a socket of its namespace afterwards.
/// </summary>
public sealed record VethSpec : LinkSpec
{
    public int? Mtu { get; init; }

    public required string PeerName { get; init; }

    public PhysicalAddress? PeerMac { get; init; }

    public int? PeerMtu { get; init; }

    /// <summary>Index of the peer in its namespace; 0 lets the kernel choose.</summary>
    public int PeerIndex { get; init; }

    /// <summary>Where the peer lives; null is the namespace of the socket. It must stay open until the batch is executed.</summary>
    public NetworkNamespace? PeerNamespace { get; init; }
}

/// <summary>
/// Changes of an existing link, sent as one RTM_SETLINK; null leaves a value alone. The kernel applies them one after
/// another, so a refused one may leave the earlier ones done.
/// </summary>
public sealed record LinkChange
{
    public int? Mtu { get; init; }

    public bool? Up { get; init; }

    /// <summary>Index of the new bridge; 0 releases the port.</summary>
    public int? Master { get; init; }

    public uint? Group { get; init; }

    /// <summary>Up to 255 bytes; empty removes the alias.</summary>
    public string? Alias { get; init; }

    public PhysicalAddress? Mac { get; init; }

    /// <summary>A new name; the kernel refuses it (EBUSY) for some links while they are up.</summary>
    public string? Name { get; init; }

    /// <summary>
    /// False keeps the kernel from making an IPv6 link-local address by itself (addrgenmode none). EAFNOSUPPORT where
    /// IPv6 is off, and in a creation message always, which is why no <see cref="LinkSpec"/> has it.
    /// </summary>
    public bool? GenerateIpv6Address { get; init; }

    /// <summary>Moves the link; the namespace must stay open until the batch is executed.</summary>
    public NetworkNamespace? Namespace { get; init; }
}

/// <summary>Flags of a bridge port; null leaves a flag alone.</summary>
public sealed record BridgePortChange
{
    public bool? Learning { get; init; }

    public bool? UnicastFlood { get; init; }

    public bool? MulticastFlood { get; init; }

    public bool? BroadcastFlood { get; init; }

    public bool? NeighbourSuppress { get; init; }

    /// <summary>Isolated ports do not exchange frames with each other.</summary>
    public bool? Isolated { get; init; }

    /// <summary>A locked port drops frames whose source MAC has no entry pointing to it.</summary>
    public bool? Locked { get; init; }

    public bool? Hairpin { get; init; }

    public bool? BpduGuard { get; init; }
}

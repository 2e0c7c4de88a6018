using System.Collections.Immutable;
using System.Net;
using System.Net.NetworkInformation;

namespace Kcore.Netlink.Route;

/// <summary>IFF_* (linux/if.h).</summary>
[Flags]
public enum LinkFlags : uint
{
    None = 0,
    Up = 0x1,
    Broadcast = 0x2,
    Loopback = 0x8,
    PointToPoint = 0x10,
    Running = 0x40,
    NoArp = 0x80,
    Promiscuous = 0x100,
    Multicast = 0x1000,
    LowerUp = 0x10000,
}

/// <summary>A network device as the kernel described it.</summary>
/// <remarks>Compare the fields that matter: two readings are unequal as records once a link has alternative names.</remarks>
public sealed record LinkInfo
{
    public required int Index { get; init; }

    public required string Name { get; init; }

    public required LinkFlags Flags { get; init; }

    /// <summary>ARPHRD_* (linux/if_arp.h): 1 Ethernet, 772 loopback, 0xFFFE none.</summary>
    public ushort HardwareType { get; init; }

    /// <summary>IFLA_INFO_KIND: "bridge", "vxlan", "veth", "tun", …; null for hardware and loopback.</summary>
    public string? Kind { get; init; }

    public PhysicalAddress? Mac { get; init; }

    /// <summary>Bytes.</summary>
    public int Mtu { get; init; }

    /// <summary>Index of the bridge (or other master) the link is a port of.</summary>
    public int? Master { get; init; }

    public uint Group { get; init; }

    public string? Alias { get; init; }

    public ImmutableArray<string> AltNames { get; init; } = [];

    /// <summary>RFC 2863 operational state; 6 is up.</summary>
    public byte OperationalState { get; init; }

    /// <summary>Index of the related link (veth peer, underlay), in the namespace <see cref="LinkNamespaceId"/> when that is given.</summary>
    public int? LinkedIndex { get; init; }

    /// <summary>Id, valid in this namespace only, of the namespace <see cref="LinkedIndex"/> lives in.</summary>
    public int? LinkNamespaceId { get; init; }

    public BridgeInfo? Bridge { get; init; }

    public VxlanInfo? Vxlan { get; init; }

    public VlanInfo? Vlan { get; init; }

    /// <summary>The flags of this port, when the master is a bridge.</summary>
    public BridgePortInfo? Port { get; init; }

    /// <summary>Settings that are also files below <c>/proc/sys/net</c>.</summary>
    public LinkSettings Settings { get; init; }

    public bool IsUp => Flags.HasFlag(LinkFlags.Up);
}

/// <summary>What <c>/proc/sys/net/ipv4/conf</c> and <c>ipv6/conf</c> have of a link; null where the kernel has no such setting for it.</summary>
public readonly record struct LinkSettings(int? ReversePathFilter, int? ArpIgnore, int? AcceptRouterAdvertisements, int? DisableIpv6);

/// <summary>Settings of a bridge that Kcore decides on.</summary>
/// <param name="ForwardDelay">In the kernel's hundredths of a second.</param>
/// <param name="Ageing">In the kernel's hundredths of a second.</param>
public sealed record BridgeInfo(bool Stp, uint ForwardDelay, bool MulticastSnooping, uint Ageing);

/// <summary>Settings of a VLAN device; the device it is on is <see cref="LinkInfo.LinkedIndex"/>.</summary>
/// <param name="Protocol">0x8100 for 802.1Q, 0x88a8 for 802.1ad.</param>
public sealed record VlanInfo(ushort Id, ushort Protocol);

/// <summary>Settings of a VXLAN device.</summary>
public sealed record VxlanInfo
{
    public uint Vni { get; init; }

    public IPAddress? Local { get; init; }

    /// <summary>Default remote or multicast group; Kcore's devices have none.</summary>
    public IPAddress? Remote { get; init; }

    /// <summary>UDP destination port.</summary>
    public ushort Port { get; init; }

    public bool Learning { get; init; }

    public byte Ttl { get; init; }

    /// <summary>Index of the device the tunnel leaves by; null follows the routing table.</summary>
    public int? Underlay { get; init; }

    public bool Proxy { get; init; }

    /// <summary>The device takes VNI and destination from metadata ("external"); Kcore's devices do not.</summary>
    public bool CollectMetadata { get; init; }
}

/// <summary>Flags of a bridge port.</summary>
public sealed record BridgePortInfo
{
    public bool Learning { get; init; }

    public bool UnicastFlood { get; init; }

    public bool MulticastFlood { get; init; }

    public bool BroadcastFlood { get; init; }

    public bool NeighbourSuppress { get; init; }

    public bool Isolated { get; init; }

    public bool Locked { get; init; }

    public bool Hairpin { get; init; }

    public bool BpduGuard { get; init; }
}

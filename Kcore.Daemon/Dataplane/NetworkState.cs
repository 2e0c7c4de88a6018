using System.Collections.Immutable;
using System.Net;
using System.Net.NetworkInformation;
using Kcore.Daemon.Dataplane.Desired;
using Kcore.Netlink.Route;

namespace Kcore.Daemon.Dataplane;

/// <summary>
/// The part of the kernel's configuration that belongs to us, as plain facts. What should be and what is are
/// told in this one vocabulary, so that comparing them is set arithmetic. Devices are named, not numbered.
/// </summary>
internal sealed record NetworkState
{
    public ImmutableArray<Link> Links { get; init; } = [];

    /// <summary>Names beside the interface name, which people and tools may use.</summary>
    public ImmutableArray<AltName> AltNames { get; init; } = [];

    public ImmutableArray<PortFlags> Ports { get; init; } = [];

    public ImmutableArray<InterfaceAddress> Addresses { get; init; } = [];

    /// <summary>Devices of the host that are ports of our bridges.</summary>
    public ImmutableArray<UplinkPort> Uplinks { get; init; } = [];

    /// <summary>Forwarding entries of tunnel devices: which VTEP a MAC is behind.</summary>
    public ImmutableArray<TunnelEntry> TunnelEntries { get; init; } = [];

    /// <summary>Forwarding entries of bridges: which port a MAC is behind.</summary>
    public ImmutableArray<BridgeEntry> BridgeEntries { get; init; } = [];

    public ImmutableArray<Neighbour> Neighbours { get; init; } = [];

    public ImmutableArray<Sysctl> Sysctls { get; init; } = [];

    /// <summary>Null when we have no table.</summary>
    public NftTables? Nft { get; init; }
}

/// <summary>A device of ours with the attributes we own; a null master means none.</summary>
/// <param name="Alias">Says to people what the device is for.</param>
internal abstract record Link(string Name, int Mtu, bool Up, string? Alias)
{
    /// <summary>The bridge this device is a port of.</summary>
    public abstract string? MasterName { get; }

    public sealed record Bridge(string Name, int Mtu, bool Up, string? Alias, PhysicalAddress Mac)
        : Link(Name, Mtu, Up, Alias)
    {
        public override string? MasterName => null;
    }

    public sealed record Vxlan(
        string Name, int Mtu, bool Up, string? Alias, PhysicalAddress Mac, uint Vni, int Port, IPAddress? Local, bool Learning,
        string? Master)
        : Link(Name, Mtu, Up, Alias)
    {
        public override string? MasterName => Master;
    }

    /// <summary>An 802.1Q device; a null master means that it is a port of no bridge.</summary>
    public sealed record Vlan(string Name, int Mtu, bool Up, string? Alias, string? Parent, int Id, string? Master) : Link(Name, Mtu, Up, Alias)
    {
        public override string? MasterName => Master;
    }

    public sealed record Tap(string Name, int Mtu, bool Up, string? Alias, string? Master) : Link(Name, Mtu, Up, Alias)
    {
        public override string? MasterName => Master;
    }

    /// <summary>Our end of a pair; the other end is a <see cref="GuestInterface"/>.</summary>
    public sealed record Veth(string Name, int Mtu, bool Up, string? Alias, string? Master) : Link(Name, Mtu, Up, Alias)
    {
        public override string? MasterName => Master;
    }
}

internal sealed record AltName(string Device, string Name);

/// <summary>Flags of a bridge port that we own.</summary>
/// <param name="Locked">Frames from a source MAC without an entry at this port are dropped.</param>
/// <param name="NeighSuppress">The bridge answers ARP for known neighbours instead of flooding it here.</param>
/// <param name="Floods">Frames for everybody and for unknown MACs leave here as well.</param>
internal sealed record PortFlags(
    string Device, bool Learning, bool Locked, bool NeighSuppress, bool Isolated = false, bool Floods = true);

/// <summary>A device of the host, which stays the host's, as port of a bridge of ours.</summary>
internal sealed record UplinkPort(string Device, string Bridge, bool Up);

internal sealed record InterfaceAddress(string Device, IPAddress Local, int PrefixLength);

/// <summary>A route that an address brings along.</summary>
/// <param name="Kind">Local to the address itself, unicast to its network.</param>
internal sealed record AddressRoute(InterfaceAddress Address, RouteKind Kind)
{
    public IPNetwork Destination => Kind == RouteKind.Local ? new IPNetwork(Address.Local, 32) : Subnets.Of(Address.Local, Address.PrefixLength);
}

/// <summary>A MAC behind a VTEP; the all-zero MAC is the list of peers that get what is flooded.</summary>
internal sealed record TunnelEntry(string Device, PhysicalAddress Mac, IPAddress Destination)
{
    public bool IsFlood => Mac.Equals(FloodMac);

    public static PhysicalAddress FloodMac { get; } = new(new byte[6]);
}

/// <summary>A MAC behind a port of a bridge of ours.</summary>
internal sealed record BridgeEntry(string Port, PhysicalAddress Mac, BridgeEntryKind Kind);

internal enum BridgeEntryKind
{
    /// <summary>Set by hand: stays, and forwards to the port.</summary>
    Static,

    /// <summary>Learnt from traffic; with learning off everywhere these are leftovers.</summary>
    Dynamic,

    /// <summary>The bridge takes the MAC for its own; for a remote MAC this is a black hole.</summary>
    Local,
}

/// <summary>A permanent neighbour with our protocol mark.</summary>
internal sealed record Neighbour(string Device, IPAddress Address, PhysicalAddress Mac);

/// <summary>A kernel setting.</summary>
/// <param name="Path">Below /proc/sys, for example net/ipv4/ip_forward.</param>
/// <param name="Device">The device of ours it belongs to and vanishes with; null for one of the whole host.</param>
internal sealed record Sysctl(string Path, string Value, string? Device);

/// <summary>The end of a veth pair that lives in the guest's namespace, fully configured.</summary>
/// <param name="HostDevice">Our end.</param>
/// <param name="Address">Null when somebody else gives it one, and with it the way to the gateway.</param>
internal sealed record GuestInterface(
    string HostDevice,
    string NamespacePath,
    string Name,
    PhysicalAddress Mac,
    int Mtu,
    IPAddress? Address,
    int PrefixLength,
    IPAddress Gateway);

using System.Net;
using System.Net.NetworkInformation;

namespace Kcore.Netlink.Route;

/// <summary>Which of the kernel's tables an entry is in.</summary>
public enum NeighbourTable
{
    Inet = 2,

    /// <summary>Forwarding tables (FDB) of bridges and VXLAN devices (AF_BRIDGE).</summary>
    Fdb = 7,
    Inet6 = 10,
}

/// <summary>NUD_* (linux/neighbour.h).</summary>
[Flags]
public enum NeighbourState : ushort
{
    None = 0,
    Incomplete = 0x01,
    Reachable = 0x02,
    Stale = 0x04,
    Delay = 0x08,
    Probe = 0x10,
    Failed = 0x20,

    /// <summary>In a bridge's FDB: static.</summary>
    NoArp = 0x40,

    /// <summary>In a bridge's FDB: an address of the bridge itself.</summary>
    Permanent = 0x80,
}

/// <summary>NTF_* (linux/neighbour.h).</summary>
[Flags]
public enum NeighbourFlags : byte
{
    None = 0,

    /// <summary>The entry is in the device's own table (VXLAN).</summary>
    Self = 0x02,

    /// <summary>The entry is in the table of the device's bridge.</summary>
    Master = 0x04,
    Proxy = 0x08,
    ExternallyLearned = 0x10,
    Offloaded = 0x20,
    Sticky = 0x40,
    Router = 0x80,
}

/// <summary>An ARP/NDP neighbour or a forwarding table entry.</summary>
public sealed record NeighbourInfo
{
    public required NeighbourTable Table { get; init; }

    public required int LinkIndex { get; init; }

    public required NeighbourState State { get; init; }

    public required NeighbourFlags Flags { get; init; }

    public PhysicalAddress? Mac { get; init; }

    /// <summary>The neighbour's IP address; in a VXLAN table the tunnel end.</summary>
    public IPAddress? Destination { get; init; }

    /// <summary>Index of the bridge whose table holds the entry (FDB only).</summary>
    public int? Master { get; init; }

    public ushort? Vlan { get; init; }

    public uint? Vni { get; init; }

    /// <summary>UDP port of the tunnel end, when it differs from the device's.</summary>
    public ushort? Port { get; init; }

    /// <summary>Who put it there (NDA_PROTOCOL); 0 when unknown. The kernel keeps none for FDB entries.</summary>
    public byte Protocol { get; init; }
}

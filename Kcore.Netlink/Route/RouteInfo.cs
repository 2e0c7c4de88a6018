using System.Collections.Immutable;
using System.Net;

namespace Kcore.Netlink.Route;

/// <summary>A route to be made or removed.</summary>
public sealed record RouteSpec
{
    public const uint MainTable = 254;

    /// <summary>Where the kernel keeps which addresses are the host's own.</summary>
    public const uint LocalTable = 255;

    /// <summary>Who made a route that follows from an address (RTPROT_KERNEL); it goes with the address.</summary>
    public const byte KernelProtocol = 2;

    /// <summary>Where to; 0.0.0.0/0 or ::/0 for the default route.</summary>
    public required IPNetwork Destination { get; init; }

    public IPAddress? Gateway { get; init; }

    /// <summary>The link it leaves by; needed unless the gateway tells.</summary>
    public int? LinkIndex { get; init; }

    /// <summary>Lower wins; 0 is the kernel's default.</summary>
    public uint Metric { get; init; }

    public IPAddress? PreferredSource { get; init; }

    public byte Protocol { get; init; } = KcoreMark.Protocol;

    public uint Table { get; init; } = MainTable;

    /// <summary>Unicast, or local for an address of the host.</summary>
    public RouteKind Kind { get; init; } = RouteKind.Unicast;
}

/// <summary>A route as the kernel described it.</summary>
public sealed record RouteInfo
{
    public required IPNetwork Destination { get; init; }

    public IPAddress? Gateway { get; init; }

    public int? LinkIndex { get; init; }

    public uint Metric { get; init; }

    public IPAddress? PreferredSource { get; init; }

    public byte Protocol { get; init; }

    public uint Table { get; init; }

    /// <summary>0 universe, 253 link, 254 host.</summary>
    public byte Scope { get; init; }

    public RouteKind Kind { get; init; }

    /// <summary>The ways of a multipath route; empty for an ordinary one.</summary>
    public ImmutableArray<RouteNextHop> NextHops { get; init; } = [];

    public bool IsDefault => Kind == RouteKind.Unicast && Destination.PrefixLength == 0;
}

/// <summary>One way of a multipath route.</summary>
public sealed record RouteNextHop(int LinkIndex, IPAddress? Gateway);

/// <summary>RTN_* (linux/rtnetlink.h).</summary>
public enum RouteKind : byte
{
    Unspecified = 0,
    Unicast = 1,
    Local = 2,
    Broadcast = 3,
    Anycast = 4,
    Multicast = 5,
    BlackHole = 6,
    Unreachable = 7,
    Prohibit = 8,
}

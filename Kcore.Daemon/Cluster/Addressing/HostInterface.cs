using System.Collections.Immutable;
using System.Net;

namespace Kcore.Daemon.Cluster.Addressing;

/// <summary>What the kernel says a device is, as far as it matters for reaching other hosts.</summary>
internal enum InterfaceKind
{
    /// <summary>A network card, a VLAN or bond on one, or one end of a veth pair: it may lead to other hosts.</summary>
    Link,
    Loopback,
    Bridge,

    /// <summary>TAP and TUN.</summary>
    Tap,

    /// <summary>VXLAN, WireGuard, GRE and the like.</summary>
    Tunnel,
}

/// <summary>One device of this host with its IPv4 addresses, primary first.</summary>
/// <param name="DefaultRouteMetric">Metric of the default route through it; null when there is none.</param>
internal sealed record HostInterface(
    string Name, InterfaceKind Kind, bool IsUp, ImmutableArray<IPAddress> Addresses, uint? DefaultRouteMetric = null);

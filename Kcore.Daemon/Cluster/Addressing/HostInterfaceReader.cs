using System.Collections.Immutable;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Kcore.Netlink;
using Kcore.Netlink.Route;

namespace Kcore.Daemon.Cluster.Addressing;

/// <summary>
/// Reads the host's devices with their addresses from the kernel in two messages, however many there are, and the default routes from
/// <c>/proc/net/route</c>.
/// </summary>
internal static class HostInterfaceReader
{
    // Docker and Kubernetes hosts have hundreds of routes; a full Internet table is not worth reading to its end.
    private const int MaxRouteLines = 4_096;

    // RFC 2863: what a device is when its driver says nothing, and when it works.
    private const byte OperationalUnknown = 0;
    private const byte OperationalUp = 6;

    // The thread's own view: a process may hold several network namespaces.
    private const string RouteFile = "/proc/thread-self/net/route";

    /// <summary>In the network namespace of the calling thread.</summary>
    /// <exception cref="NetlinkException">The kernel gave no list of devices.</exception>
    public static ImmutableArray<HostInterface> Read()
    {
        Dictionary<string, uint> defaults = ReadDefaultRoutes();
        using RouteSocket socket = RouteSocket.Open();
        IReadOnlyList<LinkInfo> links = socket.DumpLinks();
        ILookup<int, IPAddress> addresses = socket.DumpAddresses()
            .Where(a => a.Address.AddressFamily == AddressFamily.InterNetwork)
            .ToLookup(a => a.LinkIndex, a => a.Address);
        return
        [
            .. links.Select(link => new HostInterface(
                link.Name,
                KindOf(link),
                Works(link),
                InterfaceNames.IsVirtual(link.Name) ? [] : [.. addresses[link.Index]],
                defaults.TryGetValue(link.Name, out uint metric) ? metric : null)),
        ];
    }

    /// <summary>MTU in bytes of a device of the calling thread's namespace; null when there is none of that name.</summary>
    /// <exception cref="NetlinkException">The kernel could not be asked.</exception>
    public static int? MtuOf(string device)
    {
        using RouteSocket socket = RouteSocket.Open();
        return LinkName.IsValid(device) && socket.FindLink(device) is { } link && link.Name == device ? link.Mtu : null;
    }

    /// <summary>Whether a device carries traffic, or its driver does not say.</summary>
    internal static bool Works(LinkInfo link) => link.OperationalState is OperationalUp or OperationalUnknown;

    /// <summary>
    /// Devices of default routes with their lowest metric, from the kernel's table (net/ipv4/fib_trie.c,
    /// <c>fib_route_seq_show</c>): name, destination, gateway, flags, references, use, metric, mask, … separated by
    /// tabs, numbers in hexadecimal but for the metric. Lines that look otherwise are passed over.
    /// </summary>
    internal static Dictionary<string, uint> ParseDefaultRoutes(IEnumerable<string> lines)
    {
        const uint FlagUp = 0x1;
        const uint FlagReject = 0x200;
        Dictionary<string, uint> defaults = new(StringComparer.Ordinal);
        foreach (string line in lines.Skip(1).Take(MaxRouteLines))
        {
            string[] fields = line.Split('\t', StringSplitOptions.TrimEntries);
            if (fields is [{ Length: > 0 } name, "00000000", _, { } flagText, _, _, { } metricText, "00000000", ..]
                && uint.TryParse(flagText, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out uint flags)
                && (flags & (FlagUp | FlagReject)) == FlagUp
                && uint.TryParse(metricText, NumberStyles.None, CultureInfo.InvariantCulture, out uint metric))
            {
                defaults[name] = defaults.TryGetValue(name, out uint known) ? Math.Min(known, metric) : metric;
            }
        }

        return defaults;
    }

    private static Dictionary<string, uint> ReadDefaultRoutes()
    {
        try
        {
            return ParseDefaultRoutes(File.ReadLines(RouteFile));
        }
        catch (IOException)
        {
            // A kernel without the file has no IPv4 routes to tell of.
            return [];
        }
    }

    /// <summary>
    /// Layer-3 tunnels have hardware types from ARPHRD_TUNNEL on (linux/if_arp.h: 768 ipip, 769 ip6ip6, 776 sit, 778 gre, 823
    /// ip6gre) or none at all (0xFFFE); VXLAN and Geneve look like Ethernet and are told by their kind.
    /// </summary>
    private static InterfaceKind KindOf(LinkInfo link) => link switch
    {
        _ when link.Flags.HasFlag(LinkFlags.Loopback) => InterfaceKind.Loopback,
        { Kind: "bridge" } => InterfaceKind.Bridge,
        { Kind: "tun" } => InterfaceKind.Tap,
        { Kind: "vxlan" or "geneve" or "wireguard" } or { HardwareType: 768 or 769 or 776 or 778 or 823 or 0xFFFE } => InterfaceKind.Tunnel,
        _ => InterfaceKind.Link,
    };
}

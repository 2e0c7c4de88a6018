using System.Collections.Immutable;
using System.Globalization;
using System.Net.NetworkInformation;
using System.Net.Sockets;

namespace Kcore.Daemon.Cluster.Addressing;

/// <summary>Reads the host's devices, their kinds from sysfs and the default routes from <c>/proc/net/route</c>.</summary>
internal static class HostInterfaceReader
{
    // Docker and Kubernetes hosts have hundreds of routes; a full Internet table is not worth reading to its end.
    private const int MaxRouteLines = 4_096;
    private const int MaxSmallFile = 4_096;

    // The thread's own view: a process may hold several network namespaces.
    private const string RouteFile = "/proc/thread-self/net/route";

    /// <exception cref="NetworkInformationException">The kernel gave no list of devices.</exception>
    public static ImmutableArray<HostInterface> Read()
    {
        Dictionary<string, uint> defaults = ReadDefaultRoutes();
        var read = ImmutableArray.CreateBuilder<HostInterface>();
        foreach (NetworkInterface device in NetworkInterface.GetAllNetworkInterfaces())
        {
            read.Add(new HostInterface(
                device.Name,
                KindOf(device),
                device.OperationalStatus is OperationalStatus.Up or OperationalStatus.Unknown,
                InterfaceNames.IsVirtual(device.Name) ? [] : AddressesOf(device),
                defaults.TryGetValue(device.Name, out uint metric) ? metric : null));
        }

        return read.DrainToImmutable();
    }

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

    private static InterfaceKind KindOf(NetworkInterface device)
    {
        if (device.NetworkInterfaceType == NetworkInterfaceType.Loopback)
        {
            return InterfaceKind.Loopback;
        }

        string sysfs = $"/sys/class/net/{device.Name}";
        if (Directory.Exists($"{sysfs}/bridge"))
        {
            return InterfaceKind.Bridge;
        }

        if (File.Exists($"{sysfs}/tun_flags"))
        {
            return InterfaceKind.Tap;
        }

        // Layer-3 tunnels have link types from ARPHRD_TUNNEL on (linux/if_arp.h: 768 ipip, 769 ip6ip6, 776 sit,
        // 778 gre) or none at all (0xFFFE); VXLAN and Geneve look like Ethernet and are told by their device type.
        string type = ReadSmall($"{sysfs}/type").Trim();
        return type is "768" or "769" or "776" or "778" or "823" or "65534"
            || ReadSmall($"{sysfs}/uevent").Split('\n').Any(line =>
                line is "DEVTYPE=vxlan" or "DEVTYPE=geneve" or "DEVTYPE=wireguard")
            ? InterfaceKind.Tunnel
            : InterfaceKind.Link;
    }

    private static ImmutableArray<System.Net.IPAddress> AddressesOf(NetworkInterface device)
    {
        try
        {
            return
            [
                .. device.GetIPProperties().UnicastAddresses
                    .Select(a => a.Address)
                    .Where(a => a.AddressFamily == AddressFamily.InterNetwork),
            ];
        }
        catch (NetworkInformationException)
        {
            // It vanished while we were reading.
            return [];
        }
    }

    private static string ReadSmall(string path)
    {
        try
        {
            using FileStream file = File.OpenRead(path);
            Span<byte> bytes = stackalloc byte[MaxSmallFile];
            return System.Text.Encoding.ASCII.GetString(bytes[..file.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false)]);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Kinds are hints: sysfs may be another namespace's, or the device gone.
            return "";
        }
    }
}

using System.Collections.Immutable;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Numerics;
using Kcore.Contracts;
using Kcore.Daemon.Cluster.Addressing;
using Kcore.Netlink;
using Kcore.Netlink.Route;

namespace Kcore.Daemon.Catalog.Networks;

/// <summary>The IPv4 subnets this host is in by itself, without those of Kcore's own devices.</summary>
internal static class HostSubnets
{
    /// <exception cref="RefusedException">Unavailable: the kernel gave no list.</exception>
    public static ImmutableArray<(string Device, IPAddress Address, IPNetwork Subnet)> Read()
    {
        try
        {
            using RouteSocket socket = RouteSocket.Open();
            Dictionary<int, string> names = socket.DumpLinks().Where(l => !InterfaceNames.IsOwn(l.Name)).ToDictionary(l => l.Index, l => l.Name);
            return
            [
                .. socket.DumpAddresses()
                    .Where(a => a.Address.AddressFamily == AddressFamily.InterNetwork && !IPAddress.IsLoopback(a.Address) && names.ContainsKey(a.LinkIndex))
                    .Select(a => (names[a.LinkIndex], a.Address, new IPNetwork(Masked(a.Address, a.PrefixLength), a.PrefixLength))),
            ];
        }
        catch (NetlinkException e)
        {
            throw new RefusedException(ErrorCode.Unavailable, "the kernel gave no list of this host's addresses", [e.Message], "repeat it");
        }
    }

    /// <summary>What this host routes elsewhere, default routes aside: /proc/net/route has destination and mask as the kernel's little-endian words.</summary>
    public static ImmutableArray<IPNetwork> Routes()
    {
        var found = ImmutableArray.CreateBuilder<IPNetwork>();
        try
        {
            foreach (string line in File.ReadLines("/proc/thread-self/net/route").Skip(1).Take(4096))
            {
                if (line.Split('\t', StringSplitOptions.TrimEntries) is [{ } device, { } destination, _, _, _, _, _, { } mask, ..]
                    && !InterfaceNames.IsOwn(device)
                    && uint.TryParse(destination, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out uint network)
                    && uint.TryParse(mask, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out uint bits)
                    && bits != 0)
                {
                    found.Add(new IPNetwork(Masked(new IPAddress(network), BitOperations.PopCount(bits)), BitOperations.PopCount(bits)));
                }
            }
        }
        catch (IOException)
        {
            // A kernel without the file has no IPv4 routes to tell of.
        }

        return found.DrainToImmutable();
    }

    public static bool Overlap(IPNetwork a, IPNetwork b) => a.Contains(b.BaseAddress) || b.Contains(a.BaseAddress);

    private static IPAddress Masked(IPAddress address, int prefix)
    {
        byte[] bytes = address.GetAddressBytes();
        for (int bit = prefix; bit < 32; bit++)
        {
            bytes[bit / 8] &= (byte)~(0x80 >> (bit % 8));
        }

        return new IPAddress(bytes);
    }
}

using System.Collections.Immutable;
using System.Globalization;
using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;
using System.Numerics;
using Kcore.Daemon.Cluster.Addressing;

namespace Kcore.Daemon.Catalog.Networks;

/// <summary>The IPv4 subnets this host is in by itself, without those of Kcore's own devices.</summary>
internal static class HostSubnets
{
    public static ImmutableArray<(string Device, IPAddress Address, IPNetwork Subnet)> Read()
    {
        ImmutableArray<(string, IPAddress, IPNetwork)>.Builder found = ImmutableArray.CreateBuilder<(string, IPAddress, IPNetwork)>();
        foreach (NetworkInterface device in NetworkInterface.GetAllNetworkInterfaces())
        {
            if (InterfaceNames.IsOwn(device.Name))
            {
                continue;
            }

            try
            {
                foreach (UnicastIPAddressInformation info in device.GetIPProperties().UnicastAddresses)
                {
                    if (info.Address.AddressFamily == AddressFamily.InterNetwork && !IPAddress.IsLoopback(info.Address))
                    {
                        found.Add((device.Name, info.Address, new IPNetwork(Masked(info.Address, info.PrefixLength), info.PrefixLength)));
                    }
                }
            }
            catch (NetworkInformationException)
            {
                // It vanished while we were reading.
            }
        }

        return found.DrainToImmutable();
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

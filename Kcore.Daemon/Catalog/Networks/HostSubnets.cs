using System.Collections.Immutable;
using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;
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

using System.Globalization;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using Kcore.Daemon.Catalog.Naming;

namespace Kcore.Daemon.Dhcp;

/// <summary>Files of dnsmasq(8): pure text.</summary>
internal static class DnsmasqText
{
    /// <summary>Behaviour 35.</summary>
    private const string Lease = "12h";

    /// <summary>What a host name must not be, because dnsmasq reads it as something else there.</summary>
    private static readonly string[] Keywords = ["ignore", "infinite"];

    /// <summary>The whole configuration: the host's own is not read (behaviour 38).</summary>
    /// <param name="user">Null leaves it to dnsmasq, which takes an unprivileged one.</param>
    public static string Configuration(DhcpServer server, DhcpFiles files, string? user)
    {
        string mask = new IPAddress(BitConverter.GetBytes(BitConverter.IsLittleEndian
            ? System.Buffers.Binary.BinaryPrimitives.ReverseEndianness(uint.MaxValue << (32 - server.PrefixLength))
            : uint.MaxValue << (32 - server.PrefixLength))).ToString();
        StringBuilder text = new();
        text.Append(CultureInfo.InvariantCulture, $"# Network '{server.Network}' of Kcore, on {server.Bridge} (index {server.BridgeIndex}). Written by kcored.\n");
        if (user is not null)
        {
            text.Append(CultureInfo.InvariantCulture, $"user={user}\n");
        }

        return text.Append(CultureInfo.InvariantCulture, $"""
            port=0
            interface={server.Bridge}
            except-interface=lo
            bind-dynamic
            no-hosts
            no-ping
            dhcp-authoritative
            dhcp-range={server.Range.First},{server.Range.Last},{mask},{Lease}
            dhcp-option=option:router,{server.Gateway}
            dhcp-option=option:dns-server,1.1.1.1,8.8.8.8
            dhcp-option=option:mtu,{server.Mtu}
            dhcp-hostsfile={files.HostsOf(server.Network)}
            dhcp-leasefile={files.LeasesOf(server.Network)}
            pid-file=
            log-facility={files.LogOf(server.Network)}
            quiet-dhcp

            """).ToString();
    }

    /// <summary>One line per NIC: MAC, address, and the name where it can be a host name.</summary>
    public static string Hosts(DhcpServer server)
    {
        StringBuilder text = new();
        foreach (Reservation nic in server.Reservations)
        {
            text.Append(CultureInfo.InvariantCulture, $"{DerivedNames.MacText(nic.Mac)},{nic.Address}{(IsHostName(nic.Name) ? "," + nic.Name : "")}\n");
        }

        return text.ToString();
    }

    /// <summary>Tells configurations apart; it is part of the file's name, and so of the running server's command line.</summary>
    public static string Version(string configuration) =>
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(configuration)).AsSpan(0, 4));

    /// <summary>
    /// Lines of the lease file that give a reserved address to somebody else: the NIC that had it is gone, and while its
    /// lease lasts dnsmasq keeps the address from its new owner.
    /// </summary>
    public static IEnumerable<string> StaleLeases(IEnumerable<string> leases, DhcpServer server)
    {
        Dictionary<string, string> owners = server.Reservations.ToDictionary(r => r.Address.ToString(), r => DerivedNames.MacText(r.Mac), StringComparer.Ordinal);
        return leases.Where(line =>
            line.Split(' ') is [_, var mac, var address, ..]
            && owners.TryGetValue(address, out string? owner)
            && !string.Equals(mac, owner, StringComparison.OrdinalIgnoreCase));
    }

    /// <summary>
    /// Begins with a letter or digit, and is nothing dnsmasq takes for a lease time (digits and one of s, m, h, d, w)
    /// or a keyword.
    /// </summary>
    private static bool IsHostName(string name) =>
        char.IsAsciiLetterOrDigit(name[0])
        && !Keywords.Contains(name, StringComparer.OrdinalIgnoreCase)
        && !name.TrimEnd('s', 'S', 'm', 'M', 'h', 'H', 'd', 'D', 'w', 'W').All(char.IsAsciiDigit);
}

using System.Collections.Immutable;
using System.Globalization;
using System.Net;

namespace Kcore.Daemon.Cluster.Discovery;

/// <summary>A node as DNS-SD records (RFC 6763) and back.</summary>
internal static class KcoreService
{
    public const string ServiceName = "_kcore._udp.local";

    /// <summary>
    /// RFC 6762 §10 recommends 120 s for records that name a host and 75 min for others. Pointers get 120 s as well:
    /// a node that vanished shall not be dialled an hour later.
    /// </summary>
    public static readonly TimeSpan TimeToLive = TimeSpan.FromSeconds(120);

    private const int MaxAddresses = 8;
    private const int MaxFingerprint = 64;

    public static string InstanceName(UInt128 nodeUid) => $"{Hex(nodeUid)}.{ServiceName}";

    /// <summary>
    /// Not the machine's host name: that one belongs to avahi, and two responders that answer for one name would
    /// take each other for a conflict. A random uid needs no probing for uniqueness (RFC 6762 §8.1).
    /// </summary>
    public static string HostName(UInt128 nodeUid) => $"kcore-{Hex(nodeUid)}.local";

    /// <summary>Everything about one node in one message, so that one datagram is a whole sighting.</summary>
    public static DnsMessage Describe(Announcement node, IEnumerable<IPAddress> addresses, TimeSpan timeToLive)
    {
        string instance = InstanceName(node.NodeUid);
        string host = HostName(node.NodeUid);
        return new DnsMessage(
            Id: 0,
            IsResponse: true,
            Questions: [],
            Answers: [new DnsRecord.Pointer(ServiceName, timeToLive, instance)],
            Additional:
            [
                new DnsRecord.Service(instance, timeToLive, node.GossipPort, host),
                new DnsRecord.Text(instance, timeToLive,
                [
                    $"v={node.Protocol}",
                    $"f={node.KeyFingerprint}",
                    $"c={(node.ClusterId is { } id ? Hex(id) : "")}",
                    $"e={node.ClusterEpoch}",
                    $"g={(node.IsVirgin ? 1 : 0)}",
                    $"r={node.RaftPort}",
                    $"n={Hex(node.NodeUid)}",
                    .. node.OtherFingerprints.Length == 0 ? (ReadOnlySpan<string>)[] : [$"o={node.OtherFingerprints}"],
                ]),
                .. addresses.Take(MaxAddresses).Select(address => new DnsRecord.Address(host, timeToLive, address)),
            ]);
    }

    /// <summary>Every node a response describes completely and sensibly; anything else in it is left out.</summary>
    public static IEnumerable<DiscoveredPeer> ReadPeers(DnsMessage response, IPAddress source, string interfaceName)
    {
        foreach (DnsRecord.Pointer pointer in response.Records.OfType<DnsRecord.Pointer>())
        {
            if (string.Equals(pointer.Name, ServiceName, StringComparison.Ordinal)
                && response.Records.OfType<DnsRecord.Service>().FirstOrDefault(s => s.Name == pointer.Target) is { } service
                && response.Records.OfType<DnsRecord.Text>().FirstOrDefault(t => t.Name == pointer.Target) is { } text
                && ReadAnnouncement(service, text) is { } node
                && string.Equals(pointer.Target, InstanceName(node.NodeUid), StringComparison.Ordinal))
            {
                ImmutableArray<IPAddress> addresses =
                [
                    .. response.Records.OfType<DnsRecord.Address>()
                        .Where(a => a.Name == service.Host && IsDiallable(a.Value))
                        .Select(a => a.Value)
                        .Distinct()
                        .OrderByDescending(a => a.Equals(source))
                        .Take(MaxAddresses),
                ];
                if (!addresses.IsEmpty)
                {
                    yield return new DiscoveredPeer(node, addresses, interfaceName, pointer.TimeToLive == TimeSpan.Zero);
                }
            }
        }
    }

    private static Announcement? ReadAnnouncement(DnsRecord.Service service, DnsRecord.Text text)
    {
        string? cluster = Value(text, "c");
        string? fingerprint = Value(text, "f");
        string others = Value(text, "o") ?? "";
        UInt128 clusterId = default;
        if (!int.TryParse(Value(text, "v"), NumberStyles.None, CultureInfo.InvariantCulture, out int protocol)
            || !TryHex(Value(text, "n"), out UInt128 nodeUid)
            || fingerprint is not { Length: > 0 and <= MaxFingerprint } || !fingerprint.All(char.IsAsciiHexDigitLower)
            || others.Length > MaxFingerprint || !others.All(c => c == '.' || char.IsAsciiHexDigitLower(c))
            || cluster is null || (cluster.Length > 0 && !TryHex(cluster, out clusterId))
            || !uint.TryParse(Value(text, "e"), NumberStyles.None, CultureInfo.InvariantCulture, out uint epoch)
            || Value(text, "g") is not ("0" or "1") and not null
            || !ushort.TryParse(Value(text, "r"), NumberStyles.None, CultureInfo.InvariantCulture, out ushort raftPort)
            || raftPort == 0
            || service.Port == 0)
        {
            return null;
        }

        return new Announcement(
            nodeUid,
            fingerprint,
            cluster.Length == 0 ? null : clusterId,
            epoch,
            IsVirgin: Value(text, "g") == "1",
            service.Port,
            raftPort)
        {
            Protocol = protocol,
            OtherFingerprints = others,
        };
    }

    /// <summary>The first value of a key counts (RFC 6763 §6.4).</summary>
    private static string? Value(DnsRecord.Text text, string key)
    {
        foreach (string entry in text.Strings)
        {
            if (entry.Length > key.Length
                && entry[key.Length] == '='
                && entry.StartsWith(key, StringComparison.OrdinalIgnoreCase))
            {
                return entry[(key.Length + 1)..];
            }
        }

        return null;
    }

    private static bool IsDiallable(IPAddress address)
    {
        byte first = address.GetAddressBytes()[0];
        return first is > 0 and < 224 and not 127;
    }

    private static string Hex(UInt128 value) => value.ToString("x32", CultureInfo.InvariantCulture);

    private static bool TryHex(string? text, out UInt128 value)
    {
        value = default;
        return text is { Length: 32 }
            && text.All(char.IsAsciiHexDigitLower)
            && UInt128.TryParse(text, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out value);
    }
}

using System.Collections.Immutable;
using System.Globalization;

namespace Kcore.Daemon.Catalog.Facts;

/// <summary>Numbers are those of IP (RFC 790's successors, IANA protocol numbers), and on the wire.</summary>
internal enum TransportProtocol
{
    Tcp = 6,
    Udp = 17,
}

/// <summary>Sends what arrives at a port of the external address to a NIC.</summary>
/// <param name="Nic">Null means the network's only NIC: an allowed port without a target (A12).</param>
internal sealed record PublishRule(TransportProtocol Protocol, int Port, string? Nic, int TargetPort)
{
    public string ProtocolName => Protocol == TransportProtocol.Udp ? "udp" : "tcp";

    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Port}:{Nic ?? "(the only NIC)"}:{TargetPort}/{ProtocolName}");
}

/// <summary>The port rules of a network, compared by what they say; at most one per port and protocol.</summary>
internal sealed record PortRules(ImmutableArray<PublishRule> Rules)
{
    /// <summary>Together with a name of 63 bytes each they stay below what an entry of the catalog may hold.</summary>
    public const int Max = 48;

    public static PortRules None { get; } = new([]);

    /// <summary>Ports that go unchanged to the only NIC.</summary>
    public ImmutableArray<int> Allowed(TransportProtocol protocol) => [.. Rules.Where(r => r.Nic is null && r.Protocol == protocol).Select(r => r.Port)];

    public string? Text => Rules.IsEmpty ? null : string.Join(' ', Rules);

    public bool Equals(PortRules? other) => other is not null && Rules.AsSpan().SequenceEqual(other.Rules.AsSpan());

    public override int GetHashCode() => Rules.Length;

    public override string ToString() => Text ?? "none";
}

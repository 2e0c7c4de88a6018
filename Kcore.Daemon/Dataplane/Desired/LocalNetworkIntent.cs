using System.Collections.Immutable;
using System.Net;
using Kcore.Daemon.Catalog.Facts;
using Kcore.Daemon.Catalog.Networks;

namespace Kcore.Daemon.Dataplane.Desired;

/// <summary>A network of this node alone: a bridge that is routed and translated (nat), or one that leads to a physical network.</summary>
internal sealed record LocalNetworkIntent
{
    public required string Name { get; init; }

    public required UInt128 Uid { get; init; }

    /// <summary>At most 15 bytes.</summary>
    public required string Bridge { get; init; }

    /// <summary>Bytes, of the device frames leave by: nothing is wrapped around them.</summary>
    public required int Mtu { get; init; }

    /// <summary>Null for a bridge network: no address, no filter, no translation.</summary>
    public NatIntent? Nat { get; init; }

    /// <summary>The device that becomes a port of a bridge network, unless that is <see cref="Vlan"/>; null for nat.</summary>
    public string? Uplink { get; init; }

    public VlanIntent? Vlan { get; init; }

    public ImmutableArray<LocalNicIntent> LocalNics { get; init; } = [];

    /// <summary>Why the network cannot be here at all; what is there of it stays as it is.</summary>
    public string? Conflict { get; init; }
}

/// <summary>How guests of a nat network reach the outside and are reached from there.</summary>
/// <param name="Egress">Masquerade applies to what leaves here: the gateway interface, or the VLAN's device (A19).</param>
/// <param name="Range">Addresses of the guests.</param>
internal sealed record NatIntent(IPAddress Gateway, int PrefixLength, string Egress, GuestRange Range, ImmutableArray<PublishedPort> Ports);

/// <summary>A VLAN device of ours on a device of the host.</summary>
internal sealed record VlanIntent(string Parent, int Id, string Device);

/// <summary>What arrives at an address and port and goes to a guest instead.</summary>
internal sealed record PublishedPort(IPAddress External, TransportProtocol Protocol, int Port, IPAddress Target, int TargetPort)
{
    public string ProtocolName => Protocol == TransportProtocol.Udp ? "udp" : "tcp";
}

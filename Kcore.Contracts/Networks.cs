using System.Collections.Immutable;

namespace Kcore.Contracts;

/// <summary>What <c>kctl create network</c> asks for. Texts are as the user typed them; the daemon validates.</summary>
public sealed record CreateNetworkRequest
{
    public required string Name { get; init; }

    /// <summary><c>nat</c>, <c>bridge</c> or <c>vxlan</c>; null means <c>nat</c>.</summary>
    public string? Type { get; init; }

    public string? ExternalIp { get; init; }

    public string? GatewayIp { get; init; }

    /// <summary>Null means 255.255.255.0.</summary>
    public string? InternalNetmask { get; init; }

    public int VlanId { get; init; }

    /// <summary><c>--enable-outbound-nat</c>.</summary>
    public bool EnableOutboundNat { get; init; }

    /// <summary><c>--no-outbound-nat</c>; both at once is an error, not last-one-wins.</summary>
    public bool NoOutboundNat { get; init; }

    /// <summary>The node of a <c>nat</c> or <c>bridge</c> network; null is the node that serves the call.</summary>
    public string? TargetNode { get; init; }

    /// <summary>Device of the node that a <c>bridge</c> network leads to, or that carries the VLAN; null is the gateway interface.</summary>
    public string? Uplink { get; init; }

    /// <summary><c>PORT:NIC:PORT[/udp]</c>: what arrives at the external address goes to that NIC. Only for <c>nat</c>.</summary>
    public ImmutableArray<string>? Publish { get; init; }

    /// <summary>
    /// Addresses never given out: <c>A</c> or <c>A-B</c>, IPv4 of the subnet, at most 4,096 in all. Only for <c>vxlan</c>.
    /// </summary>
    public ImmutableArray<string>? Exclude { get; init; }

    /// <summary><c>none</c> or <c>wireguard</c>; null means <c>none</c>. Only for <c>vxlan</c>.</summary>
    public string? Encryption { get; init; }

    /// <summary>
    /// <c>never</c> or <c>quarantine</c>: whether an address that was given back is given again, once all others were and
    /// ten minutes have passed. Null means <c>never</c>. Only for <c>vxlan</c>.
    /// </summary>
    public string? AddressReuse { get; init; }

    /// <summary>
    /// Addresses from the top of the subnet that every node is granted in advance, for attaches while there is no quorum.
    /// 0 to 64, and at most half of the subnet's. Null means 0. Only for <c>vxlan</c>.
    /// </summary>
    public int? EmergencyReserve { get; init; }

    /// <summary>Ports that go to the network's only NIC, unchanged. Only for <c>nat</c>.</summary>
    public ImmutableArray<int>? AllowedTcpPorts { get; init; }

    /// <inheritdoc cref="AllowedTcpPorts"/>
    public ImmutableArray<int>? AllowedUdpPorts { get; init; }
}

/// <summary>What <c>kctl network release-orphans</c> asks for.</summary>
public sealed record ReleaseOrphansRequest
{
    /// <summary>Only this address; null for all orphaned ones of the network.</summary>
    public string? Address { get; init; }
}

/// <summary>What became of the orphaned addresses of a network.</summary>
/// <param name="Released">The addresses whose leases ended, ascending.</param>
public sealed record ReleasedOrphans(string Network, ImmutableArray<string> Released);

/// <summary>Outcome of a write: what happened to which object, seen from the node that served it.</summary>
/// <param name="Verb">What was done: <c>created</c>, <c>unchanged</c>, <c>deleted</c>, <c>drained</c>, <c>left</c>, <c>removed</c>, <c>reset</c> and so on.</param>
public sealed record ChangeReceipt(string Verb, string Kind, string Name, string Node);

/// <summary>One row of <c>kctl get networks</c>.</summary>
/// <param name="Vlan">0 when the network has none.</param>
/// <param name="Nodes">Members that take part, healthy or not (a count that flaps is useless).</param>
/// <param name="Conflict">Why this network is not materialised, when another claim won.</param>
public sealed record NetworkSummary(
    string Name,
    string Type,
    string GatewayIp,
    string InternalNetmask,
    int Vlan,
    bool Overlay,
    string Bridge,
    int Nodes,
    string? Conflict);

/// <summary>What <c>kctl describe network</c> shows.</summary>
public sealed record NetworkDetail
{
    public required string Name { get; init; }

    public required string Uid { get; init; }

    public required string Type { get; init; }

    public required bool Overlay { get; init; }

    public required string Bridge { get; init; }

    public required string GatewayIp { get; init; }

    public required string InternalNetmask { get; init; }

    public required string NetworkCidr { get; init; }

    public required int Vlan { get; init; }

    public required bool OutboundNat { get; init; }

    public required ImmutableArray<int> AllowedTcpPorts { get; init; }

    public required ImmutableArray<int> AllowedUdpPorts { get; init; }

    public string? ExternalIp { get; init; }

    /// <summary>Port of the bridge, or carrier of its VLAN; only for <c>bridge</c> and networks with a VLAN.</summary>
    public string? Uplink { get; init; }

    /// <summary>The VLAN's device on its node.</summary>
    public string? VlanDevice { get; init; }

    /// <summary><c>ADDRESS:PORT/PROTOCOL -> NIC:PORT</c>, in order.</summary>
    public ImmutableArray<string> Published { get; init; } = [];

    /// <summary>First and last address given to guests of a <c>nat</c> network.</summary>
    public string? DhcpRange { get; init; }

    /// <summary>Overlays only.</summary>
    public int? Vni { get; init; }

    public string? VxlanDevice { get; init; }

    /// <summary><c>none</c> or <c>wireguard</c>; overlays only.</summary>
    public string? Encryption { get; init; }

    /// <summary>MTU of bridge and guests on the serving node, bytes.</summary>
    public int? Mtu { get; init; }

    /// <summary><c>never</c> or <c>quarantine</c>; overlays only.</summary>
    public string? AddressReuse { get; init; }

    /// <summary>Addresses every node is granted in advance, for attaches without quorum; overlays only.</summary>
    public int? EmergencyReserve { get; init; }

    /// <summary>Null until the address pool is committed.</summary>
    public PoolUsage? Addresses { get; init; }

    public required ImmutableArray<NetworkNode> Nodes { get; init; }

    /// <summary>Claims that lost against this network, or the claim that won against it.</summary>
    public required ImmutableArray<string> Conflicts { get; init; }
}

/// <param name="Next">The address the next allocation gets; null when none is left.</param>
/// <param name="Resting">Addresses that were given back and are given again later.</param>
/// <param name="Parked">Addresses in the emergency reserves of the nodes.</param>
public sealed record PoolUsage(long Size, long Used, long Free, string? Next, long Resting = 0, long Parked = 0);

/// <param name="State"><c>Ready</c>, <c>Pending</c> or <c>Failed</c>, as that node says of itself.</param>
/// <param name="Health">Membership's view of the node: <c>alive</c>, <c>suspect</c>, <c>dead</c> or <c>left</c>.</param>
/// <param name="External">Address the guests of a <c>nat</c> network appear under on this node.</param>
/// <param name="Warning">
/// What is wrong with the path of tunnel packets from the serving node to this one; for the serving node itself, which rules of
/// others on it drop what the network needs.
/// </param>
public sealed record NetworkNode(string Node, string NodeId, string? Vtep, string State, string? Reason, string Health, string? External = null, string? Warning = null);

using System.Collections.Immutable;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Kcore.Daemon.Catalog.Facts;
using Kcore.Daemon.Dataplane.Mesh;

namespace Kcore.Daemon.Dataplane.Desired;

/// <summary>
/// The constant part of our tables. Every rule carries a comment made from its text, so that a listing tells
/// which rule it is without comparing expressions, whose printed form differs between versions of nft.
/// </summary>
internal static class NftSkeleton
{
    public const string TableName = "kcore";
    public const string Inet = "inet";
    public const string Bridge = "bridge";

    /// <summary>What a listing calls a type that has no name.</summary>
    public const string Integer = "integer";

    /// <summary>The set that tells whether there is a tunnel on this node.</summary>
    public const string Tunnels = "bridge tunnels";

    /// <summary>Networks whose tunnel packets travel through the encrypted mesh and nowhere else.</summary>
    public const string SecretVnis = "inet secret_vnis";

    /// <summary>The VXLAN identifier (RFC 7348 §5), which this nft has no word for: 24 bits behind UDP's header and 4 bytes of its own.</summary>
    private const string Vni = "@th,96,24";

    /// <summary>What a port of a guest may send: which MACs, which IPv4 addresses, which of them together.</summary>
    public const string GuestMacs = "bridge guest_macs";
    public const string GuestIps = "bridge guest_ips";
    public const string GuestPairs = "bridge guest_pairs";

    /// <summary>nft takes a rule to translate the destination by a map from the outer address to the guest's.</summary>
    private const string ToGuests = "dnat ip to ip daddr . meta l4proto . th dport map @published4";

    private const string GatewayMacs = "gateway_macs";

    private const string FromGuests = "iifname @bridges accept";

    /// <summary>
    /// No frame that <see cref="GatewayMacs"/> could be about, nor ARP: the first three bytes of the source (at 6 of an Ethernet header)
    /// are those of no gateway's MAC (<see cref="KernelFacts.GatewayMac"/>). Comparing them takes no look into a set.
    /// </summary>
    internal const string NoGateway = "meta protocol != arp @ll,48,24 != 0x26b00";

    /// <param name="Data">Not null: a map, and what it leads to.</param>
    /// <param name="Expression">Not null: nft has no name for the type; it is that of this expression.</param>
    /// <param name="Counts">Each element counts the frames that matched it.</param>
    internal sealed record SetDefinition(string Family, string Name, string Type, bool Interval = false, string? Data = null, bool Counts = false, string? Expression = null)
    {
        public string Key => $"{Family} {Name}";
    }

    /// <param name="ForTunnels">Only there while an overlay is on this node: without one, UDP 4789 is nobody's (behaviour 46).</param>
    /// <param name="ForMesh">Only there while an overlay of this node is encrypted.</param>
    /// <param name="WithoutTunnels">Only there while no overlay is on this node.</param>
    internal sealed record ChainDefinition(
        string Family, string Name, string Type, string Hook, int Priority, ImmutableArray<string> Rules, bool ForTunnels = false, bool ForMesh = false,
        bool WithoutTunnels = false);

    public static ImmutableArray<string> Families { get; } = [Inet, Bridge];

    /// <summary>The kernel's number of a family: NFPROTO_INET, NFPROTO_BRIDGE (linux/netfilter.h).</summary>
    public static byte Protocol(string family) => family == Inet ? (byte)1 : (byte)7;

    public static ImmutableArray<SetDefinition> Sets { get; } =
    [
        new(Inet, "vteps4", "ipv4_addr"),
        new(Inet, "vteps6", "ipv6_addr"),
        new(Inet, "secret_vnis", Integer, Expression: Vni),
        new(Inet, "bridges", "ifname"),
        new(Inet, "within", "ifname . ifname"),
        new(Inet, "egress", "ifname"),
        new(Inet, "nat4", "ifname . ipv4_addr", Interval: true),
        new(Inet, "nat6", "ifname . ipv6_addr", Interval: true),
        new(Inet, "inside4", "ipv4_addr . ipv4_addr", Interval: true),
        new(Inet, "inside6", "ipv6_addr . ipv6_addr", Interval: true),
        new(Inet, "published4", "ipv4_addr . inet_proto . inet_service", Data: "ipv4_addr . inet_service"),
        new(Bridge, "tunnels", "ifname"),
        new(Bridge, GatewayMacs, "ether_addr"),
        new(Bridge, "gateways4", "ifname . ipv4_addr"),
        new(Bridge, "guest_macs", "ifname . ether_addr"),
        new(Bridge, "guest_ips", "ifname . ipv4_addr"),
        new(Bridge, "guest_pairs", "ifname . ether_addr . ipv4_addr"),
        .. GuestGuard.Sets,
    ];

    public static ImmutableArray<ChainDefinition> Chains { get; } =
    [
        // Tunnel packets stay out of connection tracking: their inner flows would fill its table, and they
        // must never meet NAT. Raw priority is before conntrack.
        new(Inet, "raw_in", "filter", "prerouting", -300, ["udp dport 4789 notrack"], ForTunnels: true),
        new(Inet, "raw_out", "filter", "output", -300, ["udp dport 4789 notrack"], ForTunnels: true),
        // Before the tunnel's own rules. What is secret comes out of the mesh, or not at all; and the mesh is for nothing else.
        new(Inet, "mesh_in", "filter", "input", -20,
        [
            $"iifname \"{MeshIntent.Device}\" meta l4proto icmp accept",
            $"iifname \"{MeshIntent.Device}\" meta l4proto != udp drop",
            $"iifname \"{MeshIntent.Device}\" udp dport != 4789 drop",
            $"iifname \"{MeshIntent.Device}\" {Vni} != @secret_vnis drop",
            $"iifname != \"{MeshIntent.Device}\" udp dport 4789 {Vni} @secret_vnis drop",
            $"iifname != \"{MeshIntent.Device}\" udp dport 4789 ip saddr {MeshPool.Text} drop",
            $"udp dport {MeshIntent.Port} ip saddr != @vteps4 drop",
            $"udp dport {MeshIntent.Port} ip6 saddr != @vteps6 drop",
            $"udp dport {MeshIntent.Port} accept",
        ],
        ForMesh: true),
        // Whatever becomes of the device, of routes and of addresses: nothing secret leaves in clear.
        new(Inet, "mesh_out", "filter", "output", -20,
        [
            $"oifname != \"{MeshIntent.Device}\" udp dport 4789 {Vni} @secret_vnis drop",
            $"oifname != \"{MeshIntent.Device}\" udp dport 4789 ip saddr {MeshPool.Text} drop",
            $"oifname != \"{MeshIntent.Device}\" udp dport 4789 ip daddr {MeshPool.Text} drop",
        ],
        ForMesh: true),
        new(Inet, "mesh_forward", "filter", "forward", -20,
        [
            $"iifname \"{MeshIntent.Device}\" drop",
            $"oifname \"{MeshIntent.Device}\" drop",
        ],
        ForMesh: true),
        // A drop ends the packet whatever other tables say; an accept only ends this chain. One chain for both, because every
        // tunnel packet pays for each chain it meets, and what nearly all of them match comes first.
        new(Inet, "input", "filter", "input", -10,
        [
            "udp dport 4789 ip saddr @vteps4 accept",
            "udp dport 4789 ip6 saddr @vteps6 accept",
            "udp dport 4789 drop",
            FromGuests,
        ],
        ForTunnels: true),
        new(Inet, "input", "filter", "input", -10, [FromGuests], WithoutTunnels: true),
        new(Inet, "pre", "nat", "prerouting", -100, [ToGuests]),
        // What the host itself sends to a published port.
        new(Inet, "pre_host", "nat", "output", -100, [ToGuests]),
        // The middle rule is for hosts where br_netfilter shows bridged frames to this hook.
        new(Inet, "forward", "filter", "forward", -10,
        [
            "iifname @bridges oifname @egress accept",
            "iifname . oifname @within accept",
            "iifname @egress oifname @bridges accept",
        ]),
        new(Inet, "post", "nat", "postrouting", 100,
        [
            // A guest that asks for its neighbour by the outer address must get the answer from there (hairpin).
            "ct status dnat ip saddr . ip daddr @inside4 masquerade",
            "ip saddr . ip daddr @inside4 return",
            "ip6 saddr . ip6 daddr @inside6 return",
            "oifname . ip saddr @nat4 masquerade",
            "oifname . ip6 saddr @nat6 masquerade",
        ]),
        // The gateway has the same MAC and address on every node; each node answers for itself only: no frame in its name, and no
        // question for it, enters or leaves by a tunnel.
        new(Bridge, "guests", "filter", "prerouting", -250, GuestGuard.Rules),
        new(Bridge, "leave", "filter", "postrouting", 300,
        [
            $"{NoGateway} accept",
            "oifname @tunnels ether saddr @gateway_macs drop",
            "oifname . arp saddr ip @gateways4 drop",
            "oifname . arp daddr ip @gateways4 drop",
        ],
        ForTunnels: true),
    ];

    private static ImmutableArray<string> LinesWithMesh { get; } = Lines(tunnels: true, mesh: true);

    private static ImmutableArray<string> LinesWithTunnels { get; } = Lines(tunnels: true, mesh: false);

    private static ImmutableArray<string> LinesWithoutTunnels { get; } = Lines(tunnels: false, mesh: false);

    /// <summary>The tables with these elements; which chains there are follows from them.</summary>
    public static NftTables With(ImmutableSortedDictionary<string, ImmutableSortedSet<string>> elements) =>
        new(Has(SecretVnis, elements) ? LinesWithMesh : Has(Tunnels, elements) ? LinesWithTunnels : LinesWithoutTunnels, elements);

    public static IEnumerable<ChainDefinition> ChainsOf(NftTables tables) => ChainsOf(Has(Tunnels, tables.Elements), Has(SecretVnis, tables.Elements));

    public static string SetLine(string family, string name, string type, bool interval, string? data = null) =>
        $"set {family} {name} {type}{(interval ? " interval" : "")}{(data is null ? "" : $" : {data}")}";

    public static string ChainLine(string family, string name, string type, string hook, int priority, string policy) =>
        string.Create(CultureInfo.InvariantCulture, $"chain {family} {name} {type} {hook} {priority} {policy}");

    /// <summary>Rules keep their order within the chain; everything else is sorted.</summary>
    public static ImmutableArray<string> Arrange(
        IEnumerable<string> sets, IEnumerable<string> chains, IEnumerable<(string Chain, string Comment)> rules) =>
    [
        .. sets.Order(StringComparer.Ordinal),
        .. chains.Order(StringComparer.Ordinal),
        .. rules.OrderBy(r => r.Chain, StringComparer.Ordinal).Select(r => $"rule {r.Chain} {r.Comment}"),
    ];

    private static bool Has(string set, ImmutableSortedDictionary<string, ImmutableSortedSet<string>> elements) =>
        elements.TryGetValue(set, out ImmutableSortedSet<string>? found) && !found.IsEmpty;

    private static IEnumerable<ChainDefinition> ChainsOf(bool tunnels, bool mesh) => Chains.Where(c => (tunnels ? !c.WithoutTunnels : !c.ForTunnels) && (mesh || !c.ForMesh));

    /// <summary>The skeleton as listing lines.</summary>
    private static ImmutableArray<string> Lines(bool tunnels, bool mesh) => Arrange(
        Sets.Select(s => SetLine(s.Family, s.Name, s.Type, s.Interval, s.Data)),
        ChainsOf(tunnels, mesh).Select(c => ChainLine(c.Family, c.Name, c.Type, c.Hook, c.Priority, "accept")),
        ChainsOf(tunnels, mesh).SelectMany(c => c.Rules.Select(r => (Chain: $"{c.Family} {c.Name}", Comment: CommentOf(r)))));

    /// <summary>Whether a listed element may be written back: the right number of parts, and nothing nft could misread.</summary>
    public static bool IsPlainElement(string setKey, string element) =>
        Sets.FirstOrDefault(s => s.Key == setKey) is { } set
        && (set.Data is null
            ? HasParts(element, set.Type)
            : element.Split(" : ") is [var key, var data] && HasParts(key, set.Type) && HasParts(data, set.Data));

    private static bool HasParts(string element, string type) =>
        element.Split(" . ") is { } parts
        && parts.Length == type.Split(" . ").Length
        && parts.All(part => part.Length is > 0 and <= 64
            && part.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or ':' or '/' or '-' or '_'));

    public static string CommentOf(string rule) =>
        $"kcore {Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(rule)).AsSpan(0, 4))}";
}

using System.Collections.Immutable;
using System.Net;
using System.Net.NetworkInformation;
using Kcore.Daemon.Dataplane.Mesh;

namespace Kcore.Daemon.Dataplane.Desired;

/// <summary>
/// Everything the data plane of this node depends on, as facts: what the catalog, the leases and the
/// membership say at one moment. The planner reads nothing else but the kernel.
/// </summary>
/// <param name="Self">This node.</param>
/// <param name="Overlays">The overlays this node takes part in, in any order; names, VNIs and devices are unique.</param>
/// <param name="VtepMembers">
/// Current tunnel addresses of all cluster members, this node's own included or not: only these may send UDP 4789 to us.
/// </param>
internal sealed record DataplaneIntent(
    NodeIntent Self,
    ImmutableArray<OverlayIntent> Overlays,
    ImmutableArray<IPAddress> VtepMembers)
{
    /// <summary>The networks of this node alone, in any order; their names and devices are unique among all networks.</summary>
    public ImmutableArray<LocalNetworkIntent> Locals { get; init; } = [];

    /// <summary>Null when no overlay is encrypted, and while this node has no address in the mesh.</summary>
    public MeshIntent? Mesh { get; init; }
}

/// <summary>This node as the data plane sees it.</summary>
internal sealed record NodeIntent
{
    public required string Name { get; init; }

    /// <summary>Makes the MAC of the tunnel devices; never the machine id, images get cloned.</summary>
    public required UInt128 Uid { get; init; }

    /// <summary>The advertised address: local end of every tunnel. IPv4 or IPv6.</summary>
    public required IPAddress Vtep { get; init; }

    /// <summary>Interface towards the outside; masquerade applies to what leaves here. At most 15 bytes.</summary>
    public required string EgressInterface { get; init; }

    /// <summary>MTU of the device that carries the tunnel packets, in bytes; overlays get 50 (IPv6: 70) less.</summary>
    public required int UnderlayMtu { get; init; }

    /// <summary>The operator's opt-out: overlays in the intent are then ignored, their devices removed.</summary>
    public bool VxlanDisabled { get; init; }

    /// <summary>
    /// Null when things may be deleted; otherwise why not yet, for people (for example "the catalog has not
    /// been reconciled with a peer since the start"). Additions and repairs happen either way.
    /// </summary>
    public string? DeletionsHeldBack { get; init; }
}

/// <summary>One overlay this node takes part in.</summary>
internal sealed record OverlayIntent
{
    public required string Name { get; init; }

    public required UInt128 Uid { get; init; }

    /// <summary>24-bit VXLAN network identifier.</summary>
    public required uint Vni { get; init; }

    /// <summary>Device names derived by the catalog; at most 15 bytes each.</summary>
    public required string Bridge { get; init; }

    public required string VxlanDevice { get; init; }

    public required IPAddress Gateway { get; init; }

    /// <summary>Prefix length of the overlay's subnet; the subnet is the gateway address masked with it.</summary>
    public required int PrefixLength { get; init; }

    public required bool OutboundNat { get; init; }

    /// <summary>Its tunnel packets travel between addresses of the mesh, and only through its device.</summary>
    public bool Encrypted { get; init; }

    /// <summary>Nodes that take part and cannot be spoken to in secret yet, by name: they get nothing, and certainly nothing in clear.</summary>
    public ImmutableArray<string> WithoutKey { get; init; } = [];

    /// <summary>Other nodes that take part, without this one.</summary>
    public ImmutableArray<PeerIntent> Peers { get; init; } = [];

    /// <summary>NICs on other nodes.</summary>
    public ImmutableArray<RemoteNicIntent> RemoteNics { get; init; } = [];

    /// <summary>NICs on this node.</summary>
    public ImmutableArray<LocalNicIntent> LocalNics { get; init; } = [];
}

/// <summary>A node that takes part in the overlay and gets its broadcasts.</summary>
internal sealed record PeerIntent(IPAddress Vtep, string NodeName, UInt128 NodeUid);

/// <summary>A NIC behind another node's tunnel address.</summary>
internal sealed record RemoteNicIntent(
    string Name, PhysicalAddress Mac, IPAddress Address, IPAddress Vtep, string NodeName);

/// <summary>A NIC of this node.</summary>
internal sealed record LocalNicIntent
{
    public required string Name { get; init; }

    /// <summary>Opaque here; tells two attachments of one name apart.</summary>
    public required string AttachmentId { get; init; }

    public required PhysicalAddress Mac { get; init; }

    /// <summary>Null on a bridge network, where others give addresses out.</summary>
    public required IPAddress? Address { get; init; }

    public required int PrefixLength { get; init; }

    /// <summary>Where the guest sends what is not for its subnet.</summary>
    public required IPAddress Gateway { get; init; }

    /// <summary>Host-side device name: the TAP itself, or our end of the veth pair. At most 15 bytes.</summary>
    public required string Device { get; init; }

    public required NicAttachment Attachment { get; init; }

    /// <summary>The guest may send in other names than its own: it routes, or has guests itself.</summary>
    public bool AllowSpoofing { get; init; }

    /// <summary>The NIC is another node's until it is handed over to this one: its device is here, and nothing comes from it or leads to it.</summary>
    public bool Arriving { get; init; }
}

/// <summary>How a NIC reaches its guest.</summary>
internal abstract record NicAttachment
{
    private NicAttachment()
    {
    }

    /// <summary>A persistent TAP that a hypervisor opens by name.</summary>
    public sealed record Tap : NicAttachment;

    /// <summary>A configured interface inside a network namespace (a container, or `ip netns`).</summary>
    /// <param name="Path">Absolute path of the namespace file, for example /run/netns/web.</param>
    /// <param name="InterfaceName">Name the guest sees, for example eth0; at most 15 bytes.</param>
    public sealed record Netns(string Path, string InterfaceName) : NicAttachment;
}

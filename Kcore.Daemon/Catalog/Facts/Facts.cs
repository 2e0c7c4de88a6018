using System.Net;
using System.Net.NetworkInformation;
using Kcore.Gossip;

namespace Kcore.Daemon.Catalog.Facts;

/// <summary>What an entry of the catalog means. Numbers are on the wire: never reuse one.</summary>
internal enum FactKind : ushort
{
    Node = 1,
    Participation = 2,
    Nic = 3,
    Claim = 4,
    Pool = 16,
    Lease = 17,
    Admission = 18,
    Dissolved = 20,
    Removal = 21,
    Mesh = 24,
    Parked = 25,
    Move = 28,

    /// <summary>Which cluster keys a node holds: <see cref="Cluster.Trust.KeyHolding"/>, no concern of the catalog's.</summary>
    Keys = Cluster.Trust.KeyHolding.Kind,
}

/// <summary>A node about itself.</summary>
/// <param name="Vtep">Tunnel endpoint address, an observation that may change at any time.</param>
/// <param name="Votes">The node holds the log and may lead: a hint where proposals go, never an input to a quorum.</param>
/// <param name="Store">Id of the Raft store the node has open and can write to; 0 when there is none. Who has none cannot be given the log.</param>
/// <param name="Drained">The node takes no new NICs and hands its vote on: it is about to leave, or to be worked on.</param>
internal sealed record NodeFact(
    string Name, IPAddress Vtep, bool VxlanDisabled, string Version, int UnderlayMtu, string UnderlayInterface, bool Votes, UInt128 Store = default, bool Drained = false,
    ulong DivergedAt = 0)
{
    /// <summary>Null until the node has needed a key once, and from versions that know no encryption.</summary>
    public WireguardEndpoint? Wireguard { get; init; }
}

/// <summary>How a node is spoken to in secret, at its tunnel address.</summary>
/// <param name="Port">UDP.</param>
internal sealed record WireguardEndpoint(WireguardKey Key, ushort Port);

internal enum ObjectState
{
    Pending = 0,
    Ready = 1,
    Failed = 2,
    PendingAddress = 3,

    /// <summary>Its device is there and waits for the NIC to be handed over to this node.</summary>
    Prepared = 4,
}

/// <summary>A node takes part in a network.</summary>
internal sealed record ParticipationFact(UInt128 Network, ObjectState State, string? Reason);

/// <summary>A NIC, stated by the node that hosts it.</summary>
/// <param name="Address">Null until the lease is committed.</param>
/// <param name="LeaseIndex">Raft index of the lease: of two claims for one MAC the later lease wins.</param>
/// <param name="Netns">Namespace the NIC leads into; null for a TAP.</param>
internal sealed record NicFact(
    UInt128 AttachmentId,
    UInt128 Network,
    string Name,
    PhysicalAddress Mac,
    IPAddress? Address,
    ulong LeaseIndex,
    string Device,
    string? Netns,
    string? Ifname,
    ObjectState State,
    string? Reason)
{
    /// <summary>The guest may send in other names than its own.</summary>
    public bool AllowSpoofing { get; init; }
}

/// <summary>
/// Orders claims on one name: the counter dominates everything its writer had read, so a later decision beats what it
/// was made in knowledge of; concurrent ones are decided by node and content, the same way everywhere.
/// </summary>
internal readonly record struct ClaimStamp(ulong Counter, NodeId Node, ulong ContentHash) : IComparable<ClaimStamp>
{
    public int CompareTo(ClaimStamp other)
    {
        int order = Counter.CompareTo(other.Counter);
        order = order != 0 ? order : Node.CompareTo(other.Node);
        return order != 0 ? order : ContentHash.CompareTo(other.ContentHash);
    }
}

/// <summary>An origin's word on a network name: this is what it is, or it is gone.</summary>
/// <param name="Uid">Identity of this creation; a re-created network is another one.</param>
/// <param name="Created">Stamp of the creation; decides who keeps a VNI.</param>
/// <param name="Stamp">Stamp of this word.</param>
/// <param name="Spec">Null when the claim is a deletion.</param>
internal sealed record ClaimFact(string Name, UInt128 Uid, ClaimStamp Created, ClaimStamp Stamp, NetworkSpec? Spec)
{
    /// <summary>
    /// The one node a network of type nat or bridge is on: two nodes may each have one of the same name. Null for an
    /// overlay, of which there is one per name.
    /// </summary>
    public NodeId? Home { get; init; }
}

/// <summary>The address pool of an overlay, as Raft committed it.</summary>
/// <param name="Next">Next address in order; null when the pool is exhausted.</param>
internal sealed record PoolFact(UInt128 Network, string Name, uint Vni, IPAddress? Next, long Size, long Used, long Free, long Resting = 0, long Parked = 0);

/// <summary>One address in the emergency reserve of a node, as Raft committed it.</summary>
/// <param name="GrantIndex">Raft index of the grant.</param>
internal sealed record ParkedFact(UInt128 Network, IPAddress Address, NodeId Node, ulong GrantIndex);

/// <summary>One address held by one NIC, as Raft committed it.</summary>
/// <param name="Orphaned">The NIC is known nowhere any more; the address stays held.</param>
internal sealed record LeaseFact(UInt128 AttachmentId, UInt128 Network, IPAddress Address, PhysicalAddress Mac, NodeId Node, string NicName, ulong Index, bool Orphaned = false);

/// <summary>A NIC that goes from one node to another, as Raft committed it.</summary>
/// <param name="Move">Names this attempt.</param>
/// <param name="Network">The network on the node it goes to.</param>
/// <param name="Address">Null when others gave it one.</param>
/// <param name="Begun">Raft index at which it began.</param>
/// <param name="HandedOver">Raft index at which the NIC became the other node's; 0 before.</param>
/// <param name="SourceKnows">The node it came from has let go of it.</param>
/// <param name="TargetKnows">The node it went to has taken it up.</param>
internal sealed record MoveFact(
    UInt128 Move, UInt128 AttachmentId, UInt128 Network, string Name, PhysicalAddress Mac, IPAddress? Address, NodeId From, NodeId To, ulong Begun, ulong HandedOver,
    bool SourceKnows = false, bool TargetKnows = false)
{
    public bool AllowSpoofing { get; init; }

    /// <summary>Namespace it leads into on the node it goes to; null for a TAP.</summary>
    public string? Netns { get; init; }

    public string? Ifname { get; init; }

    public bool IsPending => HandedOver == 0;
}

/// <summary>A node the cluster has admitted.</summary>
internal sealed record AdmissionFact(NodeId Node, UInt128 Store, string Name);

/// <summary>A node the cluster has removed: nothing it stated counts any more, and its id never comes back.</summary>
/// <param name="Name">The name it had.</param>
internal sealed record RemovalFact(NodeId Node, string Name);

/// <summary>The tunnel address of a node inside the encrypted mesh, as Raft committed it.</summary>
internal sealed record MeshFact(NodeId Node, IPAddress Address);

/// <summary>This cluster has ended; its members go to another.</summary>
internal sealed record DissolvedFact(UInt128 Target);

using System.Collections.Immutable;
using System.Net;
using System.Net.NetworkInformation;
using Kcore.Raft;

namespace Kcore.Daemon.Ipam;

/// <summary>One fact of the replicated state that came to be or ceased, for the catalog's mirror.</summary>
public abstract record ReplicatedChange
{
    private ReplicatedChange()
    {
    }

    /// <summary>The cluster was founded.</summary>
    public sealed record Founded(Guid ClusterId, uint Epoch) : ReplicatedChange;

    /// <param name="Attachment">The holder.</param>
    /// <param name="Network">The network.</param>
    /// <param name="Address">The address held.</param>
    /// <param name="Mac">The NIC's address.</param>
    /// <param name="NodeUid">The node the NIC lives on.</param>
    /// <param name="NicName">For people.</param>
    /// <param name="Index">The log index of the grant.</param>
    /// <param name="ChangedIndex">That of what was last said about it.</param>
    /// <param name="Orphaned">Its NIC is known nowhere.</param>
    public sealed record LeasePut(
        AttachmentId Attachment,
        NetworkUid Network,
        IPAddress Address,
        PhysicalAddress Mac,
        Guid NodeUid,
        string NicName,
        ulong Index,
        ulong ChangedIndex,
        bool Orphaned) : ReplicatedChange;

    public sealed record LeaseRemoved(AttachmentId Attachment, NetworkUid Network, IPAddress Address) : ReplicatedChange;

    /// <summary>A move is under way.</summary>
    /// <param name="Move">Names it.</param>
    /// <param name="Nic">What moves, and where to.</param>
    /// <param name="Begun">The log index at which it began.</param>
    /// <param name="HandedOver">That at which the NIC changed hands; 0 before.</param>
    /// <param name="SourceKnows">The node it came from has let go of it.</param>
    /// <param name="TargetKnows">The node it went to has taken it up.</param>
    /// <param name="ChangedIndex">The log index of what was last said about it.</param>
    public sealed record MovePut(
        Guid Move, MovingNic Nic, ulong Begun, ulong HandedOver, bool SourceKnows, bool TargetKnows, ulong ChangedIndex) : ReplicatedChange;

    /// <summary>A move is over: done, or given up.</summary>
    public sealed record MoveRemoved(Guid Move) : ReplicatedChange;

    public sealed record PoolPut(
        NetworkUid Network,
        string Name,
        uint Vni,
        IPNetwork Subnet,
        IPAddress Gateway,
        ImmutableArray<IPAddress> Exclusions,
        ulong Index) : ReplicatedChange
    {
        // An immutable array compares by reference; a fact is equal by content.
        public bool Equals(PoolPut? other) =>
            other is not null
            && Network == other.Network
            && Name == other.Name
            && Vni == other.Vni
            && Subnet.Equals(other.Subnet)
            && Gateway.Equals(other.Gateway)
            && Exclusions.SequenceEqual(other.Exclusions)
            && Index == other.Index;

        public override int GetHashCode() => HashCode.Combine(Network, Index);
    }

    public sealed record PoolRemoved(NetworkUid Network) : ReplicatedChange;

    /// <summary>An address is parked in the emergency reserve of a node.</summary>
    /// <param name="Network">The network.</param>
    /// <param name="Address">The address.</param>
    /// <param name="NodeUid">The node that may use it.</param>
    /// <param name="GrantIndex">The log index of the grant.</param>
    public sealed record ParkedPut(NetworkUid Network, IPAddress Address, Guid NodeUid, ulong GrantIndex) : ReplicatedChange;

    /// <summary>It is parked no more: it was used, returned, or nobody can tell.</summary>
    public sealed record ParkedRemoved(NetworkUid Network, IPAddress Address) : ReplicatedChange;

    public sealed record NodePut(MemberId Member, string Name, ulong Index) : ReplicatedChange;

    /// <param name="NodeUid">The node, which never comes back under this uid.</param>
    /// <param name="Name">The name it had; free from now on.</param>
    /// <param name="Index">The log index of the removal.</param>
    public sealed record NodeRemoved(Guid NodeUid, string Name, ulong Index) : ReplicatedChange;

    /// <summary>A node has an address in the encrypted mesh; it goes with <see cref="NodeRemoved"/>.</summary>
    public sealed record MeshPut(Guid NodeUid, IPAddress Address, ulong Index) : ReplicatedChange;

    /// <summary>This cluster gave itself up; its members join <paramref name="Target"/>.</summary>
    public sealed record Dissolved(Guid Target, ulong Index) : ReplicatedChange;

    /// <summary>
    /// This member's state is not what the leader's was at the same log index. No fact of the state itself: other members
    /// may see none.
    /// </summary>
    public sealed record StateDiffers(ulong Index, UInt128 Own, UInt128 Leaders) : ReplicatedChange;
}

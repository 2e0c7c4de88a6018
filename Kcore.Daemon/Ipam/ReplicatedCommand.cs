using System.Collections.Immutable;
using System.Net;
using System.Net.NetworkInformation;
using Kcore.Daemon.Catalog.Facts;
using Kcore.Raft;

namespace Kcore.Daemon.Ipam;

/// <summary>Everything that can be written to the cluster's one ordered log. Encoded by <see cref="CommandCodec"/>.</summary>
public abstract record ReplicatedCommand
{
    private ReplicatedCommand()
    {
    }

    /// <summary>Entry 1 of every log: the cluster comes to be.</summary>
    /// <param name="ClusterId">128 random bits.</param>
    /// <param name="Epoch">1; one more after each unsafe recovery.</param>
    public sealed record Found(Guid ClusterId, uint Epoch) : ReplicatedCommand;

    /// <summary>Admits a node, or renews the store and name of one that is admitted. Names are unique.</summary>
    public sealed record NodeAdd(MemberId Member, string Name) : ReplicatedCommand;

    /// <summary>
    /// Removes a node for good: it gets no addresses any more, and it comes back only under another uid. Repeating is success.
    /// </summary>
    /// <param name="NodeUid">The node.</param>
    /// <param name="ReleaseLeases">Ends the leases it holds; otherwise the removal is refused while there are any.</param>
    public sealed record NodeRemove(Guid NodeUid, bool ReleaseLeases) : ReplicatedCommand;

    /// <summary>A virgin cluster gives itself up for <paramref name="Target"/>; nothing is allocated here ever after.</summary>
    public sealed record Dissolve(Guid Target) : ReplicatedCommand;

    /// <summary>Commits the addresses of one overlay. Name, VNI and subnet must be unlike those of every other pool.</summary>
    /// <param name="Network">The network's uid; repeating the same creation is success.</param>
    /// <param name="Name">The network's name.</param>
    /// <param name="Vni">1 to 16,777,215.</param>
    /// <param name="Subnet">IPv4, /8 to /30, host bits clear.</param>
    /// <param name="Gateway">An address inside the subnet that is neither its first nor its last.</param>
    /// <param name="Exclusions">Addresses never handed out, at most <see cref="CommandCodec.ExclusionsMax"/>.</param>
    /// <param name="Reuse">Whether a released address is granted again.</param>
    /// <param name="Reserve">
    /// Addresses parked for every node that asks, usable without quorum: at most <see cref="ReserveLimits.PerNodeMax"/>, and
    /// at most half of all there are.
    /// </param>
    public sealed record CreatePool(
        NetworkUid Network,
        string Name,
        uint Vni,
        IPNetwork Subnet,
        IPAddress Gateway,
        ImmutableArray<IPAddress> Exclusions,
        AddressReuse Reuse = AddressReuse.Never,
        int Reserve = 0) : ReplicatedCommand
    {
        // An immutable array compares by reference; a specification is equal by content.
        public bool Equals(CreatePool? other) =>
            other is not null
            && Network == other.Network
            && Name == other.Name
            && Vni == other.Vni
            && Subnet.Equals(other.Subnet)
            && Gateway.Equals(other.Gateway)
            && Exclusions.SequenceEqual(other.Exclusions)
            && Reuse == other.Reuse
            && Reserve == other.Reserve;

        public override int GetHashCode() => HashCode.Combine(Network, Name, Vni);
    }

    /// <summary>Deletes a pool; refused while leases are held. Deleting an absent pool is success.</summary>
    public sealed record DeletePool(NetworkUid Network) : ReplicatedCommand;

    /// <summary>Grants one address for the life of one attachment; repeating it returns the same address.</summary>
    /// <param name="Attachment">The idempotency key.</param>
    /// <param name="Network">The pool.</param>
    /// <param name="NicName">For people; up to 255 bytes of UTF-8.</param>
    /// <param name="Mac">Six bytes, unicast, unique in the network.</param>
    /// <param name="NodeUid">The node the NIC lives on; it alone may release.</param>
    /// <param name="Wanted">An address to grant instead of the next one, or null.</param>
    /// <param name="ValidUntil">
    /// The last log index at which it may still grant: at most <see cref="ReplicatedState.RequestLifetime"/> above what its
    /// proposer knew to be committed. Null in what the first versions wrote, which is valid for ever.
    /// </param>
    public sealed record Allocate(
        AttachmentId Attachment,
        NetworkUid Network,
        string NicName,
        PhysicalAddress Mac,
        Guid NodeUid,
        IPAddress? Wanted,
        ulong? ValidUntil = null) : ReplicatedCommand;

    /// <summary>
    /// Gives an admitted node its address in the encrypted mesh, for as long as it is a node of the cluster. Repeating is success.
    /// </summary>
    public sealed record JoinMesh(Guid NodeUid) : ReplicatedCommand;

    /// <summary>
    /// Ends a lease for good: its attachment id is never granted an address again, also when the request for one arrives
    /// after the release. Repeating is success.
    /// </summary>
    /// <param name="Attachment">The holder.</param>
    /// <param name="NodeUid">The node the NIC lives on.</param>
    /// <param name="Network">Where it was asked for. Null in what the first versions wrote, for which an unknown attachment is a mistake.</param>
    public sealed record Release(AttachmentId Attachment, Guid NodeUid, NetworkUid? Network = null) : ReplicatedCommand;

    /// <summary>
    /// Moves the clock of the log, by which released addresses rest. It says how much time is known to have passed and
    /// nothing of the time of day; it never goes back.
    /// </summary>
    /// <param name="Seen">A log index that was applied before the clock was read.</param>
    /// <param name="Millis">What it reads; at most <see cref="ReplicatedState.ClockStepMax"/> more than before.</param>
    public sealed record AdvanceClock(ulong Seen, ulong Millis) : ReplicatedCommand;

    /// <summary>
    /// Has all addresses of a network that were given out and are not held given out again, after all others and after
    /// they have rested. Repeating is success.
    /// </summary>
    public sealed record Reclaim(NetworkUid Network) : ReplicatedCommand;

    /// <summary>
    /// Says that nobody knows of a lease's NIC any more: its node is gone, or lost it. The address stays held. Repeating is
    /// success.
    /// </summary>
    /// <param name="Attachment">The holder.</param>
    /// <param name="NodeUid">The node it was missed on.</param>
    public sealed record MarkOrphaned(AttachmentId Attachment, Guid NodeUid) : ReplicatedCommand;

    /// <summary>Takes <see cref="MarkOrphaned"/> back: the NIC is there. Repeating is success.</summary>
    public sealed record Adopt(AttachmentId Attachment, Guid NodeUid) : ReplicatedCommand;

    /// <summary>Ends an orphaned lease, by the word of an operator. Repeating is success; one that is not orphaned stays.</summary>
    public sealed record ReleaseOrphan(AttachmentId Attachment) : ReplicatedCommand;

    /// <summary>
    /// Fills the emergency reserve a node has on a network, from the top of the subnet downwards. Answered with
    /// <see cref="ReplicatedResult.Parked"/>: all the node has there and did not use. Repeating grants nothing more.
    /// </summary>
    /// <param name="Network">The pool; it says how many.</param>
    /// <param name="NodeUid">The node, which alone may use what it is granted.</param>
    /// <param name="Holder">
    /// Names the node's record of what it has used. A node that lost the record comes with another name; what was granted
    /// under the one before is then never given to anybody, for nobody knows which of it is in use.
    /// </param>
    /// <param name="Instead">
    /// The holder this one follows, or <see cref="Guid.Empty"/> for none. Only with the right one does a new holder count: a
    /// late duplicate from before the loss must not take back the name.
    /// </param>
    public sealed record GrantReserve(NetworkUid Network, Guid NodeUid, Guid Holder, Guid Instead) : ReplicatedCommand;

    /// <summary>
    /// Reports the use of an address of a node's reserve: it becomes an ordinary lease. Repeating is success.
    /// </summary>
    /// <param name="Attachment">The NIC; never one for which <see cref="Allocate"/> was asked, which could still be granted.</param>
    /// <param name="Network">The pool.</param>
    /// <param name="NicName">For people; up to 255 bytes of UTF-8.</param>
    /// <param name="Mac">Six bytes, unicast, unique in the network.</param>
    /// <param name="NodeUid">The node whose reserve it is of, and on which the NIC is.</param>
    /// <param name="Address">The address.</param>
    /// <param name="GrantIndex">The log index at which it was granted to the node: an address may be granted to it twice in its life.</param>
    public sealed record UseReserve(
        AttachmentId Attachment, NetworkUid Network, string NicName, PhysicalAddress Mac, Guid NodeUid, IPAddress Address, ulong GrantIndex) : ReplicatedCommand;

    /// <summary>
    /// Ends the grant of one address of a node's reserve. Only the holder may say so, after it has durably given the
    /// address up: nobody else knows that it is not in use. Repeating is success.
    /// </summary>
    /// <param name="Network">The pool.</param>
    /// <param name="NodeUid">The node.</param>
    /// <param name="Address">The address.</param>
    /// <param name="GrantIndex">The log index at which it was granted to the node.</param>
    /// <param name="WasUsed">
    /// A NIC had it, and was detached before the log could be told: it counts as released. Otherwise as never given out.
    /// </param>
    public sealed record ReturnReserve(NetworkUid Network, Guid NodeUid, IPAddress Address, ulong GrantIndex, bool WasUsed) : ReplicatedCommand;

    /// <summary>
    /// The first entry of an epoch: the copy of the log that an operator goes on from may lack what the lost voters granted. The addresses they
    /// would have granted next are held back, in every pool, until <see cref="FinishRecovery"/>. Repeating is success.
    /// </summary>
    /// <param name="Epoch">Larger than all before.</param>
    public sealed record Recover(uint Epoch) : ReplicatedCommand;

    /// <summary>
    /// A NIC holds an address that the log knows nothing of: it was granted by voters that are lost. Answered like <see cref="Allocate"/>, and
    /// refused when the address was granted to another since. Repeating is success.
    /// </summary>
    /// <param name="Attachment">The holder.</param>
    /// <param name="Network">The pool.</param>
    /// <param name="NicName">For people; up to 255 bytes of UTF-8.</param>
    /// <param name="Mac">Six bytes, unicast, unique in the network.</param>
    /// <param name="NodeUid">The node the NIC lives on.</param>
    /// <param name="Address">What it holds.</param>
    public sealed record AdoptLost(
        AttachmentId Attachment, NetworkUid Network, string NicName, PhysicalAddress Mac, Guid NodeUid, IPAddress Address) : ReplicatedCommand;

    /// <summary>
    /// By the word of an operator: every NIC there is has been heard of since the recovery. What is still held back is granted again, after all other
    /// addresses and after a rest. Repeating is success.
    /// </summary>
    public sealed record FinishRecovery : ReplicatedCommand;

    /// <summary>
    /// Begins the move of a NIC to another node, which makes its device there; until <see cref="HandOver"/> the NIC is where it was.
    /// One NIC has one such move at a time. Repeating is success.
    /// </summary>
    /// <param name="Move">128 random bits, which name this attempt: a late duplicate of one that was given up begins nothing.</param>
    /// <param name="Nic">What moves, and where to.</param>
    /// <param name="ValidUntil">As in <see cref="Allocate"/>.</param>
    public sealed record BeginMove(Guid Move, MovingNic Nic, ulong ValidUntil) : ReplicatedCommand;

    /// <summary>
    /// Makes the NIC of a move the other node's, with its lease if it has one: the one moment at which it changes hands. Repeating is success.
    /// </summary>
    public sealed record HandOver(Guid Move) : ReplicatedCommand;

    /// <summary>Gives a move up that was not handed over; it does not begin again, also when its beginning arrives later. Repeating is success.</summary>
    public sealed record AbortMove(Guid Move) : ReplicatedCommand;

    /// <summary>A node knows that a NIC has changed hands, and has durably acted on it. When both do, the move is over. Repeating is success.</summary>
    public sealed record AcknowledgeMove(Guid Move, Guid NodeUid) : ReplicatedCommand;

    /// <summary>Has every member compute a hash of its state as it is after this entry. Answered with <see cref="ReplicatedResult.Hashed"/>.</summary>
    public sealed record HashState : ReplicatedCommand;

    /// <summary>Has every member compare its hash with this one. Changes nothing; whoever differs says so.</summary>
    /// <param name="Index">The log index of a <see cref="HashState"/>.</param>
    /// <param name="Hash">What the leader computed there.</param>
    public sealed record CompareState(ulong Index, UInt128 Hash) : ReplicatedCommand;
}

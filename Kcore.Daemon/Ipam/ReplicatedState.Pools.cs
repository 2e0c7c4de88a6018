using System.Net;
using System.Net.NetworkInformation;
using Outcome = Kcore.Daemon.Cluster.Consensus.ApplyOutcome<
    Kcore.Daemon.Ipam.ReplicatedResult,
    Kcore.Daemon.Ipam.ReplicatedChange>;

namespace Kcore.Daemon.Ipam;

// Pools and leases.
public sealed partial class ReplicatedState
{
    private const uint VniMax = 0xFF_FFFF;

    private Outcome Apply(ulong index, ReplicatedCommand.CreatePool create)
    {
        if (_tables.Pools.TryGetValue(create.Network, out AddressPool? known))
        {
            return known.Spec == create
                ? Unchanged
                : Refuse(RefusalCode.AlreadyExists, $"Network '{known.Spec.Name}' has a pool with other values.");
        }

        if (_tables.DeletedPools.Contains(create.Network))
        {
            return Refuse(RefusalCode.FailedPrecondition, $"Network '{create.Name}' ({create.Network}) was deleted.");
        }

        if (Reject(create) is { } reason)
        {
            return Refuse(RefusalCode.InvalidArgument, $"Network '{create.Name}': {reason}");
        }

        foreach (AddressPool other in _tables.Pools.Values)
        {
            if (FindClash(other.Spec, create) is { } clash)
            {
                return new Outcome(clash, []);
            }
        }

        var pool = new AddressPool(create, index);
        _tables.Pools.Add(create.Network, pool);
        _tables.WasUsed = true;
        return Change(Announce(pool));
    }

    private Outcome Apply(ReplicatedCommand.DeletePool delete)
    {
        if (!_tables.Pools.TryGetValue(delete.Network, out AddressPool? pool))
        {
            // Remembered also when its creation was never seen, which may arrive later.
            _tables.DeletedPools.Add(delete.Network);
            _tables.Retired.ForgetOn(delete.Network);
            return Unchanged;
        }

        if (pool.LeaseCount > 0)
        {
            return Refuse(
                RefusalCode.FailedPrecondition,
                $"Network '{pool.Spec.Name}' still holds {pool.LeaseCount} addresses; detach the NICs first.");
        }

        _tables.Pools.Remove(delete.Network);
        _tables.DeletedPools.Add(delete.Network);
        IEnumerable<ReplicatedChange> parked = AnnounceParked(pool).Select(row => new ReplicatedChange.ParkedRemoved(row.Network, row.Address));

        // A retired attachment is refused because its network is gone, so its own record may go too.
        _tables.Retired.ForgetOn(delete.Network);
        return new Outcome(ReplicatedResult.Done.Instance, [.. parked, new ReplicatedChange.PoolRemoved(delete.Network)]);
    }

    private Outcome Apply(ulong index, ReplicatedCommand.Allocate allocate)
    {
        if (_tables.Leases.TryGetValue(allocate.Attachment, out LeaseRecord? held))
        {
            return Repeat(index, held, allocate);
        }

        if (_tables.Retired.Contains(allocate.Attachment))
        {
            return Refuse(RefusalCode.FailedPrecondition, $"Attachment {allocate.Attachment} was released; a new attach needs a new id.");
        }

        if (RejectAge(index, allocate.ValidUntil) is { } refused)
        {
            return new Outcome(refused, []);
        }

        if (!_tables.Pools.TryGetValue(allocate.Network, out AddressPool? pool))
        {
            return Refuse(RefusalCode.NotFound, $"Network {allocate.Network} has no pool.");
        }

        if (_tables.RemovedNodes.ContainsKey(allocate.NodeUid))
        {
            return Refuse(RefusalCode.FailedPrecondition, $"Node {allocate.NodeUid:N} was removed from the cluster.");
        }

        ulong mac = LeaseRecord.ToNumber(allocate.Mac);
        if (RejectMac(allocate.Mac, mac) is { } noMac)
        {
            return new Outcome(noMac, []);
        }

        if (pool.TryGetHolder(mac, out AttachmentId holder))
        {
            if (_tables.Leases[holder] is var orphan && IsHeir(orphan, allocate))
            {
                return Inherit(index, orphan, allocate);
            }

            return MacTaken(pool, allocate.Mac, holder);
        }

        if (allocate.Wanted is not null && RejectWanted(pool, allocate.Wanted) is { } refusal)
        {
            return new Outcome(refusal, []);
        }

        if ((allocate.Wanted is { } wanted ? AddressSequence.ToNumber(wanted) : pool.Next) is not { } address)
        {
            return Refuse(
                RefusalCode.ResourceExhausted,
                $"Network '{pool.Spec.Name}' ({pool.Spec.Subnet}) has no address left: {pool.Size} in all, {pool.LeaseCount} held, {(pool.ParkedCount > 0 ? $"{pool.ParkedCount} in the emergency reserves of the nodes, " : "")}{pool.Returned.RestingCount} rest before they are given again, the others were used and are not reused.");
        }

        pool.Grant(address, mac, allocate.Attachment, index);
        var lease = new LeaseRecord(
            allocate.Attachment, allocate.Network, address, allocate.Mac, allocate.NodeUid, allocate.NicName, index, index);
        _tables.Leases.Add(allocate.Attachment, lease);
        return new Outcome(Grant(pool, lease), [Announce(lease)]);
    }

    private Outcome Apply(ulong index, ReplicatedCommand.Release release)
    {
        if (!_tables.Leases.TryGetValue(release.Attachment, out LeaseRecord? lease))
        {
            return Retire(index, release);
        }

        if (lease.NodeUid != release.NodeUid)
        {
            return Refuse(
                RefusalCode.FailedPrecondition,
                $"Attachment {release.Attachment} lives on node {lease.NodeUid:N}; only that node can release it.");
        }

        return Change(End(lease, index, release.Network is null ? RetiredAttachments.Undated : index));
    }

    // The request may still be on its way and come in after this, which gives up whatever it would be granted.
    private Outcome Retire(ulong index, ReplicatedCommand.Release release)
    {
        if (release.Network is { } network)
        {
            if (!_tables.DeletedPools.Contains(network))
            {
                _tables.Retired.TryAdd(release.Attachment, network, index);
            }

            return Unchanged;
        }

        return _tables.Retired.Contains(release.Attachment)
            ? Unchanged
            : Refuse(RefusalCode.NotFound, $"Attachment {release.Attachment} holds no address.");
    }

    // What a proposer knew to be committed is older than the release of what it asks for, so a request that is still valid
    // finds its release remembered.
    private static ReplicatedResult.Refused? RejectAge(ulong index, ulong? validUntil) =>
        validUntil < index ? new ReplicatedResult.Refused(
            RefusalCode.Unavailable, $"The request came at entry {index} and was valid until {validUntil}; ask again.")
        : validUntil > index + RequestLifetime ? new ReplicatedResult.Refused(
            RefusalCode.InvalidArgument, $"The request came at entry {index} and would be valid until {validUntil}, which is further than releases are remembered.")
        : null;

    /// <param name="lease">Ends.</param>
    /// <param name="index">The log index at which.</param>
    /// <param name="retired">The same, or that it is remembered until the network is deleted.</param>
    private ReplicatedChange.LeaseRemoved End(LeaseRecord lease, ulong index, ulong retired)
    {
        _tables.Pools[lease.Network].Release(lease.Address, lease.MacNumber, index);
        _tables.Leases.Remove(lease.Attachment);
        _tables.Retired.TryAdd(lease.Attachment, lease.Network, retired);
        return new ReplicatedChange.LeaseRemoved(lease.Attachment, lease.Network, AddressSequence.ToAddress(lease.Address));
    }

    // The same attachment asks again, because an answer was lost: it gets the same answer, but never a lease that says
    // something else than it asked for.
    private Outcome Repeat(ulong index, LeaseRecord held, ReplicatedCommand.Allocate allocate)
    {
        AddressPool pool = _tables.Pools[held.Network];
        bool isSame = held.Network == allocate.Network
            && held.NodeUid == allocate.NodeUid
            && held.MacNumber == LeaseRecord.ToNumber(allocate.Mac)
            && (allocate.Wanted is null || AddressSequence.ToNumber(allocate.Wanted) == held.Address);
        return isSame
            ? new Outcome(Grant(pool, held), held.Orphaned ? [Announce(Mark(held, isOrphaned: false, index))] : [])
            : Refuse(
                RefusalCode.FailedPrecondition,
                $"Attachment {held.Attachment} holds {AddressSequence.ToAddress(held.Address)} on network '{pool.Spec.Name}' for another NIC or node.");
    }

    private static ReplicatedResult.Granted Grant(AddressPool pool, LeaseRecord lease) =>
        new(AddressSequence.ToAddress(lease.Address), pool.Spec.Subnet.PrefixLength, pool.Spec.Gateway);

    private static ReplicatedResult.Refused? RejectWanted(AddressPool pool, IPAddress wanted)
    {
        uint address = AddressSequence.ToNumber(wanted);
        string where = $"on network '{pool.Spec.Name}' ({pool.Spec.Subnet})";
        return !pool.IsHostAddress(address)
                ? new ReplicatedResult.Refused(RefusalCode.InvalidArgument, $"{wanted} is no host address {where}.")
            : pool.IsReserved(address)
                ? new ReplicatedResult.Refused(RefusalCode.FailedPrecondition, $"{wanted} is the gateway or excluded {where}.")
            : pool.IsParked(address)
                ? new ReplicatedResult.Refused(RefusalCode.AlreadyExists, $"{wanted} is in the emergency reserve of a node {where}.")
            : !pool.IsGrantable(address) && pool.IsReturned(address)
                ? new ReplicatedResult.Refused(
                    RefusalCode.AlreadyExists, $"{wanted} was in use {where} and is given again only after {ReturnedAddresses.RestMillis / 60_000} minutes, when no other is left.")
            : !pool.IsGrantable(address)
                ? new ReplicatedResult.Refused(RefusalCode.AlreadyExists, $"{wanted} is or was in use {where}; addresses are not reused.")
            : null;
    }

    private static string? Reject(ReplicatedCommand.CreatePool create)
    {
        if (create.Name.Length == 0 || create.Network.Value == Guid.Empty)
        {
            return "a pool needs the network's name and uid.";
        }

        if (create.Vni is 0 or > VniMax)
        {
            return $"VNI {create.Vni} is not in 1–{VniMax}.";
        }

        if (create.Subnet.PrefixLength is < 8 or > 30)
        {
            return $"the subnet {create.Subnet} is not between /8 and /30.";
        }

        var sequence = new AddressSequence(AddressSequence.ToNumber(create.Subnet.BaseAddress), create.Subnet.PrefixLength);
        if (sequence.OrdinalOf(AddressSequence.ToNumber(create.Gateway)) < 0)
        {
            return $"the gateway {create.Gateway} is no host address of {create.Subnet}.";
        }

        return create.Reserve is < 0 or > ReserveLimits.PerNodeMax ? $"an emergency reserve has 0 to {ReserveLimits.PerNodeMax} addresses for each node, not {create.Reserve}."
            : create.Reserve > 0 && create.Reserve > new AddressPool(create, 0).Size / 2 ? $"an emergency reserve of {create.Reserve} for each node is more than half of the addresses of {create.Subnet}."
            : null;
    }

    private static ReplicatedResult.Refused? RejectMac(PhysicalAddress mac, ulong number) =>
        number == 0 || (number & 0x0100_0000_0000) != 0
            ? new ReplicatedResult.Refused(RefusalCode.InvalidArgument, $"{mac} is no unicast MAC address.")
            : null;

    private Outcome MacTaken(AddressPool pool, PhysicalAddress mac, AttachmentId holder) => Refuse(
        RefusalCode.AlreadyExists,
        $"MAC {mac} is in use on network '{pool.Spec.Name}' by NIC '{_tables.Leases[holder].NicName}'.");

    private static ReplicatedResult.Refused? FindClash(ReplicatedCommand.CreatePool old, ReplicatedCommand.CreatePool added)
    {
        if (old.Name == added.Name)
        {
            return new ReplicatedResult.Refused(
                RefusalCode.AlreadyExists,
                $"Network '{added.Name}' exists already, with VNI {old.Vni} and uid {old.Network}.");
        }

        if (old.Vni == added.Vni)
        {
            return new ReplicatedResult.Refused(
                RefusalCode.AlreadyExists,
                $"Networks '{old.Name}' and '{added.Name}' have the same VNI {old.Vni}; give '{added.Name}' another name or an explicit VNI.");
        }

        return old.Subnet.Contains(added.Subnet.BaseAddress) || added.Subnet.Contains(old.Subnet.BaseAddress)
            ? new ReplicatedResult.Refused(
                RefusalCode.FailedPrecondition,
                $"The subnet {added.Subnet} of network '{added.Name}' overlaps {old.Subnet} of network '{old.Name}'.")
            : null;
    }
}

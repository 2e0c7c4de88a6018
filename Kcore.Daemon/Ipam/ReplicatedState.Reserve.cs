using Outcome = Kcore.Daemon.Cluster.Consensus.ApplyOutcome<
    Kcore.Daemon.Ipam.ReplicatedResult,
    Kcore.Daemon.Ipam.ReplicatedChange>;

namespace Kcore.Daemon.Ipam;

// The emergency reserve: addresses granted to a node before it needs them, so that it can use them when the log does not
// answer. From its grant until its holder says what became of it, an address is nobody else's: no time-out, no other member and
// no new leader ends that, for the holder may have put it on a NIC a moment before it was cut off. So there are three ends:
// the holder reports the use (UseReserve); the holder gives it up, durably on its own disk first (ReturnReserve); or the
// holder can't be believed any more, because it was removed or has lost its record of uses. Then the address may be in use
// by a guest that runs on unseen, and it is retired: granted for ever, held by nobody, given again only if an operator has
// the network's addresses reclaimed.
public sealed partial class ReplicatedState
{
    /// <summary>What a node has in reserve on a network.</summary>
    public IReadOnlyList<ParkedAddress> ParkedFor(NetworkUid network, Guid nodeUid) =>
        _tables.Pools.TryGetValue(network, out AddressPool? pool) ? [.. ParkedFor(pool, nodeUid)] : [];

    /// <summary>The record that counts for a node's reserves; <see cref="Guid.Empty"/> before its first.</summary>
    public Guid HolderOf(Guid nodeUid) => _tables.ReserveHolders.GetValueOrDefault(nodeUid);

    private Outcome Apply(ulong index, ReplicatedCommand.GrantReserve grant)
    {
        if (grant.Holder == Guid.Empty)
        {
            return Refuse(RefusalCode.InvalidArgument, "A reserve needs a holder.");
        }

        if (RejectStranger(grant.NodeUid) is { } stranger)
        {
            return new Outcome(stranger, []);
        }

        if (!_tables.Pools.TryGetValue(grant.Network, out AddressPool? pool))
        {
            return Refuse(RefusalCode.NotFound, $"Network {grant.Network} has no pool.");
        }

        var changes = new List<ReplicatedChange>();
        Guid known = _tables.ReserveHolders.GetValueOrDefault(grant.NodeUid);
        if (known != grant.Holder)
        {
            if (known != grant.Instead)
            {
                return new Outcome(new ReplicatedResult.Parked(known, []), []);
            }

            changes.AddRange(RetireReserveOf(grant.NodeUid, index));
            _tables.ReserveHolders[grant.NodeUid] = grant.Holder;
        }

        for (int have = pool.ParkedOf(grant.NodeUid).Count(); have < pool.Spec.Reserve; have++)
        {
            if (pool.Park(grant.NodeUid, index) is not { } address)
            {
                break;
            }

            changes.Add(new ReplicatedChange.ParkedPut(grant.Network, AddressSequence.ToAddress(address), grant.NodeUid, index));
        }

        return new Outcome(new ReplicatedResult.Parked(grant.Holder, [.. ParkedFor(pool, grant.NodeUid)]), [.. changes]);
    }

    private Outcome Apply(ulong index, ReplicatedCommand.UseReserve use)
    {
        uint address = AddressSequence.ToNumber(use.Address);
        ulong mac = LeaseRecord.ToNumber(use.Mac);
        if (_tables.Leases.TryGetValue(use.Attachment, out LeaseRecord? held))
        {
            return held.Network == use.Network && held.NodeUid == use.NodeUid && held.MacNumber == mac && held.Address == address
                ? new Outcome(Grant(_tables.Pools[held.Network], held), held.Orphaned ? [Announce(Mark(held, isOrphaned: false, index))] : [])
                : Refuse(
                    RefusalCode.FailedPrecondition,
                    $"Attachment {held.Attachment} holds {AddressSequence.ToAddress(held.Address)} on network '{_tables.Pools[held.Network].Spec.Name}' for another NIC or node.");
        }

        if (_tables.Retired.Contains(use.Attachment))
        {
            return Refuse(RefusalCode.FailedPrecondition, $"Attachment {use.Attachment} was released; a new attach needs a new id.");
        }

        if (RejectStranger(use.NodeUid) is { } stranger)
        {
            return new Outcome(stranger, []);
        }

        if (!_tables.Pools.TryGetValue(use.Network, out AddressPool? pool))
        {
            return Refuse(RefusalCode.NotFound, $"Network {use.Network} has no pool.");
        }

        if (RejectMac(use.Mac, mac) is { } noMac)
        {
            return new Outcome(noMac, []);
        }

        if (!pool.IsParked(address, use.NodeUid, use.GrantIndex))
        {
            return Refuse(
                RefusalCode.FailedPrecondition,
                $"{use.Address} on network '{pool.Spec.Name}' is not in the emergency reserve of node {use.NodeUid:N}, or not as it was granted at {use.GrantIndex}.");
        }

        if (pool.TryGetHolder(mac, out AttachmentId owner))
        {
            return MacTaken(pool, use.Mac, owner);
        }

        pool.Use(address, mac, use.Attachment, index);
        var lease = new LeaseRecord(use.Attachment, use.Network, address, use.Mac, use.NodeUid, use.NicName, index, index);
        _tables.Leases.Add(use.Attachment, lease);
        return new Outcome(Grant(pool, lease), [new ReplicatedChange.ParkedRemoved(use.Network, use.Address), Announce(lease)]);
    }

    private Outcome Apply(ulong index, ReplicatedCommand.ReturnReserve back)
    {
        uint address = AddressSequence.ToNumber(back.Address);
        if (!_tables.Pools.TryGetValue(back.Network, out AddressPool? pool) || !pool.IsParked(address, back.NodeUid, back.GrantIndex))
        {
            return Unchanged;
        }

        if (back.WasUsed)
        {
            pool.Spend(address, index);
        }
        else
        {
            pool.Unpark(address, index);
        }

        return Change(new ReplicatedChange.ParkedRemoved(back.Network, back.Address));
    }

    // Also where addresses are given again: a lease that ends was given up by its node, and these were not.
    private List<ReplicatedChange> RetireReserveOf(Guid nodeUid, ulong index)
    {
        var changes = new List<ReplicatedChange>();
        foreach (AddressPool pool in _tables.Pools.Values)
        {
            foreach ((uint address, _) in pool.ParkedOf(nodeUid).ToArray())
            {
                pool.Retire(address, index);
                changes.Add(new ReplicatedChange.ParkedRemoved(pool.Spec.Network, AddressSequence.ToAddress(address)));
            }
        }

        return changes;
    }

    private ReplicatedResult.Refused? RejectStranger(Guid nodeUid) =>
        _tables.Nodes.ContainsKey(nodeUid) ? null
        : _tables.RemovedNodes.ContainsKey(nodeUid)
            ? new ReplicatedResult.Refused(RefusalCode.FailedPrecondition, $"Node {nodeUid:N} was removed from the cluster.")
            : new ReplicatedResult.Refused(RefusalCode.NotFound, $"There is no node {nodeUid:N}.");

    private static IEnumerable<ParkedAddress> ParkedFor(AddressPool pool, Guid nodeUid) =>
        pool.ParkedOf(nodeUid).Select(row => new ParkedAddress(AddressSequence.ToAddress(row.Address), row.GrantIndex));

    private static IEnumerable<ReplicatedChange.ParkedPut> AnnounceParked(AddressPool pool) => pool.Parked.Select(row =>
        new ReplicatedChange.ParkedPut(pool.Spec.Network, AddressSequence.ToAddress(pool.AddressAt(row.Ordinal)), row.Parking.NodeUid, row.Parking.GrantIndex));
}

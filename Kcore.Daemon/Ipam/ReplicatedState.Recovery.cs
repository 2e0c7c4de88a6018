using System.Collections.Immutable;
using Outcome = Kcore.Daemon.Cluster.Consensus.ApplyOutcome<
    Kcore.Daemon.Ipam.ReplicatedResult,
    Kcore.Daemon.Ipam.ReplicatedChange>;

namespace Kcore.Daemon.Ipam;

// What an operator has the log go on from, when most voters are lost, may lack the last that these granted.
public sealed partial class ReplicatedState
{
    /// <summary>The log index of the last recovery, until an operator finishes it; else 0. Any thread.</summary>
    public ulong RecoveredIndex => _tables.RecoveredIndex;

    /// <summary>Addresses that are held back since the last recovery, over all pools.</summary>
    public long HeldBack => _tables.Pools.Values.Sum(pool => (long)pool.HeldBack.Count);

    private Outcome Apply(ulong index, ReplicatedCommand.Recover recover)
    {
        if (recover.Epoch <= Epoch)
        {
            return recover.Epoch == Epoch
                ? Unchanged
                : Refuse(RefusalCode.FailedPrecondition, $"The cluster is in epoch {Epoch} already.");
        }

        _tables.Epoch = recover.Epoch;
        _tables.RecoveredIndex = index;

        // Whether the lost voters have made a pool nobody knows, so the cluster may not give itself up.
        _tables.WasUsed = true;
        var changes = new List<ReplicatedChange>();
        foreach (AddressPool pool in _tables.Pools.Values)
        {
            changes.AddRange(pool.Parked.Select(row => new ReplicatedChange.ParkedRemoved(pool.Spec.Network, AddressSequence.ToAddress(pool.AddressAt(row.Ordinal)))));
            pool.SkipAhead(index, ReservesOf(pool));
            changes.Add(Announce(pool));
        }

        return new Outcome(ReplicatedResult.Done.Instance, [.. changes]);
    }

    private Outcome Apply(ulong index, ReplicatedCommand.AdoptLost adopt)
    {
        uint address = AddressSequence.ToNumber(adopt.Address);
        if (_tables.Leases.TryGetValue(adopt.Attachment, out LeaseRecord? held))
        {
            AddressPool known = _tables.Pools[held.Network];
            return held.Address != address || held.NodeUid != adopt.NodeUid || held.Network != adopt.Network
                ? Refuse(RefusalCode.AlreadyExists, $"Attachment {adopt.Attachment} holds {AddressSequence.ToAddress(held.Address)} on network '{known.Spec.Name}'.")
                : new Outcome(Grant(known, held), held.Orphaned ? [Announce(Mark(held, isOrphaned: false, index))] : []);
        }

        if (_tables.Retired.Contains(adopt.Attachment))
        {
            return Refuse(RefusalCode.FailedPrecondition, $"Attachment {adopt.Attachment} was released.");
        }

        if (_tables.RemovedNodes.ContainsKey(adopt.NodeUid))
        {
            return Refuse(RefusalCode.FailedPrecondition, $"Node {adopt.NodeUid:N} was removed from the cluster.");
        }

        if (!_tables.Pools.TryGetValue(adopt.Network, out AddressPool? pool))
        {
            return Refuse(RefusalCode.NotFound, $"Network {adopt.Network} has no pool.");
        }

        ulong mac = LeaseRecord.ToNumber(adopt.Mac);
        if (mac == 0 || (mac & 0x0100_0000_0000) != 0)
        {
            return Refuse(RefusalCode.InvalidArgument, $"{adopt.Mac} is no unicast MAC address.");
        }

        if (pool.TryGetHolder(mac, out AttachmentId holder))
        {
            return Refuse(
                RefusalCode.AlreadyExists,
                $"MAC {adopt.Mac} is in use on network '{pool.Spec.Name}' by NIC '{_tables.Leases[holder].NicName}'.");
        }

        if (!pool.TryAdopt(address, mac, adopt.Attachment, index))
        {
            return Refuse(
                RefusalCode.AlreadyExists, $"{adopt.Address} on network '{pool.Spec.Name}' was given to another since the cluster was recovered, or before.");
        }

        var lease = new LeaseRecord(adopt.Attachment, adopt.Network, address, adopt.Mac, adopt.NodeUid, adopt.NicName, index, index);
        _tables.Leases.Add(adopt.Attachment, lease);
        return new Outcome(Grant(pool, lease), [Announce(lease)]);
    }

    // A reserve for each node, as large as the network has it: more only if the lost voters filled one more than once.
    private long ReservesOf(AddressPool pool) => (long)pool.Spec.Reserve * _tables.Nodes.Count;

    private Outcome FinishRecovery(ulong index)
    {
        if (_tables.RecoveredIndex == 0)
        {
            return Unchanged;
        }

        _tables.RecoveredIndex = 0;
        ImmutableArray<AddressPool> holding = [.. _tables.Pools.Values.Where(pool => pool.HeldBack.Count > 0)];
        foreach (AddressPool pool in holding)
        {
            pool.GiveBackHeld(index);
        }

        return new Outcome(ReplicatedResult.Done.Instance, [.. holding.Select(Announce)]);
    }
}

using Kcore.Daemon.Catalog.Facts;
using Outcome = Kcore.Daemon.Cluster.Consensus.ApplyOutcome<
    Kcore.Daemon.Ipam.ReplicatedResult,
    Kcore.Daemon.Ipam.ReplicatedChange>;

namespace Kcore.Daemon.Ipam;

// Leases whose NIC is known nowhere. That a NIC is not known does not prove that its guest is gone, so the address stays
// held until the NIC comes back or an operator gives it up.
public sealed partial class ReplicatedState
{
    private Outcome Apply(ulong index, ReplicatedCommand.MarkOrphaned mark) => Mark(index, mark.Attachment, mark.NodeUid, isOrphaned: true);

    private Outcome Apply(ulong index, ReplicatedCommand.Adopt adopt) => Mark(index, adopt.Attachment, adopt.NodeUid, isOrphaned: false);

    private Outcome Apply(ulong index, ReplicatedCommand.ReleaseOrphan release)
    {
        if (!_tables.Leases.TryGetValue(release.Attachment, out LeaseRecord? lease))
        {
            return _tables.Retired.Contains(release.Attachment)
                ? Unchanged
                : Refuse(RefusalCode.NotFound, $"Attachment {release.Attachment} holds no address.");
        }

        return lease.Orphaned
            ? Change(End(lease, index, index))
            : Refuse(
                RefusalCode.FailedPrecondition,
                $"{AddressSequence.ToAddress(lease.Address)} is held by NIC '{lease.NicName}', which is known to node {lease.NodeUid:N}; detach it there.");
    }

    private Outcome Mark(ulong index, AttachmentId attachment, Guid nodeUid, bool isOrphaned)
    {
        if (!_tables.Leases.TryGetValue(attachment, out LeaseRecord? lease) || lease.NodeUid != nodeUid)
        {
            return Refuse(RefusalCode.NotFound, $"Attachment {attachment} of node {nodeUid:N} holds no address.");
        }

        return lease.Orphaned == isOrphaned ? Unchanged : Change(Announce(Mark(lease, isOrphaned, index)));
    }

    private LeaseRecord Mark(LeaseRecord lease, bool isOrphaned, ulong index)
    {
        LeaseRecord marked = lease with { Orphaned = isOrphaned, ChangedIndex = index };
        _tables.Leases[lease.Attachment] = marked;
        _tables.Pools[lease.Network].NoteChange(index);
        return marked;
    }

    // The same NIC under a new attachment: its node lost its records, or was removed. Elsewhere the guest of the old one may
    // still run: a removed node is cut off from the network, a silent one only seems to be.
    private bool IsHeir(LeaseRecord orphan, ReplicatedCommand.Allocate allocate) =>
        orphan.Orphaned
        && orphan.NicName == allocate.NicName
        && (orphan.NodeUid == allocate.NodeUid || _tables.RemovedNodes.ContainsKey(orphan.NodeUid))
        && (allocate.Wanted is null || AddressSequence.ToNumber(allocate.Wanted) == orphan.Address);

    private Outcome Inherit(ulong index, LeaseRecord orphan, ReplicatedCommand.Allocate allocate)
    {
        AddressPool pool = _tables.Pools[orphan.Network];
        pool.Pass(orphan.MacNumber, allocate.Attachment, index);
        _tables.Leases.Remove(orphan.Attachment);
        _tables.Retired.TryAdd(orphan.Attachment, orphan.Network, index);
        LeaseRecord lease = orphan with
        {
            Attachment = allocate.Attachment,
            NodeUid = allocate.NodeUid,
            Index = index,
            ChangedIndex = index,
            Orphaned = false,
        };
        _tables.Leases.Add(lease.Attachment, lease);
        return new Outcome(
            Grant(pool, lease),
            [new ReplicatedChange.LeaseRemoved(orphan.Attachment, orphan.Network, AddressSequence.ToAddress(orphan.Address)), Announce(lease)]);
    }

    // An unreachable node may be removed while its guests run, so where addresses are given again its leases do not end.
    private ReplicatedChange EndOrOrphan(LeaseRecord lease, ulong index) =>
        _tables.Pools[lease.Network].Spec.Reuse == AddressReuse.Never
            ? End(lease, index, RetiredAttachments.Undated)
            : Announce(Mark(lease, isOrphaned: true, index));
}

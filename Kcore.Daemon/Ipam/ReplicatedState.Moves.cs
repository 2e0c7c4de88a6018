using Outcome = Kcore.Daemon.Cluster.Consensus.ApplyOutcome<
    Kcore.Daemon.Ipam.ReplicatedResult,
    Kcore.Daemon.Ipam.ReplicatedChange>;

namespace Kcore.Daemon.Ipam;

// NICs that go from one node to another. While a move is pending the NIC is the old node's; one entry of the log makes it
// the new one's. Both nodes then say that they know, so that neither can miss it, however long it was away.
public sealed partial class ReplicatedState
{
    private Outcome Apply(ulong index, ReplicatedCommand.BeginMove begin)
    {
        if (_tables.Moves.TryGet(begin.Move, out MoveRecord? known))
        {
            return known.Nic == begin.Nic ? Unchanged : Refuse(RefusalCode.AlreadyExists, $"Move {begin.Move:N} is of another NIC.");
        }

        if (_tables.Moves.HowEnded(begin.Move) is { } isDone)
        {
            return Refuse(RefusalCode.FailedPrecondition, $"Move {begin.Move:N} {(isDone ? "is done" : "was given up")}.");
        }

        if ((RejectAge(index, begin.ValidUntil) ?? RejectMove(begin.Nic)) is { } refused)
        {
            return new Outcome(refused, []);
        }

        var row = new MoveRecord(begin.Move, begin.Nic, index, 0, false, false, index);
        _tables.Moves.Put(row);
        return Change(Announce(row));
    }

    private ReplicatedResult.Refused? RejectMove(MovingNic nic)
    {
        if (nic.From == nic.To)
        {
            return new ReplicatedResult.Refused(RefusalCode.InvalidArgument, $"NIC '{nic.Name}' is on node {nic.To:N} already.");
        }

        if (!_tables.Nodes.ContainsKey(nic.To))
        {
            return new ReplicatedResult.Refused(RefusalCode.NotFound, $"There is no node {nic.To:N}.");
        }

        if (_tables.RemovedNodes.ContainsKey(nic.From))
        {
            return new ReplicatedResult.Refused(RefusalCode.FailedPrecondition, $"Node {nic.From:N} was removed from the cluster.");
        }

        if (_tables.Moves.PendingOf(nic.Attachment) is { } other)
        {
            return new ReplicatedResult.Refused(
                RefusalCode.FailedPrecondition, $"NIC '{nic.Name}' is being moved already, to node '{_tables.Nodes[other.Nic.To].Name}'.");
        }

        bool isHeld = _tables.Leases.TryGetValue(nic.Attachment, out LeaseRecord? lease);
        if (!nic.IsLeased)
        {
            return isHeld || _tables.Pools.ContainsKey(nic.Network)
                ? new ReplicatedResult.Refused(RefusalCode.FailedPrecondition, $"NIC '{nic.Name}' is of an overlay; its address moves with it.")
                : null;
        }

        return !isHeld ? new ReplicatedResult.Refused(RefusalCode.NotFound, $"Attachment {nic.Attachment} holds no address.")
            : lease!.NodeUid != nic.From
                ? new ReplicatedResult.Refused(RefusalCode.FailedPrecondition, $"NIC '{nic.Name}' is on node {lease.NodeUid:N}, not on {nic.From:N}.")
            : lease.Orphaned
                ? new ReplicatedResult.Refused(RefusalCode.FailedPrecondition, $"NIC '{nic.Name}' is known nowhere: its address is orphaned.")
            : lease.Network != nic.Network || lease.MacNumber != LeaseRecord.ToNumber(nic.Mac) || nic.Address is null || AddressSequence.ToNumber(nic.Address) != lease.Address
                ? new ReplicatedResult.Refused(RefusalCode.FailedPrecondition, $"NIC '{nic.Name}' has another network, MAC or address than its move says.")
            : null;
    }

    private Outcome Apply(ulong index, ReplicatedCommand.HandOver over)
    {
        if (!_tables.Moves.TryGet(over.Move, out MoveRecord? row))
        {
            return _tables.Moves.HowEnded(over.Move) switch
            {
                true => Unchanged,
                false => Refuse(RefusalCode.FailedPrecondition, $"Move {over.Move:N} was given up."),
                null => Refuse(RefusalCode.NotFound, $"There is no move {over.Move:N}."),
            };
        }

        if (!row.IsPending)
        {
            return Unchanged;
        }

        row = row with { HandedOver = index, ChangedIndex = index };
        _tables.Moves.Put(row);
        if (!row.Nic.IsLeased)
        {
            return Change(Announce(row));
        }

        // Whoever had the lease until now has it no more with the same entry that gives it to the other.
        LeaseRecord lease = _tables.Leases[row.Nic.Attachment] with { NodeUid = row.Nic.To, Index = index, ChangedIndex = index, Orphaned = false };
        _tables.Leases[lease.Attachment] = lease;
        _tables.Pools[lease.Network].NoteChange(index);
        return new Outcome(ReplicatedResult.Done.Instance, [Announce(lease), Announce(row)]);
    }

    private Outcome Apply(ulong index, ReplicatedCommand.AbortMove abort)
    {
        if (_tables.Moves.TryGet(abort.Move, out MoveRecord? row))
        {
            return row.IsPending
                ? Change(EndMove(row, index, isDone: false))
                : Refuse(RefusalCode.FailedPrecondition, $"NIC '{row.Nic.Name}' was handed over already.");
        }

        if (_tables.Moves.HowEnded(abort.Move) is true)
        {
            return Refuse(RefusalCode.FailedPrecondition, $"Move {abort.Move:N} is done.");
        }

        // Its beginning may still be on its way and come in after this.
        _tables.Moves.End(abort.Move, index, isDone: false);
        return Unchanged;
    }

    private Outcome Apply(ulong index, ReplicatedCommand.AcknowledgeMove known) =>
        !_tables.Moves.TryGet(known.Move, out MoveRecord? row) ? Unchanged
        : row.IsPending ? Refuse(RefusalCode.FailedPrecondition, $"NIC '{row.Nic.Name}' was not handed over.")
        : Acknowledge(row, known.NodeUid, index) is { } change ? Change(change)
        : Unchanged;

    private ReplicatedChange? Acknowledge(MoveRecord row, Guid node, ulong index)
    {
        MoveRecord heard = row with { SourceKnows = row.SourceKnows || node == row.Nic.From, TargetKnows = row.TargetKnows || node == row.Nic.To };
        if (heard == row)
        {
            return null;
        }

        if (heard is { SourceKnows: true, TargetKnows: true })
        {
            return EndMove(row, index, isDone: true);
        }

        heard = heard with { ChangedIndex = index };
        _tables.Moves.Put(heard);
        return Announce(heard);
    }

    private ReplicatedChange.MoveRemoved EndMove(MoveRecord row, ulong index, bool isDone)
    {
        _tables.Moves.End(row.Move, index, isDone);
        return new ReplicatedChange.MoveRemoved(row.Move);
    }

    // A node that is gone for good takes nothing up and has let go of everything.
    private IEnumerable<ReplicatedChange> WithoutNode(Guid node, ulong index)
    {
        foreach (MoveRecord row in _tables.Moves.Rows.Where(row => row.Nic.From == node || row.Nic.To == node).ToArray())
        {
            if (row.IsPending)
            {
                yield return EndMove(row, index, isDone: false);
            }
            else if (Acknowledge(row, node, index) is { } change)
            {
                yield return change;
            }
        }
    }

    /// <summary>With a lease ends the move of it that is pending, whatever ended the lease.</summary>
    private Outcome WithoutMovesOf(ulong index, Outcome outcome)
    {
        List<ReplicatedChange>? ended = null;
        foreach (ReplicatedChange.LeaseRemoved removed in outcome.Changes.OfType<ReplicatedChange.LeaseRemoved>())
        {
            if (_tables.Moves.PendingOf(removed.Attachment) is { } row)
            {
                (ended ??= []).Add(EndMove(row, index, isDone: false));
            }
        }

        return ended is null ? outcome : outcome with { Changes = [.. outcome.Changes, .. ended] };
    }

    private static ReplicatedChange.MovePut Announce(MoveRecord row) =>
        new(row.Move, row.Nic, row.Begun, row.HandedOver, row.SourceKnows, row.TargetKnows, row.ChangedIndex);
}

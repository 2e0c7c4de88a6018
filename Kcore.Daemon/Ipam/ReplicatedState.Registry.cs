using Outcome = Kcore.Daemon.Cluster.Consensus.ApplyOutcome<
    Kcore.Daemon.Ipam.ReplicatedResult,
    Kcore.Daemon.Ipam.ReplicatedChange>;

namespace Kcore.Daemon.Ipam;

// The cluster itself and its nodes.
public sealed partial class ReplicatedState
{
    private Outcome Apply(ReplicatedCommand.Found found)
    {
        if (found.ClusterId == Guid.Empty || found.Epoch == 0)
        {
            return Refuse(RefusalCode.InvalidArgument, "A cluster needs an id and an epoch from 1.");
        }

        if (ClusterId != Guid.Empty)
        {
            return ClusterId == found.ClusterId && Epoch == found.Epoch
                ? Unchanged
                : Refuse(RefusalCode.AlreadyExists, $"The cluster is {ClusterId:N}, epoch {Epoch}.");
        }

        _tables.ClusterId = found.ClusterId;
        _tables.Epoch = found.Epoch;
        return Change(new ReplicatedChange.Founded(found.ClusterId, found.Epoch));
    }

    private Outcome Apply(ulong index, ReplicatedCommand.NodeAdd add)
    {
        if (add.Member.NodeUid == Guid.Empty || add.Member.StoreId == Guid.Empty || add.Name.Length == 0)
        {
            return Refuse(RefusalCode.InvalidArgument, "A node needs a uid, a store id and a name.");
        }

        if (_tables.RemovedNodes.ContainsKey(add.Member.NodeUid))
        {
            return Refuse(
                RefusalCode.FailedPrecondition,
                $"Node {add.Member.NodeUid:N} was removed from this cluster and does not come back under this identity; kctl node reset, on it, gives it a new one.");
        }

        foreach (NodeRecord other in _tables.Nodes.Values)
        {
            if (other.Name == add.Name && other.Member.NodeUid != add.Member.NodeUid)
            {
                return Refuse(
                    RefusalCode.AlreadyExists,
                    $"The name '{add.Name}' belongs to node {other.Member.NodeUid:N}; node {add.Member.NodeUid:N} needs another.");
            }
        }

        if (_tables.Nodes.TryGetValue(add.Member.NodeUid, out NodeRecord? known)
            && known.Member == add.Member
            && known.Name == add.Name)
        {
            return Unchanged;
        }

        var node = new NodeRecord(add.Member, add.Name, index);
        _tables.Nodes[add.Member.NodeUid] = node;
        return Change(Announce(node));
    }

    // That a node is gone does not prove that its guests are, so leases end only when that was asked for. Their addresses
    // are not given out again, as no address is.
    private Outcome Apply(ulong index, ReplicatedCommand.NodeRemove remove)
    {
        if (!_tables.Nodes.TryGetValue(remove.NodeUid, out NodeRecord? node))
        {
            return _tables.RemovedNodes.ContainsKey(remove.NodeUid)
                ? Unchanged
                : Refuse(RefusalCode.NotFound, $"There is no node {remove.NodeUid:N}.");
        }

        if (_tables.Nodes.Count == 1)
        {
            return Refuse(RefusalCode.FailedPrecondition, $"Node '{node.Name}' is all there is of this cluster.");
        }

        LeaseRecord[] held = [.. _tables.Leases.Values.Where(lease => lease.NodeUid == remove.NodeUid)];
        if (held.Length > 0 && !remove.ReleaseLeases)
        {
            return Refuse(
                RefusalCode.FailedPrecondition,
                $"Node '{node.Name}' still holds {held.Length} addresses; detach its NICs first.");
        }

        _tables.Nodes.Remove(remove.NodeUid);
        _tables.Mesh.Remove(remove.NodeUid);
        List<ReplicatedChange> retired = RetireReserveOf(remove.NodeUid, index);
        _tables.ReserveHolders.Remove(remove.NodeUid);
        var removed = new RemovedNode(remove.NodeUid, node.Name, index);
        _tables.RemovedNodes.Add(remove.NodeUid, removed);
        return new Outcome(
            ReplicatedResult.Done.Instance,
            [.. WithoutNode(remove.NodeUid, index), .. held.Select(lease => EndOrOrphan(lease, index)), .. retired, Announce(removed)]);
    }

    // Virginity is checked here and not by who proposes: a first allocation that got into the log earlier wins.
    private Outcome Apply(ulong index, ReplicatedCommand.Dissolve dissolve)
    {
        if (dissolve.Target == Guid.Empty || dissolve.Target == ClusterId)
        {
            return Refuse(RefusalCode.InvalidArgument, "A cluster can dissolve itself only into another one.");
        }

        if (DissolvedInto is { } target)
        {
            return target == dissolve.Target
                ? Unchanged
                : Refuse(RefusalCode.FailedPrecondition, $"This cluster dissolved itself into cluster {target:N} already.");
        }

        if (!IsVirgin)
        {
            return Refuse(RefusalCode.FailedPrecondition, "This cluster has had networks; it can't dissolve itself.");
        }

        _tables.DissolvedInto = dissolve.Target;
        _tables.DissolvedIndex = index;
        return Change(new ReplicatedChange.Dissolved(dissolve.Target, index));
    }
}

using Kcore.Gossip;

namespace Kcore.Daemon.Cluster.Founding;

/// <summary>What the cluster's ordered log is to the part of the node that founds, joins and leaves clusters.</summary>
internal interface IClusterLedger
{
    /// <summary>False as soon as a pool was ever committed, as far as this node knows; the log itself decides.</summary>
    bool IsVirgin { get; }

    /// <summary>The cluster this one gave itself up for, as far as this node's copy of the log says.</summary>
    Guid? DissolvedInto { get; }

    /// <summary>The cluster has removed the node, as far as this node knows.</summary>
    bool IsRemoved(NodeId node);

    /// <summary>
    /// The cluster gives addresses out, as far as this node can tell: its log has a leader, or where it has no part in the log most voters are alive.
    /// </summary>
    bool Decides { get; }

    /// <summary>Id of the store this node will make when it becomes a member: it is admitted together with it.</summary>
    Guid NextStore { get; }

    /// <summary>Makes the log of a new cluster, with this node as its only voter, and opens it.</summary>
    Task FoundAsync(ClusterRef cluster, string nodeName, CancellationToken token);

    /// <summary>Opens this node's copy of the cluster's log, or makes an empty one that the leader may feed.</summary>
    Task OpenAsync(ClusterRef cluster, CancellationToken token);

    /// <summary>Closes the log; with <paramref name="discard"/> its directory goes too (the cluster has ended).</summary>
    Task CloseAsync(bool discard);

    /// <summary>Has a node admitted, wherever the leader is. Null when admitted, else why not.</summary>
    Task<string?> AdmitAsync(NodeId node, Guid store, string name, CancellationToken token);

    /// <summary>Has it committed, wherever the leader is, that this cluster ends for the other; the log refuses if it is not virgin any more.</summary>
    Task DissolveAsync(Guid target, CancellationToken token);
}

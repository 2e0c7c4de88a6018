namespace Kcore.Daemon.Cluster;

/// <summary>What a node is there for.</summary>
internal enum Duty
{
    Serving = 0,

    /// <summary>It takes no new NICs and hands its vote on; what it has goes on.</summary>
    Drained = 1,

    /// <summary>As drained, and on its way out of the cluster.</summary>
    Leaving = 2,
}

/// <summary>What a reset leaves. The numbers are on disk.</summary>
internal enum ResetScope
{
    /// <summary>The cluster key: the node looks for a cluster that has it, and may found one.</summary>
    KeepKey = 1,

    /// <summary>Nothing but the events.</summary>
    WithKey = 2,

    /// <summary>The cluster key and where members are: the node has a cluster to join, and founds none.</summary>
    JoinAnew = 3,
}

/// <summary>How a node came to be without its cluster. It joins another one, or the same, only as a new node.</summary>
internal enum Departure
{
    None = 0,

    /// <summary>It left: it had no NICs any more, and what it made in the kernel goes.</summary>
    Left = 1,

    /// <summary>Others removed it: its guests may be running, and what they need stays.</summary>
    Removed = 2,
}

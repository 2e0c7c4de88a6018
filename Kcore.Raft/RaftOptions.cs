namespace Kcore.Raft;

/// <summary>The core's numbers; times are in ticks.</summary>
public sealed record RaftOptions
{
    /// <summary>
    /// Ticks between a leader's heartbeats. Three fit into the shortest wait for an election; what a follower is to learn
    /// of a commit does not wait for them. Elections begin no later for it: they count from the last sign of the leader.
    /// </summary>
    public int HeartbeatTicks { get; init; } = 3;

    /// <summary>
    /// Ticks without a leader before an election, at least; each wait is drawn from here up to twice this. Also how long
    /// a leader may miss its quorum before it steps down, how long a heard leader is protected from challengers, how long
    /// a transfer of leadership may take, and how long a forwarded read waits.
    /// </summary>
    public int ElectionTicks { get; init; } = 10;

    /// <summary>Ticks a leader's own oldest write may hang before it steps down.</summary>
    public int StallTicks { get; init; } = 10;

    /// <summary>Append messages in flight to one follower. More makes latency worse, not throughput better.</summary>
    public int WindowMessages { get; init; } = 2;

    /// <summary>Entries of one append message or one storage batch, in bytes.</summary>
    public int BatchBytesMax { get; init; } = 256 * 1024;

    /// <summary>Entries of one append message or one storage batch, in count.</summary>
    public int BatchEntriesMax { get; init; } = 1024;

    /// <summary>Proposed and not yet committed, in bytes; beyond it proposals are refused.</summary>
    public int UncommittedBytesMax { get; init; } = 4 * 1024 * 1024;

    /// <summary>One piece of a snapshot, in bytes; at most <see cref="RaftMessageCodec.ChunkBytesMax"/>.</summary>
    public int SnapshotChunkBytes { get; init; } = 256 * 1024;

    /// <summary>Reads that may wait for their confirmation at one member, in count.</summary>
    public int ReadsMax { get; init; } = 1024;
}

using Kcore.Raft;

namespace Kcore.Daemon.Cluster.Consensus;

/// <summary>The sizes and times of the consensus loop.</summary>
public sealed record ConsensusOptions
{
    /// <summary>One tick of the core; heartbeats and elections count in these.</summary>
    public TimeSpan TickInterval { get; init; } = TimeSpan.FromMilliseconds(100);

    /// <summary>The core's own numbers.</summary>
    public RaftOptions Raft { get; init; } = new();

    /// <summary>A proposal that has no answer after this fails: Unavailable if nothing was written, else UnknownOutcome.</summary>
    public TimeSpan ProposeTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Entries applied since the last snapshot before the next is taken.</summary>
    public int SnapshotEveryEntries { get; init; } = 4096;

    /// <summary>Entries kept behind a snapshot so that a member that lags a little is fed from the log.</summary>
    public int EntriesKeptBehindSnapshot { get; init; } = 1024;

    /// <summary>Ticks between two looks whether a full disk has room again.</summary>
    public int SpaceCheckTicks { get; init; } = 10;

    /// <summary>Inputs that may wait; proposals wait for room, messages of peers are dropped (Raft repeats them).</summary>
    public int InboxCapacity { get; init; } = 4096;
}

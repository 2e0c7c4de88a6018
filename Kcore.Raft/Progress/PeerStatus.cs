namespace Kcore.Raft;

/// <summary>How a leader feeds one member.</summary>
public enum FeedState
{
    /// <summary>Where the logs agree is unknown: one message at a time until it is found.</summary>
    Probe,

    /// <summary>Agreed: messages are sent ahead of their answers, within the window.</summary>
    Replicate,

    /// <summary>A snapshot is on its way and nothing else.</summary>
    Snapshot,
}

/// <summary>What a leader knows about one member; ticks are counted from the event, or from when the leader began to lead.</summary>
/// <param name="Member">Whom this is about.</param>
/// <param name="IsVoter">True if it counts in either half of the configuration.</param>
/// <param name="State">How it is fed.</param>
/// <param name="Match">It holds the log durably up to here.</param>
/// <param name="Next">The next entry to send.</param>
/// <param name="InFlight">Appends sent and not answered.</param>
/// <param name="TicksSinceHeard">Since any answer.</param>
/// <param name="TicksSinceHealthy">Since it acknowledged a write, or answered with a disk that does not hang and nothing left to write.</param>
/// <param name="SnapshotSent">Bytes of the snapshot under way that it holds; else 0.</param>
/// <param name="SnapshotBytes">Length of the snapshot under way; else 0.</param>
public readonly record struct PeerStatus(
    MemberId Member,
    bool IsVoter,
    FeedState State,
    ulong Match,
    ulong Next,
    int InFlight,
    int TicksSinceHeard,
    int TicksSinceHealthy,
    long SnapshotSent,
    long SnapshotBytes);

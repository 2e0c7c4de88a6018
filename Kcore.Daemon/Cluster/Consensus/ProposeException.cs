using Kcore.Raft;

namespace Kcore.Daemon.Cluster.Consensus;

/// <summary>Why a proposal was not answered.</summary>
public enum ProposeFailure
{
    /// <summary>Nothing was written; another node leads (or none is known): see <see cref="ProposeException.LeaderHint"/>.</summary>
    NotLeader,

    /// <summary>Nothing was written: too much is waiting for a quorum already, or no leader is known.</summary>
    Unavailable,

    /// <summary>
    /// It was written, but leadership was lost or time ran out before the answer: it may or may not have happened.
    /// Repeating the same command (same attachment id) is safe and tells.
    /// </summary>
    UnknownOutcome,

    /// <summary>Nothing was written: the loop has been stopped, or its disk failed.</summary>
    Stopped,
}

/// <summary>A proposal that has no result.</summary>
public sealed class ProposeException(ProposeFailure failure, string message, MemberId leaderHint = default)
    : Exception(message)
{
    public ProposeFailure Failure { get; } = failure;

    /// <summary>The leader as far as this node knows; <see cref="MemberId.None"/> when unknown.</summary>
    public MemberId LeaderHint { get; } = leaderHint;
}

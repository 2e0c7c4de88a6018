using System.Collections.Immutable;
using Kcore.Raft;

namespace Kcore.Daemon.Cluster.Consensus;

/// <summary>Why the loop takes no part any more.</summary>
public enum ConsensusFault
{
    /// <summary>It takes part.</summary>
    None,

    /// <summary>A write or sync failed; what the disk holds is unknown until the store is reopened.</summary>
    DiskFailed,

    /// <summary>A committed entry or snapshot could not be applied.</summary>
    StateFailed,

    /// <summary>A newer version wrote what this one can't execute; after an upgrade this member goes on from there.</summary>
    TooOld,

    /// <summary>The leader holds proof that this store lost what it had acknowledged.</summary>
    StoreCorrupt,
}

/// <summary>What the loop publishes about itself; an immutable snapshot, replaced whole.</summary>
public sealed record ConsensusStatus
{
    public required MemberId Self { get; init; }

    public required Guid ClusterId { get; init; }

    public required uint Epoch { get; init; }

    public required ulong Term { get; init; }

    public required RaftRole Role { get; init; }

    /// <summary><see cref="MemberId.None"/> when no leader is known.</summary>
    public required MemberId Leader { get; init; }

    public required ulong CommitIndex { get; init; }

    public required ulong AppliedIndex { get; init; }

    public required ulong LastIndex { get; init; }

    public required ImmutableArray<MemberId> Voters { get; init; }

    /// <summary>Members that receive the log and do not vote.</summary>
    public required ImmutableArray<MemberId> Learners { get; init; }

    /// <summary>Whether this node is one of those who hold the log, as far as its own log says.</summary>
    public bool IsMember => Voters.Contains(Self) || Learners.Contains(Self);

    /// <summary>The voters are being changed: two majorities are needed until it is done.</summary>
    public required bool IsJoint { get; init; }

    /// <summary>Since when this member has known no leader; null while it knows one.</summary>
    public required DateTimeOffset? LeaderlessSince { get; init; }

    /// <summary>The oldest write hangs: this member neither leads nor asks to.</summary>
    public required bool IsStorageStalled { get; init; }

    /// <summary>The disk is nearly full: this member takes no new entries as leader.</summary>
    public required bool IsSpaceLow { get; init; }

    /// <summary>On the leader: the voters heard from within the last election time-out, itself included. Elsewhere empty.</summary>
    public required ImmutableArray<MemberId> VotersSeen { get; init; }

    /// <summary>How long the last write with its sync took; zero before the first.</summary>
    public required TimeSpan LastSync { get; init; }

    public required ConsensusFault Fault { get; init; }

    /// <summary>The cause of <see cref="Fault"/> in words, or null.</summary>
    public string? FaultText { get; init; }
}

using Kcore.Raft;
using Microsoft.Extensions.Logging;

namespace Kcore.Daemon.Cluster.Consensus;

/// <summary>What the consensus loop says in the journal.</summary>
internal static partial class ConsensusLog
{
    [LoggerMessage(3001, LogLevel.Information, "Consensus opened as {Member} of cluster {Cluster}: term {Term}, log up to {LastIndex}, snapshot at {SnapshotIndex}")]
    public static partial void Opened(ILogger logger, MemberId member, Guid cluster, ulong term, ulong lastIndex, ulong snapshotIndex);

    [LoggerMessage(3002, LogLevel.Information, "Raft role is {Role} in term {Term}, leader {Leader}")]
    public static partial void RoleChanged(ILogger logger, RaftRole role, ulong term, MemberId leader);

    [LoggerMessage(3003, LogLevel.Error, "Raft takes no part any more, because its disk failed: {Cause}. What exists keeps working; restart kcored after repairing the disk")]
    public static partial void DiskFailed(ILogger logger, string cause);

    [LoggerMessage(3004, LogLevel.Critical, "Raft takes no part any more, because entry {Index} could not be applied")]
    public static partial void StateFailed(ILogger logger, ulong index, Exception cause);

    [LoggerMessage(3005, LogLevel.Debug, "Snapshot at {Index} stored")]
    public static partial void SnapshotSaved(ILogger logger, ulong index);

    [LoggerMessage(3006, LogLevel.Warning, "No snapshot was taken, the log keeps growing: {Cause}")]
    public static partial void NoSnapshot(ILogger logger, string cause);

    [LoggerMessage(3007, LogLevel.Warning, "The disk of the log is nearly full: {IsLow}. While it is, this node does not lead")]
    public static partial void Space(ILogger logger, bool isLow);

    [LoggerMessage(3008, LogLevel.Critical, "Raft takes no part any more, because its store lost what it had acknowledged")]
    public static partial void StoreCorrupt(ILogger logger);

    [LoggerMessage(3009, LogLevel.Information, "The log is held by voters {Voters} (change under way: {IsJoint}) and learners {Learners}")]
    public static partial void GroupChanged(ILogger logger, string voters, bool isJoint, string learners);

    [LoggerMessage(3011, LogLevel.Error, "Raft takes no part any more: {Cause}. What exists keeps working")]
    public static partial void TooOld(ILogger logger, string cause);

    [LoggerMessage(3010, LogLevel.Error, "The disk of the log does not finish a write. While it does not, this node neither leads nor confirms")]
    public static partial void DiskHangs(ILogger logger);
}

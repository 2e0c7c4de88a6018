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
}

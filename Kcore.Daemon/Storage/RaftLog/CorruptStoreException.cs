namespace Kcore.Daemon.Storage.RaftLog;

/// <summary>A store that lost or changed something it had acknowledged: only becoming a new member helps.</summary>
public sealed class CorruptStoreException(string message) : Exception(message);

namespace Kcore.Daemon.Storage.RaftLog;

/// <summary>A store that lost or changed something it had acknowledged: only becoming a new member helps.</summary>
public sealed class CorruptStoreException(string message) : Exception(message);

/// <summary>A store that was copied here from another node or machine: whoever used it would speak for somebody else.</summary>
public sealed class ForeignStoreException(string message) : Exception(message);

/// <summary>Another process uses the store.</summary>
public sealed class StoreBusyException(string message) : IOException(message);

/// <summary>There is no room left on the disk; nothing that was durable before is touched by that.</summary>
public sealed class DiskFullException(string message) : IOException(message);

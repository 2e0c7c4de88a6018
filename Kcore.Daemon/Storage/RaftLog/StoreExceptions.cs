namespace Kcore.Daemon.Storage.RaftLog;

/// <summary>A store that lost or changed something it had acknowledged: only becoming a new member helps.</summary>
public sealed class CorruptStoreException(string message) : Exception(message);

/// <summary>A store that was copied here from another node or machine: whoever used it would speak for somebody else.</summary>
public sealed class ForeignStoreException(string message) : Exception(message);

/// <summary>
/// What is there was written by a newer version of Kcore, whole and on purpose: to skip it, or to take it for damage, would make
/// this member another one than the others take it for. The newer version reads it.
/// </summary>
/// <param name="what">What cannot be read, as the beginning of a sentence.</param>
public sealed class NewerVersionException(string what)
    : Exception($"{what} was written by a newer version of Kcore: upgrade kcored on this node, it then goes on by itself");

/// <summary>Another process uses the store.</summary>
public sealed class StoreBusyException(string message) : IOException(message);

/// <summary>There is no room left on the disk; nothing that was durable before is touched by that.</summary>
public sealed class DiskFullException(string message) : IOException(message);

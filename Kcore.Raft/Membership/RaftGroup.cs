namespace Kcore.Raft;

/// <summary>
/// Which log is spoken of. It is in every message, and what belongs to another log is dropped before its term is looked
/// at: a cluster that was recovered without its majority must not hear the members it gave up.
/// </summary>
/// <param name="ClusterId">The 128 random bits of entry 1.</param>
/// <param name="Epoch">1; one more after each unsafe recovery.</param>
public readonly record struct RaftGroup(Guid ClusterId, uint Epoch);

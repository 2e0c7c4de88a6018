using System.Collections.Immutable;

namespace Kcore.Raft;

/// <summary>
/// One write to storage: everything in it becomes durable together, in one record, and is then acknowledged by
/// <see cref="RaftNode.StorageAck"/> with <paramref name="Id"/>. An entry replaces any earlier one of its index and
/// everything behind it.
/// </summary>
/// <param name="Id">Ascending from 1.</param>
/// <param name="HardState">To be remembered with the entries.</param>
/// <param name="Entries">To be appended; may be empty.</param>
/// <param name="Snapshot">To be stored first, in place of the whole log; null nearly always.</param>
public sealed record StorageBatch(ulong Id, HardState HardState, ImmutableArray<RaftEntry> Entries, RaftSnapshot? Snapshot);

/// <summary>What the core wants done. Order: send, start the write, restore, apply, answer reads.</summary>
/// <param name="Messages">To be sent now; whatever depends on a write was held back until its acknowledgement.</param>
/// <param name="Batch">To be written, or null. The next one is given only after this one was acknowledged.</param>
/// <param name="Restore">The state machine's state is to be replaced by this durable snapshot, or null.</param>
/// <param name="Committed">To be applied, in order; already durable here.</param>
/// <param name="Reads">Tokens of <see cref="RaftNode.ReadIndex"/> that may be answered from the state after all this.</param>
/// <param name="FailedReads">Tokens that nobody confirmed: the leader changed or was silent.</param>
public sealed record Ready(
    ImmutableArray<RaftMessage> Messages,
    StorageBatch? Batch,
    RaftSnapshot? Restore,
    ImmutableArray<RaftEntry> Committed,
    ImmutableArray<ulong> Reads,
    ImmutableArray<ulong> FailedReads)
{
    /// <summary>Nothing to do.</summary>
    public bool IsEmpty =>
        Messages.IsEmpty && Batch is null && Restore is null && Committed.IsEmpty && Reads.IsEmpty && FailedReads.IsEmpty;
}

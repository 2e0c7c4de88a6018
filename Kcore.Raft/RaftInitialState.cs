namespace Kcore.Raft;

/// <summary>What a member found in its store.</summary>
/// <param name="Group">The log it belongs to.</param>
/// <param name="HardState">The last one written.</param>
/// <param name="Snapshot">The newest, or <see cref="RaftSnapshot.Empty"/>.</param>
/// <param name="Entries">Without gaps; may begin before the snapshot's index, never more than one after it.</param>
public sealed record RaftInitialState(
    RaftGroup Group,
    HardState HardState,
    RaftSnapshot Snapshot,
    IReadOnlyList<RaftEntry> Entries);

namespace Kcore.Raft;

/// <summary>What an entry holds.</summary>
public enum RaftEntryKind : byte
{
    /// <summary>Nothing: the first entry of a leader's term, which commits what earlier terms left.</summary>
    Empty = 0,

    /// <summary>A command of the state machine.</summary>
    Command = 1,

    /// <summary>A configuration, effective as soon as it stands in the log.</summary>
    Configuration = 2,
}

/// <summary>One place in the log. Two logs with equal index and term there are equal up to there (log matching).</summary>
/// <param name="Index">From 1, without gaps.</param>
/// <param name="Term">The term of the leader that made it.</param>
/// <param name="Kind">How to read <paramref name="Data"/>.</param>
/// <param name="Data">At most <see cref="EntryBytesMax"/> bytes; never changed after it was given.</param>
public readonly record struct RaftEntry(ulong Index, ulong Term, RaftEntryKind Kind, ReadOnlyMemory<byte> Data)
{
    /// <summary>Bound on the data of one entry, in bytes.</summary>
    public const int EntryBytesMax = 64 * 1024;

    /// <summary>Bookkeeping bytes that an entry costs beside its data, in memory limits and in messages.</summary>
    public const int OverheadBytes = 24;

    /// <summary>Size that limits count, in bytes.</summary>
    public int Cost => Data.Length + OverheadBytes;
}

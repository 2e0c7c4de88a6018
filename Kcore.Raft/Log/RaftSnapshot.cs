namespace Kcore.Raft;

/// <summary>The state after applying all entries up to <paramref name="Index"/>, in place of those entries.</summary>
/// <param name="Index">The last entry included; 0 means nothing.</param>
/// <param name="Term">The term of that entry.</param>
/// <param name="Configuration">The configuration in effect at <paramref name="Index"/>.</param>
/// <param name="ConfigurationIndex">The entry that made it.</param>
/// <param name="Data">The state machine's bytes, at most <see cref="DataBytesMax"/>.</param>
public sealed record RaftSnapshot(
    ulong Index,
    ulong Term,
    Configuration Configuration,
    ulong ConfigurationIndex,
    ReadOnlyMemory<byte> Data)
{
    /// <summary>Bound on the state machine's bytes.</summary>
    public const int DataBytesMax = 64 * 1024 * 1024;

    /// <summary>The state before entry 1.</summary>
    public static readonly RaftSnapshot Empty = new(0, 0, Configuration.Empty, 0, ReadOnlyMemory<byte>.Empty);
}

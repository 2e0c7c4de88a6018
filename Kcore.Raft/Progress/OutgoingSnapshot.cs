namespace Kcore.Raft;

/// <summary>A snapshot on its way to members, with what names its bytes.</summary>
internal sealed class OutgoingSnapshot(RaftSnapshot snapshot)
{
    private readonly RaftSnapshot _header = snapshot with { Data = ReadOnlyMemory<byte>.Empty };

    public RaftSnapshot Snapshot { get; } = snapshot;

    public uint Checksum { get; } = SnapshotChecksum.Of(snapshot.Data.Span);

    /// <summary>The piece that begins at <paramref name="offset"/>, as fields of a message.</summary>
    public (RaftSnapshot Header, uint TotalBytes, ReadOnlyMemory<byte> Data) PieceAt(uint offset, int bytesMax) => (
        _header,
        (uint)Snapshot.Data.Length,
        Snapshot.Data.Slice((int)offset, (int)Math.Min((uint)bytesMax, (uint)Snapshot.Data.Length - offset)));
}

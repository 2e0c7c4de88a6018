namespace Kcore.Raft;

/// <summary>The pieces of a snapshot received so far. It grows with what arrived, not with what was announced.</summary>
internal sealed class IncomingSnapshot(RaftMessage.SnapshotChunk first)
{
    private byte[] _data = [];

    /// <summary>Bytes held, from the beginning and without gaps.</summary>
    public uint Held { get; private set; }

    public bool IsComplete => Held == first.TotalBytes;

    /// <summary>True if <paramref name="chunk"/> is a piece of the same bytes.</summary>
    public bool IsOf(RaftMessage.SnapshotChunk chunk) =>
        chunk.Header.Index == first.Header.Index
        && chunk.Header.Term == first.Header.Term
        && chunk.Header.ConfigurationIndex == first.Header.ConfigurationIndex
        && chunk.Header.Configuration.Equals(first.Header.Configuration)
        && chunk.TotalBytes == first.TotalBytes
        && chunk.Checksum == first.Checksum;

    /// <summary>Takes the piece if it follows what is held; any other is left to be sent again.</summary>
    public void Add(RaftMessage.SnapshotChunk chunk)
    {
        if (chunk.Offset != Held)
        {
            return;
        }

        int length = (int)Held + chunk.Data.Length;
        if (length > _data.Length)
        {
            Array.Resize(ref _data, (int)Math.Min(Math.Max(length, _data.Length * 2L), first.TotalBytes));
        }

        chunk.Data.Span.CopyTo(_data.AsSpan((int)Held));
        Held = (uint)length;
    }

    /// <summary>The whole snapshot, or null if its bytes are not those that were announced.</summary>
    public RaftSnapshot? Finish() => SnapshotChecksum.Of(_data) == first.Checksum ? first.Header with { Data = _data } : null;
}

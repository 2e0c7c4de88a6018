using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using Kcore.Raft;

namespace Kcore.Daemon.Storage.RaftLog;

/// <summary>What one write to the log says.</summary>
/// <param name="HardState">As of this batch.</param>
/// <param name="InstalledIndex">Not 0: the log starts anew after this snapshot.</param>
/// <param name="InstalledTerm">The snapshot's term.</param>
/// <param name="Entries">Each replaces any earlier one of its index and everything behind it.</param>
internal sealed record LogBatch(HardState HardState, ulong InstalledIndex, ulong InstalledTerm, ImmutableArray<RaftEntry> Entries);

/// <summary>
/// The bytes of a batch: a header of 44 bytes, the payload, zeros up to the next multiple of 512.
/// <code>
/// magic | payload length | first index | entries | sequence | previous header CRC | payload CRC | salt | header CRC
///   4          4               8            4         8              4                4           4        4
/// </code>
/// The header's checksum is the batch's hash: it covers the payload's checksum and the hash before, so the batches form a
/// chain. The salt comes from the store id, so that no entry's data can pass for a batch.
/// </summary>
internal static class LogBatchCodec
{
    public const int SectorBytes = 512;
    public const int HeaderBytes = 44;

    private const uint Magic = 0x4257_434B; // "KCWB"
    private const int PayloadBytesMax = 64 * 1024 * 1024;
    private const int HardStateBytes = 8 + 32 + 8;

    /// <summary>Encodes into a buffer whose length is a multiple of the sector.</summary>
    public static byte[] Encode(LogBatch batch, ulong sequence, uint previousHash, uint salt)
    {
        var writer = new FieldWriter(1024);
        writer.Raw(stackalloc byte[HeaderBytes]);
        writer.U64(batch.HardState.Term);
        writer.Member(batch.HardState.Vote);
        writer.U64(batch.HardState.Commit);
        writer.U64(batch.InstalledIndex);
        writer.U64(batch.InstalledTerm);
        foreach (RaftEntry entry in batch.Entries)
        {
            RaftMessageCodec.WriteEntry(writer, entry);
        }

        int payloadBytes = writer.Length - HeaderBytes;
        var bytes = new byte[(writer.Length + SectorBytes - 1) / SectorBytes * SectorBytes];
        writer.Written.CopyTo(bytes);
        Span<byte> header = bytes.AsSpan(0, HeaderBytes);
        BinaryPrimitives.WriteUInt32LittleEndian(header, Magic);
        BinaryPrimitives.WriteInt32LittleEndian(header[4..], payloadBytes);
        BinaryPrimitives.WriteUInt64LittleEndian(header[8..], batch.Entries is [var first, ..] ? first.Index : 0);
        BinaryPrimitives.WriteInt32LittleEndian(header[16..], batch.Entries.Length);
        BinaryPrimitives.WriteUInt64LittleEndian(header[20..], sequence);
        BinaryPrimitives.WriteUInt32LittleEndian(header[28..], previousHash);
        BinaryPrimitives.WriteUInt32LittleEndian(header[32..], Crc32C.Of(bytes.AsSpan(HeaderBytes, payloadBytes)));
        BinaryPrimitives.WriteUInt32LittleEndian(header[36..], salt);
        BinaryPrimitives.WriteUInt32LittleEndian(header[40..], Crc32C.Of(header[..40]));
        return bytes;
    }

    /// <summary>The hash of an encoded batch, which the next one names.</summary>
    public static uint HashOf(ReadOnlySpan<byte> encoded) => BinaryPrimitives.ReadUInt32LittleEndian(encoded[40..]);

    /// <summary>Reads the batch that begins at <paramref name="offset"/>; false when there is no intact one.</summary>
    public static bool TryDecode(ReadOnlySpan<byte> segment, int offset, uint salt, [NotNullWhen(true)] out DecodedBatch? decoded)
    {
        decoded = null;
        if (offset + HeaderBytes > segment.Length)
        {
            return false;
        }

        ReadOnlySpan<byte> header = segment.Slice(offset, HeaderBytes);
        int payloadBytes = BinaryPrimitives.ReadInt32LittleEndian(header[4..]);
        uint hash = BinaryPrimitives.ReadUInt32LittleEndian(header[40..]);
        if (BinaryPrimitives.ReadUInt32LittleEndian(header) != Magic
            || BinaryPrimitives.ReadUInt32LittleEndian(header[36..]) != salt
            || hash != Crc32C.Of(header[..40])
            || payloadBytes is < HardStateBytes or > PayloadBytesMax
            || offset + HeaderBytes + (long)payloadBytes > segment.Length)
        {
            return false;
        }

        ReadOnlySpan<byte> payload = segment.Slice(offset + HeaderBytes, payloadBytes);
        int count = BinaryPrimitives.ReadInt32LittleEndian(header[16..]);
        if (Crc32C.Of(payload) != BinaryPrimitives.ReadUInt32LittleEndian(header[32..]) || count < 0)
        {
            return false;
        }

        var reader = new FieldReader(payload);
        var hardState = new HardState(reader.U64(), reader.Member(), reader.U64());
        ulong installedIndex = reader.U64();
        ulong installedTerm = reader.U64();
        ImmutableArray<RaftEntry>.Builder entries = ImmutableArray.CreateBuilder<RaftEntry>();
        for (int i = 0; i < count && reader.IsValid; i++)
        {
            entries.Add(RaftMessageCodec.ReadEntry(ref reader));
        }

        if (!reader.IsAtValidEnd)
        {
            return false;
        }

        int length = (HeaderBytes + payloadBytes + SectorBytes - 1) / SectorBytes * SectorBytes;
        decoded = new DecodedBatch(
            new LogBatch(hardState, installedIndex, installedTerm, entries.DrainToImmutable()),
            BinaryPrimitives.ReadUInt64LittleEndian(header[20..]),
            BinaryPrimitives.ReadUInt32LittleEndian(header[28..]),
            hash,
            length);
        return true;
    }
}

/// <summary>A batch read back, with its place in the chain and its length in the file.</summary>
internal sealed record DecodedBatch(LogBatch Batch, ulong Sequence, uint PreviousHash, uint Hash, int Length);

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
        var bytes = new byte[LengthInFile(payloadBytes)];
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

    /// <summary>
    /// True if a power cut during the write of the last batch can have left what is at <paramref name="offset"/>: then at
    /// least one of its sectors still holds the zeros from before. A disk writes a sector whole or not at all, so a batch
    /// without such a sector was written to its end, perhaps acknowledged, and has changed since.
    /// </summary>
    public static bool CanBeTorn(ReadOnlySpan<byte> segment, int offset, uint salt)
    {
        ReadOnlySpan<byte> rest = segment[offset..];
        if (rest[..Math.Min(SectorBytes, rest.Length)].IndexOfAnyExcept((byte)0) < 0)
        {
            return true;
        }

        if (!IsHeader(rest, salt, out int payloadBytes))
        {
            return false;
        }

        int length = LengthInFile(payloadBytes);
        for (int sector = SectorBytes; sector < length; sector += SectorBytes)
        {
            if (rest[sector..Math.Min(sector + SectorBytes, rest.Length)].IndexOfAnyExcept((byte)0) < 0)
            {
                return rest[length..].IndexOfAnyExcept((byte)0) < 0;
            }
        }

        return false;
    }

    /// <summary>Reads the batch that begins at <paramref name="offset"/>; false when there is no intact one.</summary>
    public static bool TryDecode(ReadOnlySpan<byte> segment, int offset, uint salt, [NotNullWhen(true)] out DecodedBatch? decoded)
    {
        decoded = null;
        if (offset > segment.Length || !IsHeader(segment[offset..], salt, out int payloadBytes))
        {
            return false;
        }

        ReadOnlySpan<byte> header = segment.Slice(offset, HeaderBytes);
        uint hash = BinaryPrimitives.ReadUInt32LittleEndian(header[40..]);
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

        decoded = new DecodedBatch(
            new LogBatch(hardState, installedIndex, installedTerm, entries.DrainToImmutable()),
            BinaryPrimitives.ReadUInt64LittleEndian(header[20..]),
            BinaryPrimitives.ReadUInt32LittleEndian(header[28..]),
            hash,
            LengthInFile(payloadBytes));
        return true;
    }

    private static int LengthInFile(int payloadBytes) => (HeaderBytes + payloadBytes + SectorBytes - 1) / SectorBytes * SectorBytes;

    // An intact header whose whole batch fits into what follows.
    private static bool IsHeader(ReadOnlySpan<byte> bytes, uint salt, out int payloadBytes)
    {
        payloadBytes = 0;
        if (bytes.Length < HeaderBytes
            || BinaryPrimitives.ReadUInt32LittleEndian(bytes) != Magic
            || BinaryPrimitives.ReadUInt32LittleEndian(bytes[36..]) != salt
            || BinaryPrimitives.ReadUInt32LittleEndian(bytes[40..]) != Crc32C.Of(bytes[..40]))
        {
            return false;
        }

        payloadBytes = BinaryPrimitives.ReadInt32LittleEndian(bytes[4..]);
        return payloadBytes is >= HardStateBytes and <= PayloadBytesMax && LengthInFile(payloadBytes) <= bytes.Length;
    }
}

/// <summary>A batch read back, with its place in the chain and its length in the file.</summary>
internal sealed record DecodedBatch(LogBatch Batch, ulong Sequence, uint PreviousHash, uint Hash, int Length);

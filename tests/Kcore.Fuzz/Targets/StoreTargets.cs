using System.Buffers.Binary;
using Kcore.Daemon.Storage.RaftLog;
using Kcore.Fuzz.Mutators;
using Kcore.Raft;

namespace Kcore.Fuzz.Targets;

/// <summary>What a disk gives back: the files of the Raft store, damaged behind their checksums too.</summary>
internal static class StoreTargets
{
    public static readonly Func<FuzzTarget>[] All = [Batch, () => File("store-segment", "segment-000000000001"), () => File("store-snapshot", "snapshot-00000000000000000003"), () => File("store-identity", "identity")];

    private const int SegmentBytes = 8 * 1024;

    private static readonly StoreIdentity Identity = new(new Guid(1, 2, 3, new byte[8]), new Guid(4, 5, 6, new byte[8]), new Guid(7, 8, 9, new byte[8]), 1, "machine");

    private static FuzzTarget Batch()
    {
        LogBatch[] batches =
        [
            new(new HardState(1, MemberId.None, 0), 0, 0, []),
            new(new HardState(3, RaftTargets.Id(2), 4), 0, 0, [new RaftEntry(5, 3, RaftEntryKind.Command, new byte[700]), new RaftEntry(6, 3, RaftEntryKind.Empty, default)]),
            new(new HardState(3, RaftTargets.Id(2), 9), 9, 2, []),
        ];
        return new FuzzTarget(
            "log-batch",
            new Resealed(new ByteMutator(isBigEndian: false), SealBatch),
            [.. batches.Select(batch => LogBatchCodec.Encode(batch, 1, 7, 99))],
            bytes => LogBatchCodec.TryDecode(bytes, 0, 99, out DecodedBatch? decoded) ? decoded : null)
        {
            Write = value => ((DecodedBatch)value) is var decoded ? LogBatchCodec.Encode(decoded.Batch, decoded.Sequence, decoded.PreviousHash, 99) : [],
        };
    }

    // Opening repairs a torn tail or says what is wrong; a second opening must find what the first left.
    private static FuzzTarget File(string target, string name)
    {
        MemoryFiles good = Store();
        return new FuzzTarget(
            target,
            new Resealed(new ByteMutator(isBigEndian: false, lengthMax: SegmentBytes * 2), name.StartsWith("segment", StringComparison.Ordinal) ? SealSegment : SealFile),
            [good[name]],
            bytes =>
            {
                MemoryFiles files = Store();
                files[name] = bytes;
                using RaftStore store = RaftStore.Open(files, SegmentBytes);
                using RaftStore again = RaftStore.Open(files, SegmentBytes);
                return store.InitialState.Entries.SequenceEqual(again.InitialState.Entries, Same.Instance)
                    ? store
                    : throw new FuzzFailureException("Opened twice it holds two logs.", bytes);
            })
        {
            IsRefusal = exception => exception is CorruptStoreException or NewerVersionException,
            AllocationBase = 512 * 1024,
            AllocationPerByte = 32,
            Cost = 8,
        };
    }

    private static MemoryFiles Store()
    {
        var files = new MemoryFiles();
        RaftStore.Found(files, Identity, new byte[40], SegmentBytes);
        using RaftStore store = RaftStore.Open(files, SegmentBytes);
        for (ulong id = 1; id <= 4; id++)
        {
            store.Write(new StorageBatch(id, new HardState(id, MemberId.None, id), [new RaftEntry(id + 2, id, RaftEntryKind.Command, new byte[100])], null));
        }

        store.SaveSnapshot(new RaftSnapshot(3, 1, Configuration.Of([store.Member]), 2, new byte[50]), 1);
        return files;
    }

    private static void SealBatch(byte[] bytes)
    {
        if (bytes.Length < LogBatchCodec.HeaderBytes)
        {
            return;
        }

        int payload = Math.Clamp(BinaryPrimitives.ReadInt32LittleEndian(bytes.AsSpan(4)), 0, bytes.Length - LogBatchCodec.HeaderBytes);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(32), Crc32C.Of(bytes.AsSpan(LogBatchCodec.HeaderBytes, payload)));
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(40), Crc32C.Of(bytes.AsSpan(0, 40)));
    }

    private static void SealSegment(byte[] bytes)
    {
        const int checkedBytes = 29;
        if (bytes.Length < checkedBytes + 4)
        {
            return;
        }

        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(checkedBytes), Crc32C.Of(bytes.AsSpan(0, checkedBytes)));
        for (int at = LogBatchCodec.SectorBytes; at + LogBatchCodec.SectorBytes <= bytes.Length; at += LogBatchCodec.SectorBytes)
        {
            if (BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(at)) == 0x4257_434B)
            {
                byte[] batch = bytes[at..];
                SealBatch(batch);
                batch.CopyTo(bytes, at);
            }
        }
    }

    private static void SealFile(byte[] bytes)
    {
        const int header = 8;
        if (bytes.Length < header + 4)
        {
            return;
        }

        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(4), bytes.Length - header - 4);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(bytes.Length - 4), Crc32C.Of(bytes.AsSpan(header, bytes.Length - header - 4)));
    }

    /// <summary>Makes the checksums right again after two of three changes.</summary>
    private sealed class Resealed(IMutator inner, Action<byte[]> seal) : IMutator
    {
        public byte[] Mutate(byte[] input, byte[] other, Chance chance)
        {
            byte[] bytes = inner.Mutate(input, other, chance);
            if (!chance.OneIn(3))
            {
                seal(bytes);
            }

            return bytes;
        }
    }

    private sealed class Same : IEqualityComparer<RaftEntry>
    {
        public static readonly Same Instance = new();

        public bool Equals(RaftEntry x, RaftEntry y) =>
            x.Index == y.Index && x.Term == y.Term && x.Kind == y.Kind && x.Data.Span.SequenceEqual(y.Data.Span);

        public int GetHashCode(RaftEntry entry) => entry.Index.GetHashCode();
    }
}

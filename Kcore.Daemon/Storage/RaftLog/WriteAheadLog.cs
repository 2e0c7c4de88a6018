using Kcore.Raft;

namespace Kcore.Daemon.Storage.RaftLog;

/// <summary>
/// The segments of a store's log. Batches are only ever appended: one write and one sync each, into room that was filled
/// with zeros before. Not thread-safe; one writer owns it.
/// </summary>
internal sealed class WriteAheadLog : IDisposable
{
    private const string Prefix = "segment-";
    private const uint SegmentMagic = 0x4753_434B; // "KCSG"
    private const byte Version = 1;

    private readonly IFileLayer _files;
    private readonly Ballast _ballast;
    private readonly int _segmentBytes;
    private readonly Guid _storeId;
    private readonly uint _salt;

    // Every segment with the largest entry index in it; the last one is open for writing.
    private readonly List<(ulong Number, ulong IndexMax)> _segments = [];
    private IStoreFile? _open;
    private long _position;
    private ulong _nextSequence = 1;
    private uint _lastHash;

    private WriteAheadLog(IFileLayer files, Ballast ballast, Guid storeId, int segmentBytes)
    {
        _files = files;
        _ballast = ballast;
        _storeId = storeId;
        _segmentBytes = segmentBytes;
        _salt = Crc32C.Of(storeId.ToByteArray());
    }

    /// <summary>Makes the first segment of a new store.</summary>
    public static WriteAheadLog Create(IFileLayer files, Ballast ballast, Guid storeId, int segmentBytes)
    {
        var log = new WriteAheadLog(files, ballast, storeId, segmentBytes);
        log.StartSegment(1, 0);
        return log;
    }

    /// <summary>Reads everything back, in order, and gets ready to append behind it.</summary>
    /// <exception cref="CorruptStoreException">Something is damaged that can't be the last, unfinished write.</exception>
    public static WriteAheadLog Open(IFileLayer files, Ballast ballast, Guid storeId, int segmentBytes, Action<LogBatch> replay)
    {
        var log = new WriteAheadLog(files, ballast, storeId, segmentBytes);
        ulong[] numbers =
        [
            .. files.List()
                .Where(name => name.StartsWith(Prefix, StringComparison.Ordinal) && ulong.TryParse(name.AsSpan(Prefix.Length), out _))
                .Select(name => ulong.Parse(name.AsSpan(Prefix.Length))),
        ];
        for (int i = 0; i < numbers.Length; i++)
        {
            if (i > 0 && numbers[i] != numbers[i - 1] + 1)
            {
                throw new CorruptStoreException($"Segment {numbers[i - 1] + 1} of the log is missing.");
            }

            log.Recover(numbers[i], isFirst: i == 0, isLast: i == numbers.Length - 1, replay);
        }

        return log._open is null ? throw new CorruptStoreException("The log has no segment.") : log;
    }

    /// <summary>Makes one batch durable.</summary>
    public void Append(LogBatch batch)
    {
        byte[] bytes = LogBatchCodec.Encode(batch, _nextSequence, _lastHash, _salt);
        if (_position + bytes.Length > _open!.Length)
        {
            StartSegment(_segments[^1].Number + 1, bytes.Length);
        }

        _open.Write(_position, bytes);
        _open.SyncData();
        NoteBatch(batch, _nextSequence, LogBatchCodec.HashOf(bytes), bytes.Length);
    }

    /// <summary>Removes the oldest segments as long as they hold only entries before <paramref name="index"/>.</summary>
    public void DeleteBefore(ulong index)
    {
        // Every batch carries the hard state, so it survives as long as the last segment holds a batch. One deletion
        // at a time becomes durable: coming back out of order would look like a hole.
        while (_segments.Count > 1 && _segments[0].IndexMax < index && _position > LogBatchCodec.SectorBytes)
        {
            _files.Delete(Name(_segments[0].Number));
            _files.SyncDirectory();
            _segments.RemoveAt(0);
        }
    }

    public void Dispose() => _open?.Dispose();

    private static string Name(ulong number) => $"{Prefix}{number:D12}";

    private void NoteBatch(LogBatch batch, ulong sequence, uint hash, int length)
    {
        _nextSequence = sequence + 1;
        _lastHash = hash;
        _position += length;
        if (batch.Entries is [.., var last])
        {
            (ulong number, ulong indexMax) = _segments[^1];
            _segments[^1] = (number, Math.Max(indexMax, last.Index));
        }
    }

    private void StartSegment(ulong number, int batchBytes)
    {
        // Nothing that was acknowledged is in the new file, so a refusal can be answered by making it anew.
        _ballast.Spend(() => MakeSegment(number, Math.Max(_segmentBytes, LogBatchCodec.SectorBytes + batchBytes)));
        _segments.Add((number, 0));
        _position = LogBatchCodec.SectorBytes;
    }

    private void MakeSegment(ulong number, int length)
    {
        IStoreFile made = _files.Create(Name(number));
        try
        {
            made.Preallocate(length);
            var header = new FieldWriter();
            header.U32(SegmentMagic);
            header.U8(Version);
            header.Id(_storeId);
            header.U64(number);
            header.U32(Crc32C.Of(header.Written));
            made.Write(0, header.Written);
            made.Sync();
            _files.SyncDirectory();
        }
        catch (DiskFullException)
        {
            made.Dispose();
            _files.Delete(Name(number));
            throw;
        }

        _open?.Dispose();
        _open = made;
    }

    // Whatever else a newer version changes, its header begins alike and is sealed alike.
    private bool IsSegmentHeader(ReadOnlySpan<byte> segment, ulong number)
    {
        const int checkedBytes = 4 + 1 + 16 + 8;
        if (segment.Length < LogBatchCodec.SectorBytes)
        {
            return false;
        }

        var reader = new FieldReader(segment[..(checkedBytes + 4)]);
        bool isSegment = reader.U32() == SegmentMagic;
        byte version = reader.U8();
        isSegment &= reader.Id() == _storeId;
        isSegment &= reader.U64() == number;
        isSegment &= reader.U32() == Crc32C.Of(segment[..checkedBytes]);
        return isSegment && version > Version
            ? throw new NewerVersionException($"Segment {number} of the log (format {version})")
            : isSegment && version == Version;
    }

    private void Recover(ulong number, bool isFirst, bool isLast, Action<LogBatch> replay)
    {
        IStoreFile file = _files.Open(Name(number));
        var segment = new byte[file.Length];
        int read = file.Read(0, segment);
        Array.Clear(segment, read, segment.Length - read);
        bool isSegment;
        try
        {
            isSegment = IsSegmentHeader(segment, number);
        }
        catch (NewerVersionException)
        {
            file.Dispose();
            throw;
        }

        if (!isSegment)
        {
            file.Dispose();
            if (!isLast || isFirst || HoldsBatch(segment, 0))
            {
                throw new CorruptStoreException($"Segment {number} of the log has a damaged header.");
            }

            // Its making was interrupted: a segment holds batches only after its header became durable.
            StartSegment(number, 0);
            return;
        }

        _open?.Dispose();
        _open = file;
        _segments.Add((number, 0));
        _position = LogBatchCodec.SectorBytes;
        bool isChainKnown = !isFirst;
        while (LogBatchCodec.TryDecode(segment, (int)_position, _salt, out DecodedBatch? decoded)
            && (!isChainKnown || (decoded.Sequence == _nextSequence && decoded.PreviousHash == _lastHash)))
        {
            isChainKnown = true;
            replay(decoded.Batch);
            NoteBatch(decoded.Batch, decoded.Sequence, decoded.Hash, decoded.Length);
        }

        int rest = (int)Math.Min(_position, segment.Length);
        bool isClean = segment.AsSpan(rest).IndexOfAnyExcept((byte)0) < 0;
        if (isClean)
        {
            return;
        }

        // A write that was under way can only be the very last thing in the log. Anything intact behind it was
        // acknowledged, and so was what is damaged now.
        if (!isLast || HoldsBatch(segment, rest))
        {
            throw new CorruptStoreException($"Segment {number} of the log is damaged at byte {rest}, with more behind it.");
        }

        if (!LogBatchCodec.CanBeTorn(segment, rest, _salt))
        {
            throw new CorruptStoreException($"The last batch of the log, at byte {rest} of segment {number}, was written whole and is damaged.");
        }

        file.Write(rest, new byte[segment.Length - rest]);
        file.Sync();
    }

    private bool HoldsBatch(ReadOnlySpan<byte> segment, int from)
    {
        for (int offset = from; offset < segment.Length; offset += LogBatchCodec.SectorBytes)
        {
            if (LogBatchCodec.TryDecode(segment, offset, _salt, out _))
            {
                return true;
            }
        }

        return false;
    }
}

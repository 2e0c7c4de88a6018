using System.Diagnostics.CodeAnalysis;
using Kcore.Raft;

namespace Kcore.Daemon.Ipam;

/// <summary>
/// The moves under way, and for as long as a late duplicate may come in those that have ended, with how: what was given up
/// must not begin again, what was done is done when it is asked for again.
/// </summary>
internal sealed class MoveTable
{
    private const int RowsMax = 1_000_000;
    private const byte HasAddress = 1;
    private const byte Leased = 2;
    private const byte Spoofing = 4;
    private const byte InNamespace = 8;

    /// <summary>Those that say something about the NIC.</summary>
    public const byte NicFlags = HasAddress | Leased | Spoofing | InNamespace;

    private const byte SourceKnows = 16;
    private const byte TargetKnows = 32;

    private readonly SortedDictionary<Guid, MoveRecord> _rows = [];
    private readonly SortedDictionary<Guid, (ulong Index, bool IsDone)> _ended = [];
    private readonly SortedSet<(ulong Index, Guid Move)> _endedByAge = [];

    public IEnumerable<MoveRecord> Rows => _rows.Values;

    public bool TryGet(Guid move, [NotNullWhen(true)] out MoveRecord? row) => _rows.TryGetValue(move, out row);

    /// <summary>Whether it was done or given up; null when neither is known.</summary>
    public bool? HowEnded(Guid move) => _ended.TryGetValue(move, out (ulong, bool IsDone) end) ? end.IsDone : null;

    /// <summary>The one that has not been handed over; there is at most one.</summary>
    public MoveRecord? PendingOf(AttachmentId attachment) => _rows.Values.FirstOrDefault(row => row.IsPending && row.Nic.Attachment == attachment);

    public void Put(MoveRecord row) => _rows[row.Move] = row;

    public void End(Guid move, ulong index, bool isDone)
    {
        _rows.Remove(move);
        if (_ended.TryAdd(move, (index, isDone)))
        {
            _endedByAge.Add((index, move));
        }
    }

    /// <summary>Forgets what ended before <paramref name="index"/>.</summary>
    public void ForgetBefore(ulong index)
    {
        while (_endedByAge.Count > 0 && _endedByAge.Min.Index < index)
        {
            _ended.Remove(_endedByAge.Min.Move);
            _endedByAge.Remove(_endedByAge.Min);
        }
    }

    public void Write(FieldWriter writer)
    {
        writer.U32((uint)_rows.Count);
        foreach (MoveRecord row in _rows.Values)
        {
            writer.Id(row.Move);
            WriteNic(writer, row.Nic, (row.SourceKnows ? SourceKnows : 0) | (row.TargetKnows ? TargetKnows : 0));
            writer.U64(row.Begun);
            writer.U64(row.HandedOver);
            writer.U64(row.ChangedIndex);
        }

        writer.U32((uint)_ended.Count);
        foreach ((Guid move, (ulong index, bool isDone)) in _ended)
        {
            writer.Id(move);
            writer.U64(index);
            writer.Flag(isDone);
        }
    }

    /// <summary>False when what the bytes say can't be true.</summary>
    /// <param name="reader">Stands at what <see cref="Write"/> wrote.</param>
    /// <param name="isPossible">Whether the rest of the state allows a move.</param>
    public bool TryRead(ref FieldReader reader, Func<MoveRecord, bool> isPossible)
    {
        HashSet<AttachmentId> pending = [];
        for (int left = reader.Count(RowsMax, 120); left > 0; left--)
        {
            Guid move = reader.Id();
            MovingNic nic = ReadNic(ref reader, out byte flags);
            var row = new MoveRecord(move, nic, reader.U64(), reader.U64(), (flags & SourceKnows) != 0, (flags & TargetKnows) != 0, reader.U64());
            bool isKnown = row.SourceKnows || row.TargetKnows;
            if (!reader.IsValid
                || (flags & ~(NicFlags | SourceKnows | TargetKnows)) != 0
                || (row.IsPending && (isKnown || !pending.Add(nic.Attachment)))
                || (row.SourceKnows && row.TargetKnows)
                || !isPossible(row)
                || !_rows.TryAdd(move, row))
            {
                return false;
            }
        }

        for (int left = reader.Count(RowsMax, 25); left > 0; left--)
        {
            Guid move = reader.Id();
            ulong index = reader.U64();
            bool isDone = reader.Flag();
            if (!reader.IsValid || _rows.ContainsKey(move) || !_ended.TryAdd(move, (index, isDone)))
            {
                return false;
            }

            _endedByAge.Add((index, move));
        }

        return reader.IsValid;
    }

    public static void WriteNic(FieldWriter writer, MovingNic nic, int flags = 0)
    {
        writer.U8((byte)(flags | (nic.Address is null ? 0 : HasAddress) | (nic.IsLeased ? Leased : 0) | (nic.AllowSpoofing ? Spoofing : 0) | (nic.Netns is null ? 0 : InNamespace)));
        writer.Id(nic.Attachment.Value);
        writer.Id(nic.Network.Value);
        writer.Text(nic.Name);
        CommandCodec.WriteMac(writer, nic.Mac);
        writer.Id(nic.From);
        writer.Id(nic.To);
        if (nic.Address is not null)
        {
            CommandCodec.WriteAddress(writer, nic.Address);
        }

        if (nic.Netns is not null)
        {
            writer.Text(nic.Netns);
            writer.Text(nic.Ifname ?? "");
        }
    }

    public static MovingNic ReadNic(ref FieldReader reader, out byte flags)
    {
        flags = reader.U8();
        var nic = new MovingNic(
            new AttachmentId(reader.Id()),
            new NetworkUid(reader.Id()),
            reader.Text(CommandCodec.NameBytesMax),
            CommandCodec.ReadMac(ref reader),
            null,
            reader.Id(),
            reader.Id(),
            (flags & Leased) != 0,
            (flags & Spoofing) != 0);
        nic = (flags & HasAddress) == 0 ? nic : nic with { Address = CommandCodec.ReadAddress(ref reader) };
        return (flags & InNamespace) == 0 ? nic : nic with { Netns = reader.Text(CommandCodec.NameBytesMax), Ifname = reader.Text(CommandCodec.NameBytesMax) };
    }
}

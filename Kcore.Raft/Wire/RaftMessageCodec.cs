using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;

namespace Kcore.Raft;

/// <summary>
/// Bytes of a <see cref="RaftMessage"/>: version, kind, group, sender, receiver, term and the fields of the kind, little endian.
/// Every length is bounded before anything is allocated.
/// </summary>
public static class RaftMessageCodec
{
    /// <summary>Bound on one encoded message, in bytes.</summary>
    public const int MessageBytesMax = (1024 * 1024) + (64 * 1024);

    /// <summary>Bound on one piece of a snapshot, in bytes.</summary>
    public const int ChunkBytesMax = 1024 * 1024;

    /// <summary>Bound on the entries of one append, in count.</summary>
    public const int EntriesMax = 4096;

    private const byte Version = 1;

    // Index, term, kind and the length of the data.
    private const int EntryBytesMin = 8 + 8 + 1 + 4;

    public static byte[] Encode(RaftMessage message)
    {
        var writer = new FieldWriter();
        writer.U8(Version);
        writer.U8(KindOf(message));
        writer.Id(message.Group.ClusterId);
        writer.U32(message.Group.Epoch);
        writer.Member(message.From);
        writer.Member(message.To);
        writer.U64(message.Term);
        WriteFields(writer, message);
        return writer.ToArray();
    }

    /// <summary>False when the bytes are no message of this version; nothing else can happen.</summary>
    public static bool TryDecode(ReadOnlySpan<byte> bytes, [NotNullWhen(true)] out RaftMessage? message)
    {
        message = null;
        var reader = new FieldReader(bytes);
        if (bytes.Length > MessageBytesMax || reader.U8() != Version)
        {
            return false;
        }

        byte kind = reader.U8();
        var group = new RaftGroup(reader.Id(), reader.U32());
        MemberId from = reader.Member();
        MemberId to = reader.Member();
        ulong term = reader.U64();
        RaftMessage? read = ReadFields(ref reader, kind, group, from, to, term);
        if (read is null || !reader.IsAtValidEnd)
        {
            return false;
        }

        message = read;
        return true;
    }

    private static byte KindOf(RaftMessage message) => message switch
    {
        RaftMessage.VoteRequest => 1,
        RaftMessage.VoteReply => 2,
        RaftMessage.AppendRequest => 3,
        RaftMessage.AppendReply => 4,
        RaftMessage.Heartbeat => 5,
        RaftMessage.HeartbeatReply => 6,
        RaftMessage.SnapshotChunk => 7,
        RaftMessage.SnapshotChunkReply => 8,
        RaftMessage.TimeoutNow => 9,
        RaftMessage.ReadRequest => 10,
        RaftMessage.ReadReply => 11,
        _ => throw new ArgumentException($"{message.GetType()} has no encoding.", nameof(message)),
    };

    private static void WriteFields(FieldWriter writer, RaftMessage message)
    {
        switch (message)
        {
            case RaftMessage.VoteRequest vote:
                writer.Flag(vote.Pre);
                writer.Flag(vote.IsTransfer);
                writer.U64(vote.LastIndex);
                writer.U64(vote.LastTerm);
                break;
            case RaftMessage.VoteReply reply:
                writer.Flag(reply.Pre);
                writer.Flag(reply.Granted);
                break;
            case RaftMessage.AppendRequest append:
                writer.U64(append.PrevIndex);
                writer.U64(append.PrevTerm);
                writer.U64(append.Commit);
                writer.U32((uint)append.Entries.Length);
                foreach (RaftEntry entry in append.Entries)
                {
                    WriteEntry(writer, entry);
                }

                break;
            case RaftMessage.AppendReply reply:
                writer.Flag(reply.Accepted);
                writer.U64(reply.Index);
                writer.U64(reply.HintIndex);
                writer.U64(reply.HintTerm);
                break;
            case RaftMessage.Heartbeat heartbeat:
                writer.U64(heartbeat.Commit);
                writer.U64(heartbeat.Round);
                break;
            case RaftMessage.HeartbeatReply reply:
                writer.U64(reply.Round);
                writer.Flag(reply.IsStalled);
                break;
            case RaftMessage.SnapshotChunk chunk:
                WriteSnapshot(writer, chunk.Header);
                writer.U32(chunk.TotalBytes);
                writer.U32(chunk.Checksum);
                writer.U32(chunk.Offset);
                writer.Bytes(chunk.Data.Span);
                break;
            case RaftMessage.SnapshotChunkReply reply:
                writer.U64(reply.Index);
                writer.U32(reply.Offset);
                break;
            case RaftMessage.TimeoutNow timeout:
                writer.U64(timeout.LastIndex);
                writer.U64(timeout.LastTerm);
                break;
            case RaftMessage.ReadRequest request:
                writer.U64(request.Session);
                writer.U64(request.Token);
                break;
            case RaftMessage.ReadReply reply:
                writer.U64(reply.Session);
                writer.U64(reply.Token);
                writer.U64(reply.Index);
                break;
            default:
                break;
        }
    }

    private static RaftMessage? ReadFields(
        ref FieldReader reader, byte kind, RaftGroup group, MemberId from, MemberId to, ulong term)
    {
        switch (kind)
        {
            case 1:
                bool isPre = reader.Flag();
                bool isTransfer = reader.Flag();
                return new RaftMessage.VoteRequest(isPre, reader.U64(), reader.U64())
                {
                    Group = group,
                    From = from,
                    To = to,
                    Term = term,
                    IsTransfer = isTransfer,
                };
            case 2:
                return new RaftMessage.VoteReply(reader.Flag(), reader.Flag()) { Group = group, From = from, To = to, Term = term };
            case 3:
                return new RaftMessage.AppendRequest(reader.U64(), reader.U64(), reader.U64(), ReadEntries(ref reader))
                {
                    Group = group,
                    From = from,
                    To = to,
                    Term = term,
                };
            case 4:
                return new RaftMessage.AppendReply(reader.Flag(), reader.U64(), reader.U64(), reader.U64())
                {
                    Group = group,
                    From = from,
                    To = to,
                    Term = term,
                };
            case 5:
                return new RaftMessage.Heartbeat(reader.U64()) { Group = group, From = from, To = to, Term = term, Round = reader.U64() };
            case 6:
                return new RaftMessage.HeartbeatReply
                {
                    Group = group,
                    From = from,
                    To = to,
                    Term = term,
                    Round = reader.U64(),
                    IsStalled = reader.Flag(),
                };
            case 7:
                return ReadSnapshot(ref reader) is { Data.IsEmpty: true } header
                    ? new RaftMessage.SnapshotChunk(header, reader.U32(), reader.U32(), reader.U32(), reader.Bytes(ChunkBytesMax).ToArray())
                    {
                        Group = group,
                        From = from,
                        To = to,
                        Term = term,
                    }
                    : null;
            case 8:
                return new RaftMessage.SnapshotChunkReply(reader.U64(), reader.U32()) { Group = group, From = from, To = to, Term = term };
            case 9:
                return new RaftMessage.TimeoutNow(reader.U64(), reader.U64()) { Group = group, From = from, To = to, Term = term };
            case 10:
                return new RaftMessage.ReadRequest(reader.U64(), reader.U64()) { Group = group, From = from, To = to, Term = term };
            case 11:
                return new RaftMessage.ReadReply(reader.U64(), reader.U64(), reader.U64()) { Group = group, From = from, To = to, Term = term };
            default:
                return null;
        }
    }

    /// <summary>Appends one entry; also the form in which the write-ahead log holds it.</summary>
    public static void WriteEntry(FieldWriter writer, in RaftEntry entry)
    {
        writer.U64(entry.Index);
        writer.U64(entry.Term);
        writer.U8((byte)entry.Kind);
        writer.Bytes(entry.Data.Span);
    }

    /// <summary>Reads one entry; check <see cref="FieldReader.IsValid"/> afterwards.</summary>
    public static RaftEntry ReadEntry(ref FieldReader reader)
    {
        ulong index = reader.U64();
        ulong term = reader.U64();
        byte kind = reader.U8();
        ReadOnlySpan<byte> data = reader.Bytes(RaftEntry.EntryBytesMax);
        if (kind > (byte)RaftEntryKind.Configuration)
        {
            reader.Fail();
        }

        return new RaftEntry(index, term, (RaftEntryKind)kind, data.ToArray());
    }

    /// <summary>Appends a snapshot; also the form of a snapshot file's body.</summary>
    public static void WriteSnapshot(FieldWriter writer, RaftSnapshot snapshot)
    {
        writer.U64(snapshot.Index);
        writer.U64(snapshot.Term);
        ConfigurationCodec.Write(writer, snapshot.Configuration);
        writer.U64(snapshot.ConfigurationIndex);
        writer.Bytes(snapshot.Data.Span);
    }

    /// <summary>Reads a snapshot, or null when there is none that makes sense.</summary>
    public static RaftSnapshot? ReadSnapshot(ref FieldReader reader)
    {
        ulong index = reader.U64();
        ulong term = reader.U64();
        Configuration? configuration = ConfigurationCodec.Read(ref reader);
        ulong configurationIndex = reader.U64();
        ReadOnlySpan<byte> data = reader.Bytes(RaftSnapshot.DataBytesMax);
        return configuration is null || !reader.IsValid || configurationIndex > index || index == 0
            ? null
            : new RaftSnapshot(index, term, configuration, configurationIndex, data.ToArray());
    }

    private static ImmutableArray<RaftEntry> ReadEntries(ref FieldReader reader)
    {
        int count = reader.Count(EntriesMax, EntryBytesMin);
        ImmutableArray<RaftEntry>.Builder entries = ImmutableArray.CreateBuilder<RaftEntry>(count);
        for (int i = 0; i < count && reader.IsValid; i++)
        {
            entries.Add(ReadEntry(ref reader));
        }

        return entries.DrainToImmutable();
    }
}

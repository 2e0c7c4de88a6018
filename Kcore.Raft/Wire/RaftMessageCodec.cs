using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;

namespace Kcore.Raft;

/// <summary>
/// Bytes of a <see cref="RaftMessage"/>: version, kind, sender, receiver, term and the fields of the kind, little endian.
/// Every length is bounded before anything is allocated.
/// </summary>
public static class RaftMessageCodec
{
    /// <summary>Bound on one encoded message, in bytes.</summary>
    public const int MessageBytesMax = RaftSnapshot.DataBytesMax + (64 * 1024);

    /// <summary>Bound on the entries of one append, in count.</summary>
    public const int EntriesMax = 4096;

    private const byte Version = 1;

    // Index, term, kind and the length of the data.
    private const int EntryBytesMin = 8 + 8 + 1 + 4;

    public static byte[] Encode(RaftMessage message)
    {
        var writer = new FieldWriter();
        writer.U8(Version);
        writer.U8(message switch
        {
            RaftMessage.VoteRequest => 1,
            RaftMessage.VoteReply => 2,
            RaftMessage.AppendRequest => 3,
            RaftMessage.AppendReply => 4,
            RaftMessage.Heartbeat => 5,
            RaftMessage.HeartbeatReply => 6,
            RaftMessage.InstallSnapshot => 7,
            _ => throw new ArgumentException($"{message.GetType()} has no encoding.", nameof(message)),
        });
        writer.Member(message.From);
        writer.Member(message.To);
        writer.U64(message.Term);
        switch (message)
        {
            case RaftMessage.VoteRequest vote:
                writer.Flag(vote.Pre);
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
                break;
            case RaftMessage.InstallSnapshot install:
                WriteSnapshot(writer, install.Snapshot);
                break;
            default:
                break;
        }

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
        MemberId from = reader.Member();
        MemberId to = reader.Member();
        ulong term = reader.U64();
        RaftMessage? read = kind switch
        {
            1 => new RaftMessage.VoteRequest(reader.Flag(), reader.U64(), reader.U64()) { From = from, To = to, Term = term },
            2 => new RaftMessage.VoteReply(reader.Flag(), reader.Flag()) { From = from, To = to, Term = term },
            3 => new RaftMessage.AppendRequest(reader.U64(), reader.U64(), reader.U64(), ReadEntries(ref reader))
            {
                From = from,
                To = to,
                Term = term,
            },
            4 => new RaftMessage.AppendReply(reader.Flag(), reader.U64(), reader.U64(), reader.U64())
            {
                From = from,
                To = to,
                Term = term,
            },
            5 => new RaftMessage.Heartbeat(reader.U64()) { From = from, To = to, Term = term },
            6 => new RaftMessage.HeartbeatReply { From = from, To = to, Term = term },
            7 => ReadSnapshot(ref reader) is { } snapshot
                ? new RaftMessage.InstallSnapshot(snapshot) { From = from, To = to, Term = term }
                : null,
            _ => null,
        };
        if (read is null || !reader.IsAtValidEnd)
        {
            return false;
        }

        message = read;
        return true;
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

using System.Buffers;
using System.Buffers.Binary;

namespace Kcore.Daemon.Cluster.Streams;

/// <summary>What a request on a stream is about.</summary>
internal enum StreamKind : byte
{
    Gossip = 1,
    Hello = 2,
    Join = 3,

    /// <summary>Commands for the leader: the stream stays open and carries many, numbered, each with its answer.</summary>
    Propose = 4,

    /// <summary>Not a request: the stream stays open and carries messages of the log, one way.</summary>
    Raft = 5,

    /// <summary>Asks the leader how the log stands.</summary>
    LogReport = 6,

    /// <summary>Asks the leader to hand its seat over.</summary>
    Transfer = 7,

    /// <summary>Asks the leader up to where a quorum confirms the log; on the same stream as <see cref="Propose"/>.</summary>
    Read = 8,

    Keys = 32,
}

/// <summary>
/// Frames on a TLS stream: length u32 big-endian of what follows, kind u8, flags u8 (bit 0: last frame of an answer), body.
/// One request, then frames of the answer until the last one.
/// </summary>
internal readonly record struct StreamFrame(StreamKind Kind, bool Last, ReadOnlyMemory<byte> Body)
{
    /// <summary>Largest body that is read; longer answers come in several frames.</summary>
    public const int MaxBody = 4 << 20;

    private const int HeaderBytes = 6;
    private const byte LastFlag = 1;

    public static async ValueTask WriteAsync(Stream stream, StreamFrame frame, CancellationToken token)
    {
        byte[] bytes = new byte[HeaderBytes + frame.Body.Length];
        BinaryPrimitives.WriteUInt32BigEndian(bytes, (uint)(frame.Body.Length + 2));
        bytes[4] = (byte)frame.Kind;
        bytes[5] = frame.Last ? LastFlag : (byte)0;
        frame.Body.CopyTo(bytes.AsMemory(HeaderBytes));
        await stream.WriteAsync(bytes, token);
        await stream.FlushAsync(token);
    }

    /// <summary>Lays a frame out in a buffer, for a sender that puts several into one write.</summary>
    public static void Append(IBufferWriter<byte> buffer, StreamKind kind, ReadOnlySpan<byte> body)
    {
        Span<byte> room = buffer.GetSpan(HeaderBytes + body.Length);
        BinaryPrimitives.WriteUInt32BigEndian(room, (uint)(body.Length + 2));
        room[4] = (byte)kind;
        room[5] = 0;
        body.CopyTo(room[HeaderBytes..]);
        buffer.Advance(HeaderBytes + body.Length);
    }

    /// <summary>Null at an orderly end of the stream.</summary>
    /// <exception cref="InvalidDataException">The peer does not speak this protocol or exceeds its bounds.</exception>
    public static async ValueTask<StreamFrame?> ReadAsync(Stream stream, CancellationToken token)
    {
        byte[] header = new byte[HeaderBytes];
        int read = await stream.ReadAtLeastAsync(header, HeaderBytes, throwOnEndOfStream: false, token);
        if (read == 0)
        {
            return null;
        }

        byte[] body = RoomFor(header, read);
        await stream.ReadExactlyAsync(body, token);
        return Of(header, body);
    }

    /// <summary>As <see cref="ReadAsync"/>, waiting on the caller's thread.</summary>
    /// <exception cref="InvalidDataException">The peer does not speak this protocol or exceeds its bounds.</exception>
    public static StreamFrame? Read(Stream stream)
    {
        byte[] header = new byte[HeaderBytes];
        int read = stream.ReadAtLeast(header, HeaderBytes, throwOnEndOfStream: false);
        if (read == 0)
        {
            return null;
        }

        byte[] body = RoomFor(header, read);
        stream.ReadExactly(body);
        return Of(header, body);
    }

    private static byte[] RoomFor(ReadOnlySpan<byte> header, int read)
    {
        uint length = BinaryPrimitives.ReadUInt32BigEndian(header);
        return read < HeaderBytes || length is < 2 or > MaxBody + 2
            ? throw new InvalidDataException("stream frame out of bounds")
            : new byte[length - 2];
    }

    private static StreamFrame Of(ReadOnlySpan<byte> header, byte[] body) => new((StreamKind)header[4], (header[5] & LastFlag) != 0, body);
}

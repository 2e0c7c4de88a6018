using System.Globalization;

namespace Kcore.Ctl.Client;

/// <summary>A body that can only be read forward.</summary>
internal abstract class ReplyBody : Stream
{
    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override void Flush()
    {
    }

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    public abstract override int Read(Span<byte> buffer);

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    protected static CommandFailure Truncated() =>
        CommandFailure.WentAway();
}

/// <summary>A body of a known length, or, with null, one that lasts as long as the connection.</summary>
internal sealed class PlainBody(BufferedStream connection, long? length) : ReplyBody
{
    private long? _left = length;

    public override int Read(Span<byte> buffer)
    {
        if (_left is not { } left)
        {
            return connection.Read(buffer);
        }

        if (left == 0 || buffer.IsEmpty)
        {
            return 0;
        }

        int read = connection.Read(buffer[..(int)Math.Min(buffer.Length, left)]);
        _left = read == 0 ? throw Truncated() : left - read;
        return read;
    }
}

/// <summary>A body in chunks (RFC 9112 §7.1). Extensions and trailers are read over.</summary>
internal sealed class ChunkedBody(BufferedStream connection) : ReplyBody
{
    private const int LineMaxBytes = 4096;
    private long _left;
    private bool _inside;
    private bool _ended;

    public override int Read(Span<byte> buffer)
    {
        if (_ended || buffer.IsEmpty)
        {
            return 0;
        }

        if (_left == 0 && !NextChunk())
        {
            return 0;
        }

        int read = connection.Read(buffer[..(int)Math.Min(buffer.Length, _left)]);
        _left -= read == 0 ? throw Truncated() : read;
        return read;
    }

    private bool NextChunk()
    {
        int budget = LineMaxBytes;
        if (_inside && HttpReply.ReadLine(connection, ref budget).Length > 0)
        {
            throw CommandFailure.BadReply("the answer on the socket has a chunk longer than its size says");
        }

        string size = HttpReply.ReadLine(connection, ref budget).Split(';')[0].Trim();
        if (!long.TryParse(size, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out _left) || _left < 0)
        {
            throw CommandFailure.BadReply("the answer on the socket has a chunk without a size");
        }

        _inside = true;
        if (_left > 0)
        {
            return true;
        }

        while (HttpReply.ReadLine(connection, ref budget).Length > 0)
        {
        }

        _ended = true;
        return false;
    }
}

using System.Buffers;
using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Text;

namespace Kcore.Bench.Consensus;

/// <summary>
/// One HTTP/2 connection (RFC 9113) that makes unary gRPC calls: as little as the protocol asks, so that what is measured
/// is the server. A call has succeeded when a message came back and its stream ended well.
/// </summary>
internal sealed class GrpcConnection : IAsyncDisposable
{
    private const int HeaderBytes = 9;
    private const byte Data = 0, Headers = 1, Reset = 3, Settings = 4, Ping = 6, GoAway = 7, WindowUpdate = 8;
    private const byte EndStream = 1, Acknowledge = 1, EndHeaders = 4;

    private readonly Lock _turn = new();
    private readonly ConcurrentDictionary<int, Call> _calls = new();
    private readonly CancellationTokenSource _end = new();
    private readonly Stream _stream;
    private readonly Task _reading;
    private ArrayBufferWriter<byte> _waiting = new(4096);
    private ArrayBufferWriter<byte> _leaving = new(4096);
    private bool _isWriting;
    private volatile bool _isBroken;
    private int _lastStream = -1;

    private GrpcConnection(Stream stream)
    {
        _stream = stream;
        _reading = ReadAsync();
    }

    /// <summary>Speaks first, as a client that knows the server speaks HTTP/2 (RFC 9113 §3.3).</summary>
    public static async Task<GrpcConnection> OpenAsync(Stream stream, CancellationToken token)
    {
        var first = new ArrayBufferWriter<byte>();
        first.Write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"u8);
        Append(first, Settings, 0, 0, []);

        // Answers are never held back for want of room.
        Append(first, WindowUpdate, 0, 0, [0x3F, 0xFF, 0, 0]);
        try
        {
            await stream.WriteAsync(first.WrittenMemory, token);
        }
        catch (IOException)
        {
            await stream.DisposeAsync();
            throw;
        }

        return new GrpcConnection(stream);
    }

    public bool IsBroken => _isBroken;

    /// <exception cref="IOException">The call failed or the connection broke.</exception>
    public async Task CallAsync(string path, byte[] message, CancellationToken token)
    {
        var call = new Call();
        byte[] headers = RequestHeaders(path);
        byte[] body = [0, 0, 0, 0, 0, .. message];
        BinaryPrimitives.WriteInt32BigEndian(body.AsSpan(1), message.Length);
        int id;
        bool isMine;
        lock (_turn)
        {
            // Streams must be opened in the order of their numbers.
            id = _lastStream += 2;
            _calls[id] = call;
            Append(_waiting, Headers, EndHeaders, id, headers);
            Append(_waiting, Data, EndStream, id, body);
            isMine = !_isWriting;
            _isWriting = true;
        }

        try
        {
            if (isMine && await WriteWaitingAsync())
            {
                _ = WriteRestAsync();
            }

            if (_isBroken)
            {
                throw new IOException("the connection broke");
            }

            await call.Done.Task.WaitAsync(token);
        }
        catch (ObjectDisposedException e)
        {
            throw new IOException("the connection broke", e);
        }
        finally
        {
            _calls.TryRemove(id, out _);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync();
        await _reading;
        _end.Dispose();
    }

    private async Task WriteRestAsync()
    {
        await Task.Yield();
        try
        {
            while (await WriteWaitingAsync())
            {
                // Those that came meanwhile.
            }
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException)
        {
            // The reader tells it.
        }
    }

    private async ValueTask<bool> WriteWaitingAsync()
    {
        lock (_turn)
        {
            (_waiting, _leaving) = (_leaving, _waiting);
        }

        await _stream.WriteAsync(_leaving.WrittenMemory);
        _leaving.ResetWrittenCount();
        lock (_turn)
        {
            _isWriting = _waiting.WrittenCount > 0;
            return _isWriting;
        }
    }

    private async Task ReadAsync()
    {
        byte[] buffer = new byte[64 * 1024];
        int held = 0;
        try
        {
            while (true)
            {
                int read = await _stream.ReadAsync(buffer.AsMemory(held), _end.Token);
                if (read == 0)
                {
                    break;
                }

                held += read;
                int at = 0;
                while (held - at >= HeaderBytes && FrameLength(buffer, at) is var length && held - at >= HeaderBytes + length)
                {
                    Handle(buffer.AsSpan(at, HeaderBytes + length));
                    at += HeaderBytes + length;
                }

                buffer.AsSpan(at, held - at).CopyTo(buffer);
                held -= at;
            }
        }
        catch (Exception e) when (e is IOException or OperationCanceledException or ObjectDisposedException)
        {
            // Over.
        }

        _isBroken = true;
        await _stream.DisposeAsync();
        foreach (Call call in _calls.Values)
        {
            call.Done.TrySetException(new IOException("the connection broke"));
        }
    }

    // A settings frame may be at most 16 KiB unless asked otherwise (§6.5.2), so every frame fits into the buffer.
    private static int FrameLength(byte[] buffer, int at) => (buffer[at] << 16) | (buffer[at + 1] << 8) | buffer[at + 2];

    private void Handle(ReadOnlySpan<byte> frame)
    {
        byte type = frame[3], flags = frame[4];
        ReadOnlySpan<byte> payload = frame[HeaderBytes..];
        if (type == Settings && (flags & Acknowledge) == 0)
        {
            Control(Settings, []);
        }
        else if (type == Ping && (flags & Acknowledge) == 0)
        {
            Control(Ping, payload);
        }
        else if (type == GoAway)
        {
            throw new IOException("the server closes the connection");
        }
        else if (type is Data or Headers or Reset && _calls.TryGetValue(BinaryPrimitives.ReadInt32BigEndian(frame[5..]), out Call? call))
        {
            call.HasAnswer |= type == Data && payload.Length >= 5;
            if (type == Reset || (flags & EndStream) != 0)
            {
                if (call.HasAnswer && type != Reset)
                {
                    call.Done.TrySetResult();
                }
                else
                {
                    call.Done.TrySetException(new IOException("the call failed"));
                }
            }
        }
    }

    private void Control(byte type, ReadOnlySpan<byte> payload)
    {
        bool isMine;
        lock (_turn)
        {
            Append(_waiting, type, Acknowledge, 0, payload);
            isMine = !_isWriting;
            _isWriting = true;
        }

        if (isMine)
        {
            _ = WriteRestAsync();
        }
    }

    // RFC 7541: static names where there are some, every value as a literal that nobody needs to remember.
    private static byte[] RequestHeaders(string path)
    {
        var block = new ArrayBufferWriter<byte>();
        block.Write<byte>([0x83, 0x86]);
        Literal([0x04], path);
        Literal([0x01], "etcd");
        Literal([0x0F, 0x10], "application/grpc");
        Literal([0x00, 0x02, (byte)'t', (byte)'e'], "trailers");
        return block.WrittenSpan.ToArray();

        void Literal(ReadOnlySpan<byte> name, string value)
        {
            block.Write(name);
            block.Write<byte>([(byte)value.Length]);
            block.Write(Encoding.ASCII.GetBytes(value));
        }
    }

    private static void Append(ArrayBufferWriter<byte> buffer, byte type, byte flags, int stream, ReadOnlySpan<byte> payload)
    {
        Span<byte> header = buffer.GetSpan(HeaderBytes);
        BinaryPrimitives.WriteInt32BigEndian(header, payload.Length << 8);
        header[3] = type;
        header[4] = flags;
        BinaryPrimitives.WriteInt32BigEndian(header[5..], stream);
        buffer.Advance(HeaderBytes);
        buffer.Write(payload);
    }

    private sealed class Call
    {
        public TaskCompletionSource Done { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public bool HasAnswer { get; set; }
    }
}

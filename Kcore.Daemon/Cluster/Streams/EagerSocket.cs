using System.Buffers;
using System.Net.Sockets;

namespace Kcore.Daemon.Cluster.Streams;

/// <summary>
/// A connected TCP socket as a stream that never lets a writer wait: what the kernel takes is sent at once, on the caller's
/// thread, the rest as soon as there is room. Writers who can wait use <see cref="WriteAsync(ReadOnlyMemory{byte}, CancellationToken)"/>,
/// the others look at <see cref="WaitingBytes"/> first. Reading waits on the thread itself, or not at all.
/// </summary>
internal sealed class EagerSocket : Stream
{
    private readonly Socket _socket;
    private readonly Lock _turn = new();
    private ArrayBufferWriter<byte> _waiting = new(256);
    private ArrayBufferWriter<byte> _leaving = new(256);
    private Task _sending = Task.CompletedTask;
    private int _readTimeout = System.Threading.Timeout.Infinite;

    /// <param name="socket">Connected; owned from now on.</param>
    public EagerSocket(Socket socket)
    {
        _socket = socket;
        socket.Blocking = false;
    }

    /// <summary>Written and not yet taken by the kernel.</summary>
    public int WaitingBytes
    {
        get
        {
            lock (_turn)
            {
                return _waiting.WrittenCount + _leaving.WrittenCount;
            }
        }
    }

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => true;

    public override bool CanTimeout => true;

    /// <summary>In milliseconds: how long <see cref="Read(Span{byte})"/> waits for anything to come.</summary>
    public override int ReadTimeout
    {
        get => _readTimeout;
        set => _readTimeout = value;
    }

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    /// <summary>Ends both directions: whoever reads or writes finds the stream over. Any thread.</summary>
    public void Abort()
    {
        try
        {
            _socket.Shutdown(SocketShutdown.Both);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // It is over already.
        }
    }

    /// <exception cref="IOException">The connection broke, or nothing came in time.</exception>
    public override int Read(Span<byte> buffer)
    {
        try
        {
            while (true)
            {
                int read = _socket.Receive(buffer, SocketFlags.None, out SocketError error);
                if (error == SocketError.Success)
                {
                    return read;
                }

                if (error != SocketError.WouldBlock)
                {
                    throw new IOException("the connection broke", new SocketException((int)error));
                }

                // poll(2) on this thread: the way over the runtime's own poller and pool costs two wake-ups more.
                TimeSpan limit = TimeSpan.FromMilliseconds(_readTimeout < 0 ? int.MaxValue / 1000 : Math.Min(_readTimeout, int.MaxValue / 1000));
                if (!_socket.Poll(limit, SelectMode.SelectRead) && _readTimeout >= 0)
                {
                    throw new IOException("nothing came in time");
                }
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            throw new IOException("the connection broke", e);
        }
    }

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        try
        {
            return await _socket.ReceiveAsync(buffer, cancellationToken);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            throw new IOException("the connection broke", e);
        }
    }

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    /// <summary>Returns at once.</summary>
    /// <exception cref="IOException">The connection broke.</exception>
    public override void Write(ReadOnlySpan<byte> buffer)
    {
        lock (_turn)
        {
            if (_sending.IsFaulted)
            {
                throw new IOException("the connection broke", _sending.Exception);
            }

            bool isIdle = _waiting.WrittenCount + _leaving.WrittenCount == 0;
            if (isIdle)
            {
                buffer = buffer[SendNow(buffer)..];
            }

            if (buffer.IsEmpty)
            {
                return;
            }

            _waiting.Write(buffer);
            if (isIdle)
            {
                _sending = SendRestAsync();
            }
        }
    }

    public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

    /// <summary>Returns when the kernel has taken everything.</summary>
    /// <exception cref="IOException">The connection broke.</exception>
    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        Write(buffer.Span);
        await FlushAsync(cancellationToken);
    }

    public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        WriteAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override void Flush()
    {
        // Nothing is held back that the kernel would take.
    }

    /// <summary>Returns when the kernel has taken everything.</summary>
    public override Task FlushAsync(CancellationToken cancellationToken)
    {
        Task sending;
        lock (_turn)
        {
            sending = _sending;
        }

        return sending.IsCompletedSuccessfully ? Task.CompletedTask : sending.WaitAsync(cancellationToken);
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            // A thread that waits in poll(2) is not woken by the closing of what it waits for.
            Abort();
            _socket.Dispose();
        }

        base.Dispose(disposing);
    }

    private int SendNow(ReadOnlySpan<byte> bytes)
    {
        try
        {
            int sent = _socket.Send(bytes, SocketFlags.None, out SocketError error);
            return error switch
            {
                SocketError.Success => sent,
                SocketError.WouldBlock => 0,
                _ => throw new IOException("the connection broke", new SocketException((int)error)),
            };
        }
        catch (ObjectDisposedException e)
        {
            throw new IOException("the connection broke", e);
        }
    }

    private async Task SendRestAsync()
    {
        try
        {
            while (TryTakeWaiting())
            {
                for (ReadOnlyMemory<byte> rest = _leaving.WrittenMemory; !rest.IsEmpty;)
                {
                    rest = rest[await _socket.SendAsync(rest, SocketFlags.None)..];
                }
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            throw new IOException("the connection broke", e);
        }
    }

    private bool TryTakeWaiting()
    {
        lock (_turn)
        {
            _leaving.ResetWrittenCount();
            (_waiting, _leaving) = (_leaving, _waiting);
            return _leaving.WrittenCount > 0;
        }
    }
}

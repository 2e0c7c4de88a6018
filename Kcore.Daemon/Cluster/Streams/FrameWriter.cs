using System.Buffers;

namespace Kcore.Daemon.Cluster.Streams;

/// <summary>
/// Frames of many callers on one stream. Whoever finds it idle writes at once; what others bring meanwhile goes with the
/// next write, all of it together, so that one frame waits for nobody and a hundred cost one system call. Callers are
/// bounded by whoever owns the stream.
/// </summary>
internal sealed class FrameWriter(Stream stream)
{
    private readonly Lock _turn = new();
    private ArrayBufferWriter<byte> _waiting = new(4096);
    private ArrayBufferWriter<byte> _leaving = new(4096);
    private bool _isWriting;

    /// <summary>Returns when the frame is written, or left to another caller who is writing.</summary>
    /// <exception cref="IOException">The stream is broken; whoever reads from it hears that too.</exception>
    public async ValueTask WriteAsync(StreamKind kind, ReadOnlyMemory<byte> body, CancellationToken token)
    {
        lock (_turn)
        {
            StreamFrame.Append(_waiting, kind, body.Span);
            if (_isWriting)
            {
                return;
            }

            _isWriting = true;
        }

        if (await WriteWaitingAsync(token))
        {
            // The others' frames are not this caller's to wait for.
            _ = WriteRestAsync(token);
        }
    }

    private async Task WriteRestAsync(CancellationToken token)
    {
        await Task.Yield();
        try
        {
            while (await WriteWaitingAsync(token))
            {
                // Those that came meanwhile.
            }
        }
        catch (Exception e) when (e is IOException or OperationCanceledException or ObjectDisposedException)
        {
            // Whoever reads from the stream hears of it.
        }
    }

    /// <summary>
    /// Writes what waits; true if more has come. After a failure nothing is written any more: the mark of being written to
    /// stays, and the stream is at its end.
    /// </summary>
    private async ValueTask<bool> WriteWaitingAsync(CancellationToken token)
    {
        lock (_turn)
        {
            (_waiting, _leaving) = (_leaving, _waiting);
        }

        await stream.WriteAsync(_leaving.WrittenMemory, token);
        _leaving.ResetWrittenCount();
        lock (_turn)
        {
            _isWriting = _waiting.WrittenCount > 0;
            return _isWriting;
        }
    }
}

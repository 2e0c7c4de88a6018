namespace Kcore.Daemon.Cluster.Streams;

/// <summary>
/// Reads streams that stay open: each on a thread of its own, so that what comes is in hand after one wake-up, and when
/// there are too many of them without one.
/// </summary>
/// <param name="name">Of the threads.</param>
/// <param name="max">Threads at once.</param>
internal sealed class FrameThreads(string name, int max)
{
    private int _count;

    /// <summary>Hands over each frame of <paramref name="kinds"/> until the stream ends, or another kind comes.</summary>
    /// <param name="stream">Read by nobody else from now on.</param>
    /// <param name="kinds">What is read.</param>
    /// <param name="take">Takes a frame; nothing is read before it has.</param>
    /// <param name="idleLimit">How long nothing may come.</param>
    /// <param name="time">The clock, where no thread waits.</param>
    /// <param name="token">Ends it, and the stream with it.</param>
    /// <exception cref="IOException">The stream broke, or nothing came in time.</exception>
    /// <exception cref="InvalidDataException">The peer does not speak this protocol.</exception>
    public async Task ReadAsync(
        PeerStream stream, StreamKind[] kinds, Func<StreamFrame, ValueTask> take, TimeSpan idleLimit, TimeProvider time, CancellationToken token)
    {
        await using CancellationTokenRegistration abort = token.Register(stream.Abort);
        try
        {
            if (Interlocked.Increment(ref _count) <= max)
            {
                stream.ReadTimeout = (int)idleLimit.TotalMilliseconds;
                await OnThread(() => Read(stream, kinds, take));
            }
            else
            {
                await ReadSlowlyAsync(stream, kinds, take, idleLimit, time, token);
            }
        }
        finally
        {
            Interlocked.Decrement(ref _count);
        }

        token.ThrowIfCancellationRequested();
    }

    private Task OnThread(Action read)
    {
        var ended = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        new Thread(() =>
        {
            try
            {
                read();
                ended.SetResult();
            }
            catch (Exception e)
            {
                ended.SetException(e);
            }
        })
        { IsBackground = true, Name = name }.Start();
        return ended.Task;
    }

    private static void Read(PeerStream stream, StreamKind[] kinds, Func<StreamFrame, ValueTask> take)
    {
        while (StreamFrame.Read(stream) is { } frame && kinds.Contains(frame.Kind))
        {
            ValueTask taken = take(frame);
            if (!taken.IsCompletedSuccessfully)
            {
                // The thread is this stream's alone, and nothing is to be read before the frame was taken.
                taken.AsTask().GetAwaiter().GetResult();
            }
        }
    }

    private static async Task ReadSlowlyAsync(
        PeerStream stream, StreamKind[] kinds, Func<StreamFrame, ValueTask> take, TimeSpan idleLimit, TimeProvider time, CancellationToken token)
    {
        using var idle = new CancellationTokenSource(idleLimit, time);
        using CancellationTokenSource both = CancellationTokenSource.CreateLinkedTokenSource(token, idle.Token);
        while (await StreamFrame.ReadAsync(stream, both.Token) is { } frame && kinds.Contains(frame.Kind))
        {
            await take(frame);
            idle.CancelAfter(idleLimit);
        }
    }
}

using System.Collections.Concurrent;
using Kcore.Daemon.Cluster.Streams;
using Kcore.Gossip.Wire;

namespace Kcore.Daemon.Ipam.Ledger;

/// <summary>The asking end of a stream of proposals: many questions at once, each with its own answer. Any thread.</summary>
internal sealed class ProposalLane : IAsyncDisposable
{
    private readonly ConcurrentDictionary<ulong, TaskCompletionSource<LedgerReply>> _asked = new();
    private readonly CancellationTokenSource _end = new();
    private readonly Stream _stream;
    private readonly FrameWriter _questions;
    private readonly Task _reading;
    private ulong _number;
    private volatile bool _isBroken;

    /// <param name="stream">Open to a node that serves <see cref="StreamKind.Propose"/>; owned from now on.</param>
    public ProposalLane(Stream stream)
    {
        _stream = stream;
        _questions = new FrameWriter(stream);
        _reading = ReadAsync();
    }

    /// <summary>Nothing comes back on it any more.</summary>
    public bool IsBroken => _isBroken;

    /// <param name="request">The command, or nothing for a read.</param>
    /// <param name="token">Nobody waits any more.</param>
    /// <param name="kind"><see cref="StreamKind.Propose"/> or <see cref="StreamKind.Read"/>.</param>
    /// <exception cref="IOException">The stream broke: the command may or may not have been written.</exception>
    public async Task<LedgerReply> AskAsync(LedgerRequest request, CancellationToken token, StreamKind kind = StreamKind.Propose)
    {
        ulong number = Interlocked.Increment(ref _number);
        var answer = new TaskCompletionSource<LedgerReply>(TaskCreationOptions.RunContinuationsAsynchronously);
        _asked[number] = answer;
        try
        {
            if (_isBroken)
            {
                throw Broken();
            }

            // Not the caller's token: half a frame would end the stream for everybody.
            await _questions.WriteAsync(kind, (request with { Number = number }).Encode(), _end.Token);
            return await answer.Task.WaitAsync(token);
        }
        catch (Exception e) when (e is ObjectDisposedException || (e is OperationCanceledException && !token.IsCancellationRequested))
        {
            throw Broken();
        }
        finally
        {
            _asked.TryRemove(number, out _);
        }
    }

    public async ValueTask DisposeAsync()
    {
        _isBroken = true;
        await _end.CancelAsync();
        await _reading;
    }

    private async Task ReadAsync()
    {
        try
        {
            while (await StreamFrame.ReadAsync(_stream, _end.Token) is { Kind: StreamKind.Propose } frame)
            {
                LedgerReply reply = LedgerReply.Decode(frame.Body.Span);
                if (_asked.TryGetValue(reply.Number, out TaskCompletionSource<LedgerReply>? answer))
                {
                    answer.TrySetResult(reply);
                }
            }
        }
        catch (Exception e) when (e is IOException or InvalidDataException or WireFormatException or OperationCanceledException or ObjectDisposedException)
        {
            // Over, however it ended.
        }

        // Who asks from now on sees the mark; who asked before is in the table.
        _isBroken = true;
        await _stream.DisposeAsync();
        foreach (TaskCompletionSource<LedgerReply> answer in _asked.Values)
        {
            answer.TrySetException(Broken());
        }
    }

    private static IOException Broken() => new("the stream to the leader broke");
}

using System.Buffers;
using System.Net;
using System.Threading.Channels;
using Kcore.Daemon.Cluster.Streams;
using Kcore.Daemon.Reconciliation;
using Kcore.Gossip;
using Kcore.Raft;
using Microsoft.Extensions.Logging;

namespace Kcore.Daemon.Cluster.Consensus.Transport;

/// <summary>
/// The one stream to one member of the group. While it stands, whoever sends writes to the socket himself; until then a few
/// messages wait for it. What does not fit is dropped: Raft repeats what still matters, and a queue of old messages would
/// only delay the new ones.
/// </summary>
internal sealed partial class PeerLane : IAsyncDisposable
{
    private const int MessagesMax = 128;
    private const int WriteBytes = 64 * 1024;

    // What the kernel has not taken yet of a stream that stands; the window of appends to a slow member fits.
    private const int WaitingBytesMax = 4 * 1024 * 1024;

    // A host that lost its power says nothing; this long after the last unanswered byte the stream is given up.
    private static readonly TimeSpan SilenceLimit = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan LongestPause = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan AddressPace = TimeSpan.FromSeconds(1);

    private readonly Channel<RaftMessage> _queue = Channel.CreateBounded<RaftMessage>(
        new BoundedChannelOptions(MessagesMax) { SingleReader = true, FullMode = BoundedChannelFullMode.DropOldest });

    private readonly Lock _turn = new();
    private readonly ArrayBufferWriter<byte> _buffer = new(WriteBytes);
    private readonly CancellationTokenSource _end = new();
    private readonly ClusterRef _cluster;
    private readonly MemberId _self;
    private readonly MemberId _peer;
    private readonly PeerConnector _connector;
    private readonly Func<NodeId, IPEndPoint?> _addressOf;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly Task _running;
    private readonly Backoff _backoff;
    private bool _isLost;
    private (PeerStream Stream, TaskCompletionSource Over)? _standing;

    public PeerLane(
        ClusterRef cluster, MemberId self, MemberId peer, PeerConnector connector, Func<NodeId, IPEndPoint?> addressOf, TimeProvider time, Random random, ILogger logger)
    {
        _cluster = cluster;
        _self = self;
        _peer = peer;
        _connector = connector;
        _addressOf = addressOf;
        _time = time;
        _logger = logger;
        _backoff = new Backoff(FirstPause, LongestPause, random);
        _running = RunAsync(_end.Token);
    }

    private NodeId Node => new(Uid.FromGuid(_peer.NodeUid));

    /// <summary>Lays a message down for the next <see cref="Flush"/>.</summary>
    public void Add(RaftMessage message)
    {
        lock (_turn)
        {
            if (_standing is not { Stream: var stream })
            {
                _queue.Writer.TryWrite(message);
            }
            else if (_buffer.WrittenCount + stream.WaitingBytes < WaitingBytesMax)
            {
                StreamFrame.Append(_buffer, StreamKind.Raft, RaftMessageCodec.Encode(message));
            }
        }
    }

    /// <summary>Sends what was laid down; returns at once.</summary>
    public void Flush()
    {
        lock (_turn)
        {
            if (_standing is ({ } stream, { } over) && _buffer.WrittenCount > 0 && !TryWrite(stream))
            {
                _standing = null;
                over.TrySetResult();
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync();
        await _running;
        _end.Dispose();
    }

    private async Task RunAsync(CancellationToken token)
    {
        // The caller is the consensus loop, which goes on at once.
        await Task.Yield();
        try
        {
            while (await _queue.Reader.WaitToReadAsync(token))
            {
                await TryCarryAsync(token);
                while (_queue.Reader.TryRead(out _))
                {
                    // Nobody is there to hear it; what is said after the pause is newer.
                }

                await Task.Delay(_backoff.Next(), _time, token);
            }
        }
        catch (OperationCanceledException) when (token.IsCancellationRequested)
        {
            // The log was closed.
        }
    }

    private async Task TryCarryAsync(CancellationToken token)
    {
        if (_addressOf(Node) is not { } endpoint)
        {
            return;
        }

        try
        {
            await using PeerStream stream = await _connector.OpenAsync(endpoint, Node, SilenceLimit, token);
            await CarryAsync(stream, endpoint, token);
            _isLost = false;
        }
        catch (IOException e)
        {
            // Once per loss, not per attempt.
            if (!_isLost)
            {
                Log.Lost(_logger, _peer, endpoint, e.Message);
            }

            _isLost = true;
        }
    }

    private async Task CarryAsync(PeerStream stream, IPEndPoint endpoint, CancellationToken token)
    {
        using CancellationTokenSource open = CancellationTokenSource.CreateLinkedTokenSource(token);
        Task watching = WatchAsync(stream, open);
        try
        {
            if (!TryStand(stream, out Task over))
            {
                throw new IOException("the stream broke at once");
            }

            if (_isLost)
            {
                Log.Found(_logger, _peer, endpoint);
                _isLost = false;
            }

            while (!over.IsCompleted)
            {
                if (!endpoint.Equals(_addressOf(Node)))
                {
                    // It moved; what arrives at the old address may be somebody else's.
                    return;
                }

                Task pause = Task.Delay(AddressPace, _time, open.Token);
                await Task.WhenAny(over, pause);
                open.Token.ThrowIfCancellationRequested();
            }

            throw new IOException("the stream broke");
        }
        catch (OperationCanceledException e) when (!token.IsCancellationRequested)
        {
            throw new IOException("the peer closed the stream", e);
        }
        finally
        {
            lock (_turn)
            {
                _standing = null;
            }

            await open.CancelAsync();
            await watching;
        }
    }

    // The greeting, what waited for the stream, and from then on everything.
    private bool TryStand(PeerStream stream, out Task over)
    {
        var end = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        over = end.Task;
        lock (_turn)
        {
            _buffer.ResetWrittenCount();
            StreamFrame.Append(_buffer, StreamKind.Raft, new RaftGreeting(_cluster, _self, _peer).Encode());
            while (_queue.Reader.TryRead(out RaftMessage? message))
            {
                StreamFrame.Append(_buffer, StreamKind.Raft, RaftMessageCodec.Encode(message));
            }

            if (!TryWrite(stream))
            {
                return false;
            }

            _standing = (stream, end);
            return true;
        }
    }

    private bool TryWrite(PeerStream stream)
    {
        try
        {
            stream.Write(_buffer.WrittenSpan);
            _backoff.Reset();
            return true;
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException)
        {
            return false;
        }
        finally
        {
            _buffer.ResetWrittenCount();
        }
    }

    // Nothing comes back on this stream but its end, which is noticed at once this way and not with the next write.
    private static async Task WatchAsync(PeerStream stream, CancellationTokenSource open)
    {
        try
        {
            _ = await stream.ReadAtLeastAsync(new byte[1], 1, throwOnEndOfStream: false, open.Token);
        }
        catch (Exception e) when (e is IOException or OperationCanceledException)
        {
            // Broken or given up: in both cases over.
        }

        await open.CancelAsync();
    }

    private static partial class Log
    {
        [LoggerMessage(3020, LogLevel.Warning, "The log's stream to {Peer} at {Endpoint} is lost: {Cause}")]
        public static partial void Lost(ILogger logger, MemberId peer, IPEndPoint endpoint, string cause);

        [LoggerMessage(3021, LogLevel.Information, "The log's stream to {Peer} at {Endpoint} stands again")]
        public static partial void Found(ILogger logger, MemberId peer, IPEndPoint endpoint);
    }
}

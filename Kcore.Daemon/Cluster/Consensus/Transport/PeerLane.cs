using System.Buffers;
using System.Net;
using System.Net.Security;
using System.Threading.Channels;
using Kcore.Daemon.Cluster.Streams;
using Kcore.Daemon.Reconciliation;
using Kcore.Gossip;
using Kcore.Raft;
using Microsoft.Extensions.Logging;

namespace Kcore.Daemon.Cluster.Consensus.Transport;

/// <summary>
/// The one stream to one member of the group. What does not fit, or cannot be sent now, is dropped: Raft repeats what
/// still matters, and a queue of old messages would only delay the new ones.
/// </summary>
internal sealed partial class PeerLane : IAsyncDisposable
{
    private const int MessagesMax = 128;
    private const int WriteBytes = 64 * 1024;

    // A host that lost its power says nothing; this long after the last unanswered byte the stream is given up.
    private static readonly TimeSpan SilenceLimit = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan LongestPause = TimeSpan.FromMilliseconds(500);

    private readonly Channel<RaftMessage> _queue = Channel.CreateBounded<RaftMessage>(
        new BoundedChannelOptions(MessagesMax) { SingleReader = true, FullMode = BoundedChannelFullMode.DropOldest });

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

    /// <summary>Returns at once.</summary>
    public void Send(RaftMessage message) => _queue.Writer.TryWrite(message);

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
            await using SslStream stream = await _connector.OpenAsync(endpoint, Node, SilenceLimit, token);
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

    private async Task CarryAsync(SslStream stream, IPEndPoint endpoint, CancellationToken token)
    {
        using CancellationTokenSource open = CancellationTokenSource.CreateLinkedTokenSource(token);
        _buffer.ResetWrittenCount();
        StreamFrame.Append(_buffer, StreamKind.Raft, new RaftGreeting(_cluster, _self, _peer).Encode());
        Task watching = WatchAsync(stream, open);
        try
        {
            await stream.WriteAsync(_buffer.WrittenMemory, open.Token);
            if (_isLost)
            {
                Log.Found(_logger, _peer, endpoint);
                _isLost = false;
            }

            while (await _queue.Reader.WaitToReadAsync(open.Token))
            {
                _buffer.ResetWrittenCount();
                while (_buffer.WrittenCount < WriteBytes && _queue.Reader.TryRead(out RaftMessage? message))
                {
                    StreamFrame.Append(_buffer, StreamKind.Raft, RaftMessageCodec.Encode(message));
                }

                await stream.WriteAsync(_buffer.WrittenMemory, open.Token);
                _backoff.Reset();
                if (!endpoint.Equals(_addressOf(Node)))
                {
                    // It moved; what arrives at the old address may be somebody else's.
                    return;
                }
            }
        }
        catch (OperationCanceledException e) when (!token.IsCancellationRequested)
        {
            throw new IOException("the peer closed the stream", e);
        }
        finally
        {
            await open.CancelAsync();
            await watching;
        }
    }

    // Nothing comes back on this stream but its end, which is noticed at once this way and not with the next write.
    private static async Task WatchAsync(SslStream stream, CancellationTokenSource open)
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

using System.Net;
using System.Threading.Channels;
using Kcore.Daemon.Cluster.Streams;
using Kcore.Daemon.Cluster.Trust;
using Kcore.Daemon.Reconciliation;
using Kcore.Daemon.Storage;
using Kcore.Gossip;
using Microsoft.Extensions.Logging;

namespace Kcore.Daemon.Cluster.Members;

/// <summary>
/// The one owner of the gossip core: sockets, timers, streams and callers put inputs into its channel; it executes the
/// effects in the order the core gave them.
/// </summary>
internal sealed partial class GossipLoop : IDisposable
{
    /// <summary>Inputs that may wait. Datagrams are dropped beyond it (gossip repeats itself), commands wait for room.</summary>
    private const int InboxCapacity = 4096;

    private readonly GossipCore _core;
    private readonly SealedSocket _socket;
    private readonly PeerConnector _connector;
    private readonly CatalogStore _store;
    private readonly NodeIdentity _identity;
    private readonly IGossipObserver _observer;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly long _started;
    private readonly Published<GossipView> _view;
    private readonly Channel<Work> _inbox;
    private readonly Dictionary<long, OpenAnswer> _answers = [];
    private long _nextServerStream;
    private long _lastTurn;
    private StorageException? _storageFailure;

    public GossipLoop(GossipLoopParts parts)
    {
        _core = parts.Core;
        _socket = parts.Socket;
        _connector = parts.Connector;
        _store = parts.Store;
        _identity = parts.Identity;
        _observer = parts.Observer;
        _time = parts.Time;
        _started = parts.Started;
        _logger = parts.Logger;
        _inbox = Channel.CreateBounded<Work>(new BoundedChannelOptions(InboxCapacity) { SingleReader = true, FullMode = BoundedChannelFullMode.Wait });
        _lastTurn = parts.Time.GetTimestamp();
        _view = parts.View;
        _view.Replace(Snapshot());
    }

    /// <summary>When the loop last began a turn (timestamp of its clock); one that hangs begins none.</summary>
    public long LastTurn => Volatile.Read(ref _lastTurn);

    /// <summary>Hands in an input and returns once it, and all before it, was executed (own writes are then on disk).</summary>
    /// <exception cref="StorageException">It was executed, but the disk refused what had to be stored.</exception>
    public async Task SubmitAsync(GossipInput input, CancellationToken token)
    {
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await _inbox.Writer.WriteAsync(new Work(input, done), token);
        await done.Task.WaitAsync(token);
    }

    /// <summary>Hands in an input without waiting; false when the inbox is full.</summary>
    public bool TryPost(GossipInput input) => _inbox.Writer.TryWrite(new Work(input, null));

    /// <summary>Serves a gossip stream that a peer opened.</summary>
    public async Task ServeStreamAsync(NodeId peer, ReadOnlyMemory<byte> body, Func<ReadOnlyMemory<byte>, bool, ValueTask> reply, CancellationToken token)
    {
        long stream = Interlocked.Increment(ref _nextServerStream);
        var answer = new OpenAnswer(Channel.CreateUnbounded<(ReadOnlyMemory<byte>, bool)>(new UnboundedChannelOptions { SingleReader = true }));
        await _inbox.Writer.WriteAsync(new Work(new GossipInput.StreamRequest(stream, peer, body), null, answer), token);
        bool whole = false;
        try
        {
            await foreach ((ReadOnlyMemory<byte> piece, bool last) in answer.Pieces.Reader.ReadAllAsync(token))
            {
                await reply(piece, last);
                whole = last;
                if (last)
                {
                    return;
                }

                // The core makes the next piece only now, so that a slow peer costs no memory.
                await _inbox.Writer.WriteAsync(new Work(new GossipInput.StreamWritable(stream), null), token);
            }
        }
        finally
        {
            if (!whole)
            {
                await AbandonAsync(stream);
            }
        }
    }

    /// <summary>Tells the core that nobody reads the rest; waits for room, because a lost word would keep the answer for ever.</summary>
    private async Task AbandonAsync(long stream)
    {
        try
        {
            await _inbox.Writer.WriteAsync(new Work(new GossipInput.StreamAborted(stream), null));
        }
        catch (ChannelClosedException)
        {
            // The loop has ended, and with it everything it held.
        }
    }

    /// <summary>Runs until cancelled.</summary>
    public async Task RunAsync(CancellationToken stoppingToken)
    {
        Task receiving = _socket.ReceiveAsync(
            (from, source, message) => TryPost(new GossipInput.Datagram(from, source, message)), stoppingToken);
        try
        {
            await LoopAsync(stoppingToken);
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The owner ends us; nothing is lost, own writes are on disk.
        }
        finally
        {
            _inbox.Writer.TryComplete();

            // Whoever still waits would wait for ever.
            while (_inbox.Reader.TryRead(out Work? left))
            {
                left.Done?.TrySetException(new InvalidOperationException("this node has left its cluster"));
            }
        }

        await receiving;
    }

    public void Dispose() => _socket.Dispose();

    private TimeSpan Now => _time.GetElapsedTime(_started);

    private async Task LoopAsync(CancellationToken token)
    {
        var effects = new List<GossipEffect>();
        var done = new List<(TaskCompletionSource Waiting, StorageException? Failure)>();
        while (true)
        {
            Volatile.Write(ref _lastTurn, _time.GetTimestamp());
            TimeSpan due = _core.NextDeadline - Now;
            if (due > TimeSpan.Zero && !_inbox.Reader.TryPeek(out _))
            {
                await WaitForInputAsync(due, token);
            }

            bool changed = false;
            if (_core.NextDeadline <= Now)
            {
                changed |= Step(new GossipInput.Tick(), null, effects, token);
            }

            // A bounded share of the inbox between two looks at the clock: a flood must not starve the probes.
            for (int i = 0; i < 256 && _inbox.Reader.TryRead(out Work? work); i++)
            {
                _storageFailure = null;
                changed |= Step(work.Input, work.Answer, effects, token);
                if (work.Done is { } waiting)
                {
                    done.Add((waiting, _storageFailure));
                }
            }

            // The digest also moves without a visible fact: a committed entry that changed nothing advances the watermark.
            if (changed || _core.CatalogDigest != _view.Current.Digest || _core.Members.Revision != _view.Current.Members.Revision)
            {
                _view.Replace(Snapshot());
            }

            // Only now: whoever submitted finds what it wrote in the view.
            foreach ((TaskCompletionSource waiting, StorageException? failure) in done)
            {
                if (failure is null)
                {
                    waiting.TrySetResult();
                }
                else
                {
                    waiting.TrySetException(failure);
                }
            }

            done.Clear();
        }
    }

    private async Task WaitForInputAsync(TimeSpan due, CancellationToken token)
    {
        using CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(token);
        Task<bool> input = _inbox.Reader.WaitToReadAsync(limit.Token).AsTask();
        Task timer = Task.Delay(due, _time, limit.Token);
        await Task.WhenAny(input, timer);
        await limit.CancelAsync();
        token.ThrowIfCancellationRequested();
    }

    private bool Step(GossipInput input, OpenAnswer? answer, List<GossipEffect> effects, CancellationToken token)
    {
        if (answer is not null && input is GossipInput.StreamRequest request)
        {
            _answers[request.Stream] = answer;
        }

        if (input is GossipInput.StreamAborted aborted)
        {
            _answers.Remove(aborted.Stream);
        }

        _core.Handle(input, Now, effects);
        bool changed = false;
        foreach (GossipEffect effect in effects)
        {
            changed |= Execute(effect, token);
        }

        effects.Clear();
        return changed;
    }

    private bool Execute(GossipEffect effect, CancellationToken token)
    {
        switch (effect)
        {
            case GossipEffect.Send send:
                _socket.Send(send.To, send.Endpoint, send.Payload);
                return false;
            case GossipEffect.Persist persist:
                Persist(persist);
                return false;
            case GossipEffect.PersistEpoch epoch:
                RaiseEpoch(epoch.Epoch);
                return false;
            case GossipEffect.RememberMembers remember:
                Remember(remember);
                return false;
            case GossipEffect.OpenStream open:
                _ = FetchAsync(open, token);
                return false;
            case GossipEffect.Respond respond:
                Respond(respond);
                return false;
            default:
                _observer.Observe(effect);
                return true;
        }
    }

    private void Persist(GossipEffect.Persist changes)
    {
        try
        {
            _store.Save(changes);
            _observer.StorageWorked();
        }
        catch (StorageException e)
        {
            // The core goes on: peers hold what it sent, and a version that was lost here makes it start a new
            // sequence (rule R1). The node says that it is degraded, and whoever asked for the write is told.
            _storageFailure = e;
            _observer.StorageFailed(e.Message);
        }
    }

    private void RaiseEpoch(uint epoch)
    {
        try
        {
            _identity.RaiseBootEpoch(epoch);
            _socket.ChangeBoot(epoch);
        }
        catch (StorageException e)
        {
            // The next start will be behind again and be told so again.
            _observer.StorageFailed(e.Message);
        }
    }

    private void Remember(GossipEffect.RememberMembers members)
    {
        try
        {
            _identity.RememberContacts([.. members.Members.Where(m => m.Id != _identity.Id).Select(m => m.Endpoint.ToString())]);
        }
        catch (StorageException e)
        {
            // Hints for the next start: not worth the daemon.
            _observer.StorageFailed(e.Message);
        }
    }

    private void Respond(GossipEffect.Respond respond)
    {
        if (_answers.TryGetValue(respond.Stream, out OpenAnswer? answer))
        {
            answer.Pieces.Writer.TryWrite((respond.Body, respond.Last));
            if (respond.Last)
            {
                answer.Pieces.Writer.TryComplete();
                _answers.Remove(respond.Stream);
            }
        }
    }

    private async Task FetchAsync(GossipEffect.OpenStream open, CancellationToken token)
    {
        try
        {
            await foreach ((NodeId peer, StreamFrame frame) in _connector.RequestAsync(open.Endpoint, StreamKind.Gossip, open.Body, token))
            {
                if (peer != open.To)
                {
                    throw new IOException($"{open.Endpoint} is node {peer.Short}, not {open.To.Short}");
                }

                await _inbox.Writer.WriteAsync(new Work(new GossipInput.StreamReply(open.Stream, frame.Body, frame.Last), null), token);
            }
        }
        catch (Exception e) when (e is IOException or ChannelClosedException or OperationCanceledException)
        {
            Log.StreamFailed(_logger, open.Endpoint, e.Message);
            _inbox.Writer.TryWrite(new Work(new GossipInput.StreamFailed(open.Stream), null));
        }
    }

    private GossipView Snapshot() => new(_core.Members, [.. _core.Catalog.Entries.Where(e => !e.IsTombstone)], _core.CatalogDigest, _core.HealthScore);

    private sealed record OpenAnswer(Channel<(ReadOnlyMemory<byte> Body, bool Last)> Pieces);

    private sealed record Work(GossipInput Input, TaskCompletionSource? Done, OpenAnswer? Answer = null);

    private static partial class Log
    {
        [LoggerMessage(1122, LogLevel.Debug, "Stream to {Endpoint} failed: {Cause}")]
        public static partial void StreamFailed(ILogger logger, IPEndPoint endpoint, string cause);
    }
}

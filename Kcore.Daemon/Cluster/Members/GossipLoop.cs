using System.Collections.Immutable;
using System.Threading.Channels;
using Kcore.Daemon.Cluster.Streams;
using Kcore.Daemon.Cluster.Trust;
using Kcore.Daemon.Hosting;
using Kcore.Daemon.Reconciliation;
using Kcore.Daemon.Storage;
using Kcore.Gossip;
using Kcore.Gossip.Wire.Sealing;
using Microsoft.Extensions.Logging;

namespace Kcore.Daemon.Cluster.Members;

/// <summary>
/// The one owner of the gossip core, on a thread of its own that comes before the others: sockets, timers, streams and
/// callers give it inputs; it executes the effects in the order the core gave them. It never waits for a disk: what is to be stored goes to the <see cref="GossipWriter"/>, and
/// only what must not be sent before it is stored waits for that (GossipLoop.Storage.cs).
/// </summary>
internal sealed partial class GossipLoop : IDisposable
{
    /// <summary>Inputs that may wait; commands wait for room.</summary>
    private const int InboxCapacity = 4096;

    /// <summary>Datagrams, and inputs, between two looks at the clock: a flood must not starve the probes.</summary>
    private const int MostPerTurn = 256;

    // All facts are listed anew whenever one changes. With many of them in a rush that is most of what this thread would
    // do, so it rests from it as many times as long as it took, which nobody notices where there are few.
    private const int RestFactor = 9;
    private static readonly TimeSpan RestMin = TimeSpan.FromMilliseconds(5);
    private static readonly TimeSpan RestMax = TimeSpan.FromMilliseconds(100);

    private readonly GossipCore _core;
    private readonly SealedSocket _socket;
    private readonly PeerConnector _connector;
    private readonly ClusterScope _scope;
    private readonly NodeIdentity _identity;
    private readonly IGossipObserver _observer;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly long _started;
    private readonly LagWatch _lag;
    private readonly Published<GossipView> _view;
    private readonly Wake _wake = new();
    private readonly GossipWriter _writer;
    private readonly Channel<Work> _inbox;
    private readonly Dictionary<long, OpenAnswer> _answers = [];
    private readonly List<GossipEffect> _effects = [];
    private readonly ShownEntries _shown = new();
    private long _nextServerStream;
    private long _lastTurn;
    private long _lastDatagram;
    private bool _entriesChanged = true;
    private TimeSpan _restUntil;
    private bool _isBehind;

    // Inputs in the inbox, or just about to be: most turns have none, and need not ask it.
    private int _waiting;

    public GossipLoop(GossipLoopParts parts)
    {
        _core = parts.Core;
        _socket = parts.Socket;
        _connector = parts.Connector;
        _scope = parts.Scope;
        _identity = parts.Identity;
        _observer = parts.Observer;
        _time = parts.Time;
        _started = parts.Started;
        _logger = parts.Logger;
        _lag = new LagWatch(parts.Logger);
        _inbox = Channel.CreateBounded<Work>(new BoundedChannelOptions(InboxCapacity) { SingleReader = true, FullMode = BoundedChannelFullMode.Wait });
        _lastTurn = _lastDatagram = parts.Time.GetTimestamp();
        _view = parts.View;
        _writer = new GossipWriter(parts.Store, parts.Identity, _wake.Set, parts.Logger);
        Publish();
    }

    /// <summary>When the loop last began a turn (timestamp of its clock); one that hangs begins none.</summary>
    public long LastTurn => Volatile.Read(ref _lastTurn);

    /// <summary>When the latest datagram of a member came in (timestamp of its clock); before any, when the loop was made.</summary>
    public long LastDatagram => Volatile.Read(ref _lastDatagram);

    /// <summary>Hands in an input and returns once it was executed and everything it wrote is on disk.</summary>
    /// <exception cref="StorageException">It was executed, but the disk refused what had to be stored.</exception>
    public async Task SubmitAsync(GossipInput input, CancellationToken token)
    {
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await EnqueueAsync(new Work(input, done), token);
        await done.Task.WaitAsync(token);
    }

    /// <summary>Hands in an input without waiting; false when the inbox is full.</summary>
    public bool TryPost(GossipInput input)
    {
        Interlocked.Increment(ref _waiting);
        bool taken = _inbox.Writer.TryWrite(new Work(input, null));
        if (!taken)
        {
            Interlocked.Decrement(ref _waiting);
        }

        _wake.Set();
        return taken;
    }

    /// <summary>Serves a gossip stream that a peer opened.</summary>
    /// <exception cref="InvalidDataException">The peer is of another cluster or epoch.</exception>
    public async Task ServeStreamAsync(NodeId peer, ReadOnlyMemory<byte> body, Func<ReadOnlyMemory<byte>, bool, ValueTask> reply, CancellationToken token)
    {
        ReadOnlyMemory<byte> request = ScopedRequest.Decode(_scope, body);
        long stream = Interlocked.Increment(ref _nextServerStream);
        var answer = new OpenAnswer(Channel.CreateUnbounded<(ReadOnlyMemory<byte>, bool)>(new UnboundedChannelOptions { SingleReader = true }));
        await EnqueueAsync(new Work(new GossipInput.StreamRequest(stream, peer, request), null, answer), token);
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
                await EnqueueAsync(new Work(new GossipInput.StreamWritable(stream), null), token);
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
            await EnqueueAsync(new Work(new GossipInput.StreamAborted(stream), null), CancellationToken.None);
        }
        catch (ChannelClosedException)
        {
            // The loop has ended, and with it everything it held.
        }
    }

    /// <summary>Runs until cancelled; what was to be stored by then is.</summary>
    public Task RunAsync(CancellationToken stoppingToken) => UrgentThread.RunAsync("gossip", () => Run(stoppingToken), _logger);

    private void Run(CancellationToken stoppingToken)
    {
        try
        {
            using CancellationTokenRegistration woken = stoppingToken.UnsafeRegister(wake => ((Wake)wake!).Set(), _wake);
            while (!stoppingToken.IsCancellationRequested)
            {
                if (!Turn(stoppingToken))
                {
                    _wake.Sleep(Sooner(Sooner(_core.NextDeadline, NextWrite), NextPublication) - Now, _socket.Readable);
                }
            }
        }
        finally
        {
            _inbox.Writer.TryComplete();
            FinishWriting(stoppingToken);

            // Whoever still waits would wait for ever.
            while (_inbox.Reader.TryRead(out Work? left))
            {
                left.Done?.TrySetException(new InvalidOperationException("this node has left its cluster"));
            }
        }
    }

    public void Dispose()
    {
        _socket.Dispose();
        _wake.Dispose();
    }

    private TimeSpan Now => _time.GetElapsedTime(_started);

    /// <summary>True when there is more to take at once.</summary>
    private bool Turn(CancellationToken token)
    {
        Volatile.Write(ref _lastTurn, _time.GetTimestamp());
        _lag.Look(Now - _core.NextDeadline);
        TakeOutcome(token);
        bool more = TakeDatagrams(token) | TakeInputs(token);
        if (_core.NextDeadline <= Now)
        {
            Step(new GossipInput.Tick(), token);
        }

        BeginWriting();
        Publish();
        CompleteCallers();
        return more;
    }

    /// <summary>
    /// What waits in the socket goes first, whatever timer is due: when we come late, the answers that were in time are
    /// there. They count as come before the deadline, which is only then looked at.
    /// </summary>
    private bool TakeDatagrams(CancellationToken token)
    {
        for (int i = 0; i < MostPerTurn; i++)
        {
            if (!_socket.TryTake(out GossipInput.Datagram? datagram))
            {
                return false;
            }

            if (datagram is not null)
            {
                Volatile.Write(ref _lastDatagram, _time.GetTimestamp());
                Step(datagram, token, BeforeDeadline());
            }
        }

        return true;
    }

    private bool TakeInputs(CancellationToken token)
    {
        for (int i = 0; i < MostPerTurn; i++)
        {
            // Whoever is just putting one in wakes the loop once it is there.
            if (Volatile.Read(ref _waiting) == 0 || !_inbox.Reader.TryRead(out Work? work))
            {
                return false;
            }

            Interlocked.Decrement(ref _waiting);

            if (work.Answer is { } answer && work.Input is GossipInput.StreamRequest request)
            {
                _answers[request.Stream] = answer;
            }
            else if (work.Input is GossipInput.StreamAborted aborted)
            {
                _answers.Remove(aborted.Stream);
            }

            long before = _given;
            Step(work.Input, token, BeforeDeadline());
            if (work.Done is { } waiting)
            {
                // An input that wrote nothing may still rest on what an earlier one wrote.
                _callers.Add((waiting, _given > before ? _given : _durable));
            }
        }

        return true;
    }

    private TimeSpan BeforeDeadline()
    {
        TimeSpan now = Now;
        TimeSpan due = _core.NextDeadline;
        return due <= now ? due - TimeSpan.FromTicks(1) : now;
    }

    private void Step(GossipInput input, CancellationToken token, TimeSpan? at = null)
    {
        _core.Handle(input, at ?? Now, _effects);
        foreach (GossipEffect effect in _effects)
        {
            Execute(effect, token);
        }

        _effects.Clear();
    }

    private void Execute(GossipEffect effect, CancellationToken token)
    {
        switch (effect)
        {
            case GossipEffect.Send or GossipEffect.OpenStream or GossipEffect.Respond when MustWait(effect) is { } rest:
                Hold(rest);
                break;
            case GossipEffect.Send send:
                _socket.Send(send.To, send.Endpoint, send.Payload);
                break;
            case GossipEffect.OpenStream open:
                _ = FetchAsync(open, token);
                break;
            case GossipEffect.Respond respond:
                Respond(respond);
                break;
            case GossipEffect.Persist persist:
                Keep(persist);
                break;
            case GossipEffect.PersistEpoch epoch:
                Keep(epoch);
                break;
            case GossipEffect.RememberMembers remember:
                Keep(remember);
                break;
            case GossipEffect.CatalogChanged changed:
                _entriesChanged = true;
                _shown.Void(changed.Changed.Select(e => e.Origin));
                _observer.Observe(effect);
                break;
            case GossipEffect.CatalogResync resync:
                _entriesChanged = true;
                _shown.Void([resync.Origin]);
                _observer.Observe(effect);
                break;
            default:
                _observer.Observe(effect);
                break;
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
            await foreach ((NodeId peer, StreamFrame frame) in _connector.RequestAsync(open.Endpoint, StreamKind.Gossip, ScopedRequest.Encode(_scope, open.Body), token))
            {
                if (peer != open.To)
                {
                    throw new IOException($"{open.Endpoint} is node {peer.Short}, not {open.To.Short}");
                }

                await EnqueueAsync(new Work(new GossipInput.StreamReply(open.Stream, frame.Body, frame.Last), null), token);
            }
        }
        catch (Exception e) when (e is IOException or ChannelClosedException or OperationCanceledException)
        {
            Log.StreamFailed(_logger, open.Endpoint, e.Message);
            TryPost(new GossipInput.StreamFailed(open.Stream));
        }
    }

    private async ValueTask EnqueueAsync(Work work, CancellationToken token)
    {
        Interlocked.Increment(ref _waiting);
        try
        {
            await _inbox.Writer.WriteAsync(work, token);
        }
        catch
        {
            Interlocked.Decrement(ref _waiting);
            throw;
        }

        _wake.Set();
    }

    /// <summary>The digest also moves without a visible fact: a committed entry that changed nothing advances the watermark.</summary>
    private void Publish()
    {
        GossipView last = _view.Current;
        bool same = !_entriesChanged && _core.CatalogDigest == last.Digest;

        // Whoever waits for what it wrote must find it.
        _isBehind = _entriesChanged && Now < _restUntil && _completed.Count == 0 && !_callers.Exists(c => c.Until <= _ended);
        bool shown = same || _isBehind;
        if (shown && _core.Members.Revision == last.Members.Revision && _core.HealthScore == last.HealthScore)
        {
            return;
        }

        if (shown)
        {
            _view.Replace(last with { Members = _core.Members, HealthScore = _core.HealthScore });
            return;
        }

        ImmutableArray<CatalogEntry> entries = last.Entries;
        if (_entriesChanged)
        {
            TimeSpan begun = Now;
            entries = VisibleEntries();
            TimeSpan rest = (Now - begun) * RestFactor;
            _restUntil = rest < RestMin ? TimeSpan.Zero : Now + (rest < RestMax ? rest : RestMax);
        }

        _entriesChanged = false;
        _view.Replace(new GossipView(_core.Members, entries, _core.CatalogDigest, _core.HealthScore)
        {
            Since = _core.CatalogDigest != last.Digest ? _time.GetUtcNow() : last.Since,
            Log = _core.Catalog.Find(NodeId.Raft) is { Complete: true, IsHidden: false } log ? new LogMark(log.Epoch, log.Version) : default,
        });
    }

    private TimeSpan NextPublication => _isBehind ? _restUntil : TimeSpan.MaxValue;

    private static TimeSpan Sooner(TimeSpan a, TimeSpan b) => a < b ? a : b;

    private sealed record OpenAnswer(Channel<(ReadOnlyMemory<byte> Body, bool Last)> Pieces);

    private sealed record Work(GossipInput Input, TaskCompletionSource? Done, OpenAnswer? Answer = null);

    private static partial class Log
    {
        [LoggerMessage(1122, LogLevel.Debug, "Stream to {Endpoint} failed: {Cause}")]
        public static partial void StreamFailed(ILogger logger, System.Net.IPEndPoint endpoint, string cause);
    }
}

using Kcore.Gossip;

namespace Kcore.Simulation.Engine;

// Streams between nodes: ordered, slow where datagrams are lost, and able to break at any piece.
public sealed partial class GossipCluster
{
    private static readonly TimeSpan ConnectLimit = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan ReplyLimit = TimeSpan.FromSeconds(15);

    /// <summary>One gigabit a second.</summary>
    private const double BytesPerTick = 12.5;

    private readonly Dictionary<long, OpenStream> _streams = [];
    private long _nextStream = 1;

    /// <summary>A stream from who asked to who answers, with the number each has for it.</summary>
    private sealed class OpenStream(SimulatedNode requester, int requesterLife, long requesterNumber, SimulatedNode responder, int responderLife, long number)
    {
        public SimulatedNode Requester { get; } = requester;

        public int RequesterLife { get; } = requesterLife;

        public long RequesterNumber { get; } = requesterNumber;

        public SimulatedNode Responder { get; } = responder;

        public int ResponderLife { get; } = responderLife;

        public long Number { get; } = number;

        /// <summary>When the last piece arrives: pieces keep their order.</summary>
        public long LastAt { get; set; }
    }

    private void Connect(SimulatedNode from, GossipEffect.OpenStream open)
    {
        from.Sent.AddStream(open.Body.Length);
        if (!_byEndpoint.TryGetValue(open.Endpoint, out SimulatedNode? to)
            || Network.StreamDelay(from.Index, to.Index, _now) is not { } there
            || Network.StreamDelay(to.Index, from.Index, _now) is not { } back
            || (to.Core is null && !to.HostIsUp)
            || there + back > ConnectLimit.Ticks)
        {
            Fail(from, open.Stream, ConnectLimit.Ticks);
            return;
        }

        if (to.Core is null || to.Id != open.To || Network.StreamBreaks())
        {
            Fail(from, open.Stream, there + back);
            return;
        }

        var stream = new OpenStream(from, from.Life, open.Stream, to, to.Life, _nextStream++);
        _streams[stream.Number] = stream;
        // Handshakes of TCP and TLS 1.3: the request goes out after two round trips.
        stream.LastAt = _now + ((there + back) * 2) + there + Wire(open.Body.Length);
        _events.Add(stream.LastAt, EventKind.Input, to.Index, to.Life, new GossipInput.StreamRequest(stream.Number, from.Id, open.Body));
        _events.Add(_now + ReplyLimit.Ticks, EventKind.StreamLimit, from.Index, from.Life, stream);
    }

    private void Respond(SimulatedNode node, GossipEffect.Respond respond)
    {
        node.Sent.AddStream(respond.Body.Length);
        if (!_streams.TryGetValue(respond.Stream, out OpenStream? stream))
        {
            return;
        }

        if (stream.RequesterLife != stream.Requester.Life)
        {
            Abort(stream);
            return;
        }

        if (Network.StreamDelay(node.Index, stream.Requester.Index, _now) is not { } delay || Network.StreamBreaks())
        {
            Abort(stream);
            Fail(stream.Requester, stream.RequesterNumber, TimeSpan.FromSeconds(1).Ticks);
            return;
        }

        stream.LastAt = Math.Max(stream.LastAt, _now + delay) + Wire(respond.Body.Length);
        _events.Add(
            stream.LastAt, EventKind.Input, stream.Requester.Index, stream.RequesterLife, new GossipInput.StreamReply(stream.RequesterNumber, respond.Body, respond.Last));
        if (respond.Last)
        {
            _streams.Remove(stream.Number);
        }
        else
        {
            // Written once the piece before it has left the buffers.
            _events.Add(stream.LastAt, EventKind.Input, node.Index, node.Life, new GossipInput.StreamWritable(stream.Number));
        }
    }

    private void OnStreamLimit(SimulatedNode requester, OpenStream stream)
    {
        if (_streams.ContainsKey(stream.Number))
        {
            Abort(stream);
            Deliver(requester, new GossipInput.StreamFailed(stream.RequesterNumber));
        }
    }

    /// <summary>The process is gone; its kernel resets what was open.</summary>
    private void BreakStreamsOf(SimulatedNode node, int life)
    {
        foreach (OpenStream stream in _streams.Values.Where(s => s.Responder == node && s.ResponderLife == life).OrderBy(s => s.Number).ToList())
        {
            _streams.Remove(stream.Number);
            if (stream.Requester.Life == stream.RequesterLife)
            {
                Fail(stream.Requester, stream.RequesterNumber, (node.HostIsUp ? TimeSpan.FromMilliseconds(1) : ReplyLimit).Ticks);
            }
        }
    }

    /// <summary>Whoever answers learns that nobody reads any more.</summary>
    private void Abort(OpenStream stream)
    {
        _streams.Remove(stream.Number);
        _events.Add(_now, EventKind.Input, stream.Responder.Index, stream.ResponderLife, new GossipInput.StreamAborted(stream.Number));
    }

    private void Fail(SimulatedNode requester, long number, long after) =>
        _events.Add(_now + after, EventKind.Input, requester.Index, requester.Life, new GossipInput.StreamFailed(number));

    private static long Wire(int bytes) => (long)(bytes / BytesPerTick);
}

namespace Kcore.Gossip;

/// <summary>
/// The streams this node has opened. Probes and repairs are counted apart: streams to hosts that are down take seconds
/// to fail, and repair must not wait for them.
/// </summary>
internal sealed class OutboundStreams(Turn turn, MemberTable members)
{
    private const int MaxOfEach = 8;
    private readonly Dictionary<long, StreamUse> _open = [];
    private long _next = 1;
    private int _probes;

    /// <summary>Probes over a stream, for networks that swallow datagrams.</summary>
    public void OpenProbe(NodeId target, byte[] ping)
    {
        if (_probes < MaxOfEach)
        {
            Open(target, isSync: false, ping);
        }
    }

    /// <summary>Whether a repair over a stream could start now; there is one for each peer.</summary>
    public bool MaySync(NodeId peer) =>
        _open.Count - _probes < MaxOfEach && !_open.Values.Any(s => s.Peer == peer && s.IsSync);

    /// <summary>The number of the stream; null when the peer is not known.</summary>
    public long? OpenSync(NodeId peer, byte[] body) => Open(peer, isSync: true, body);

    public StreamUse? Find(long stream) => _open.GetValueOrDefault(stream);

    public void Close(long stream)
    {
        if (_open.Remove(stream, out StreamUse? use) && !use.IsSync)
        {
            _probes--;
        }
    }

    private long? Open(NodeId peer, bool isSync, byte[] body)
    {
        if (members.Find(peer) is not { } member)
        {
            return null;
        }

        _open[_next] = new StreamUse(peer, isSync);
        _probes += isSync ? 0 : 1;
        turn.Emit(new GossipEffect.OpenStream(_next, peer, member.Endpoint, body));
        return _next++;
    }
}

/// <summary>To whom a stream goes, and whether it repairs a difference or only asks for a sign of life.</summary>
internal sealed record StreamUse(NodeId Peer, bool IsSync);

using Kcore.Gossip.Wire;

namespace Kcore.Gossip;

/// <summary>
/// What peers have asked for over streams, made piece by piece as the stream takes it. Only references to entries are
/// held meanwhile, and of one origin at a time: a node that serves a whole catalog needs no memory for another.
/// </summary>
internal sealed class StreamAnswers(Turn turn, MemberTable members, CatalogState catalog)
{
    private const int Max = 32;

    /// <summary>Pieces under way at once: one is written while the next is made.</summary>
    private const int Ahead = 2;

    /// <summary>Bytes of one frame; its length has two bytes on the wire.</summary>
    private const int FrameBudget = 60_000;
    private readonly Dictionary<long, Production> _open = [];

    /// <summary>Begins to answer; the rest follows when the shell says that the stream is writable.</summary>
    public void Start(StreamAnswer answer)
    {
        if (_open.Count >= Max)
        {
            turn.Emit(new GossipEffect.Respond(answer.Stream, ReadOnlyMemory<byte>.Empty, Last: true));
            return;
        }

        var production = new Production(Produce(answer).GetEnumerator());
        _open[answer.Stream] = production;
        for (int i = 0; i < Ahead && _open.ContainsKey(answer.Stream); i++)
        {
            OnWritable(answer.Stream);
        }
    }

    /// <summary>A piece was written.</summary>
    public void OnWritable(long stream)
    {
        if (!_open.TryGetValue(stream, out Production? production))
        {
            return;
        }

        byte[] piece = production.Next();
        if (production.IsDone)
        {
            _open.Remove(stream);
        }

        turn.Emit(new GossipEffect.Respond(stream, piece, production.IsDone));
    }

    /// <summary>The peer is gone.</summary>
    public void OnAborted(long stream) => _open.Remove(stream);

    private IEnumerable<byte[]> Produce(StreamAnswer answer)
    {
        foreach (byte[] frame in answer.Frames)
        {
            yield return frame;
        }

        foreach (NodeId id in answer.Members)
        {
            if (members.Find(id) is { } member)
            {
                yield return Frames.Member(member, null);
            }
        }

        foreach (HeadDigest held in answer.Origins)
        {
            if (catalog.Find(held.Origin) is not { } origin)
            {
                continue;
            }

            foreach (byte[] frame in origin.Version > 0 ? OriginFrames.Stream(origin, held.Epoch, held.Version, FrameBudget) : [])
            {
                yield return frame;
            }

            foreach (byte[] frame in OriginFrames.Floating(origin, FrameBudget))
            {
                yield return frame;
            }
        }
    }

    /// <summary>One answer on its way, a frame ahead so that the last piece is known as such.</summary>
    private sealed class Production
    {
        private readonly IEnumerator<byte[]> _frames;

        public Production(IEnumerator<byte[]> frames)
        {
            _frames = frames;
            IsDone = !frames.MoveNext();
        }

        public bool IsDone { get; private set; }

        public byte[] Next()
        {
            List<byte[]> frames = [];
            int size = 0;
            while (!IsDone && (size == 0 || size + _frames.Current.Length <= WireLimits.StreamChunkBytes))
            {
                frames.Add(_frames.Current);
                size += _frames.Current.Length;
                IsDone = !_frames.MoveNext();
            }

            return Packets.Join(frames, 0, frames.Count, size);
        }
    }
}

/// <summary>What one stream's request asks for.</summary>
internal sealed class StreamAnswer(long stream)
{
    public long Stream { get; } = stream;

    /// <summary>Sent first.</summary>
    public List<byte[]> Frames { get; } = [];

    public List<NodeId> Members { get; } = [];

    /// <summary>Origins with what the peer holds of them.</summary>
    public List<HeadDigest> Origins { get; } = [];
}

using System.Buffers.Binary;
using Kcore.Gossip.Wire;

namespace Kcore.Gossip;

/// <summary>
/// The middle of a repair: a peer's summaries are compared with what is held here. What it lacks goes back, what we lack
/// is asked for.
/// </summary>
internal sealed class Comparison(MemberTable members, Roster roster, CatalogState catalog, Summaries summaries, OwnOrigin own, PeerFacts facts)
{
    /// <summary>Compares bucket sums. False when the difference is too large for datagrams.</summary>
    public bool OnBuckets(ref MessagePackReader reader, Exchange exchange)
    {
        int extra = reader.BeginArray(3);
        var kind = (DigestKind)reader.ReadUInt64((byte)DigestKind.Members);
        ReadOnlySpan<byte> theirs = reader.ReadBinary(BucketSet.Few * 8);
        byte quarter = (byte)reader.ReadUInt64(BucketSet.Most / BucketSet.Few);
        reader.EndArray(extra);
        if (theirs.Length != BucketSet.Few * 8)
        {
            throw new WireFormatException($"{theirs.Length} bytes of buckets");
        }

        ulong[] mine = summaries.Sums(kind, quarter);
        ulong differing = 0;
        for (int i = 0; i < mine.Length; i++)
        {
            differing |= BinaryPrimitives.ReadUInt64BigEndian(theirs[(i * 8)..]) == mine[i] ? 0 : 1UL << i;
        }

        var buckets = new BucketSet(differing, quarter);
        List<byte[]> frames = kind == DigestKind.Catalog
            ? summaries.Heads(buckets, WireLimits.PayloadBytes)
            : summaries.MemberHeads(buckets, WireLimits.PayloadBytes);
        if (!Fits(frames))
        {
            return false;
        }

        exchange.Reply.AddRange(frames);
        return true;
    }

    public void OnHeads(ref MessagePackReader reader, Exchange exchange)
    {
        int extra = reader.BeginArray(3);
        BucketSet buckets = ReadBuckets(ref reader);
        int count = reader.ReadArrayHeader(WireLimits.Origins);
        HashSet<NodeId> listed = [];
        var answer = new Answer(exchange);
        for (int i = 0; i < count; i++)
        {
            HeadDigest head = Frames.ReadHead(ref reader);
            if (listed.Add(head.Origin))
            {
                Compare(head, exchange, answer);
            }
        }

        reader.EndArray(extra);
        if (buckets.Bits != 0)
        {
            foreach (OriginState origin in catalog.Origins)
            {
                if (origin.IsKnown && buckets.Contains(origin.Origin) && !listed.Contains(origin.Origin))
                {
                    Give(answer, origin, 0, 0);
                }
            }
        }

        answer.Finish();
    }

    public void OnDeltaRequest(ref MessagePackReader reader, Exchange exchange)
    {
        int extra = reader.BeginArray(1);
        int count = reader.ReadArrayHeader(WireLimits.Origins);
        HashSet<NodeId> listed = [];
        var answer = new Answer(exchange);
        for (int i = 0; i < count; i++)
        {
            int more = reader.BeginArray(3);
            NodeId id = reader.ReadId();
            ulong epoch = reader.ReadUInt64(WireLimits.MaxVersion);
            ulong version = reader.ReadUInt64(WireLimits.MaxVersion);
            reader.EndArray(more);
            if (listed.Add(id) && catalog.Find(id) is { IsKnown: true } origin
                && (epoch, version).CompareTo((origin.Epoch, origin.Version)) <= 0)
            {
                Give(answer, origin, epoch, version);
            }
        }

        reader.EndArray(extra);
        answer.Finish();
    }

    public void OnMemberHeads(ref MessagePackReader reader, Exchange exchange)
    {
        int extra = reader.BeginArray(3);
        BucketSet buckets = ReadBuckets(ref reader);
        int count = reader.ReadArrayHeader(WireLimits.Members);
        HashSet<NodeId> listed = [];
        var answer = new Answer(exchange);
        for (int i = 0; i < count; i++)
        {
            int more = reader.BeginArray(5);
            var theirs = new MemberDigest(reader.ReadId(), reader.ReadUInt32(), reader.ReadUInt64(), reader.ReadUInt32(), (MemberStatus)reader.ReadUInt64((uint)MemberStatus.Left));
            reader.EndArray(more);
            if (!listed.Add(theirs.Id))
            {
                continue;
            }

            Member? mine = members.Find(theirs.Id);
            int order = mine is null ? -1 : Member.Compare(
                (mine.Epoch, mine.BootNonce, mine.Incarnation, mine.Status), (theirs.Epoch, theirs.BootNonce, theirs.Incarnation, theirs.Status));
            if (order > 0)
            {
                answer.AddMember(mine!);
            }
            else if (order < 0 && !roster.IsForgotten(theirs.Id, theirs.Epoch))
            {
                exchange.WantedMembers.Add(theirs.Id);
            }
        }

        reader.EndArray(extra);
        if (buckets.Bits != 0)
        {
            foreach (Member member in members.All)
            {
                if (buckets.Contains(member.Id) && !listed.Contains(member.Id))
                {
                    answer.AddMember(member);
                }
            }
        }

        answer.Finish();
    }

    public void OnMemberRequest(ref MessagePackReader reader, Exchange exchange)
    {
        int extra = reader.BeginArray(1);
        int count = reader.ReadArrayHeader(WireLimits.Members);
        HashSet<NodeId> listed = [];
        var answer = new Answer(exchange);
        for (int i = 0; i < count; i++)
        {
            NodeId id = reader.ReadId();
            if (listed.Add(id) && members.Find(id) is { } member)
            {
                answer.AddMember(member);
            }
        }

        reader.EndArray(extra);
        answer.Finish();
    }

    private static BucketSet ReadBuckets(ref MessagePackReader reader) =>
        new(reader.ReadUInt64(), (byte)reader.ReadUInt64(BucketSet.Most / BucketSet.Few));

    private static bool Fits(List<byte[]> frames) =>
        frames.TrueForAll(f => f.Length <= WireLimits.PayloadBytes) && frames.Sum(f => f.Length) <= WireLimits.PayloadBytes * Exchange.AnswerPackets;

    /// <summary>What follows the peer's place in the sequence; where nothing does, what floats.</summary>
    private static void Give(Answer answer, OriginState origin, ulong epoch, ulong version)
    {
        // Of what we have only heard of there is nothing to give: an empty snapshot would withdraw everything.
        if (origin.Version > 0 && (epoch, version) != (origin.Epoch, origin.Version))
        {
            answer.AddOrigin(origin, epoch, version);
        }
        else
        {
            answer.AddFloating(origin);
        }
    }

    private void Compare(HeadDigest head, Exchange exchange, Answer answer)
    {
        OriginState? mine = catalog.Find(head.Origin);
        int order = mine is { IsKnown: true } ? (mine.Epoch, mine.Version).CompareTo((head.Epoch, head.Version)) : -1;
        if (order > 0)
        {
            Give(answer, mine!, head.Epoch, head.Version);
        }
        else if (head.Origin == members.Self.Id)
        {
            own.Check(Math.Max(head.Epoch, head.Surface.LaterEpoch), head.Version);
            if (order == 0 && head.Content != mine!.Content)
            {
                own.Reassert(exchange.From);
            }
            else if (order == 0 && head.Surface.Floating != 0)
            {
                // What floats above our last version is of a life that we do not remember (a restored disk).
                own.Check(head.Epoch, head.Version + 1);
            }
        }
        else if (order < 0)
        {
            facts.WantMore(head.Origin, head.Epoch, exchange);
        }
        else
        {
            CompareContent(head, mine!, exchange);
            CompareSurface(head, mine!, exchange, answer);
        }
    }

    private void CompareContent(HeadDigest head, OriginState mine, Exchange exchange)
    {
        if (mine.Content != head.Content && !catalog.IsSourceOf(head.Origin)
            && (head.IsSource || (mine.Content < head.Content && !members.IsActive(head.Origin))))
        {
            // Who applies the log is right about what it committed. Of an origin whose owner is gone nobody is left who
            // knows; then the larger sum wins, so that at least all hold the same.
            facts.Heal(mine, exchange);
        }
    }

    /// <summary>
    /// The same is settled on both sides, but not the same is shown. The owner may be gone for good, so nothing will settle
    /// the rest: each takes over what the other has beyond it.
    /// </summary>
    private void CompareSurface(HeadDigest head, OriginState mine, Exchange exchange, Answer answer)
    {
        Surface theirs = head.Surface;
        if (theirs.Floating != mine.Surface.Floating)
        {
            if (theirs.Floating != 0)
            {
                exchange.Want(new HeadDigest(head.Origin, head.Epoch, head.Version, 0));
            }

            answer.AddFloating(mine);
        }

        if (!catalog.IsSourceOf(head.Origin))
        {
            facts.AdoptLaterEpoch(mine, theirs);
        }

        if (mine.LaterEpoch > theirs.LaterEpoch || (mine.LaterEpoch == theirs.LaterEpoch && mine.IsHidden && !theirs.IsHidden))
        {
            exchange.Reply.Add(Frames.Heads(BucketSet.None, [catalog.HeadOf(mine)]));
        }
    }

    /// <summary>What goes back to the peer: by datagrams if it fits a few, by stream if the exchange is one, else a hint.</summary>
    private sealed class Answer(Exchange exchange)
    {
        private readonly List<byte[]> _frames = [];
        private int _bytes;
        private bool _tooMuch = !exchange.IsStream && exchange.Reply.Sum(f => f.Length) > Exchange.ReplyBytes;

        public void AddOrigin(OriginState origin, ulong epoch, ulong version)
        {
            if (exchange.IsStream)
            {
                exchange.Answer?.Origins.Add(new HeadDigest(origin.Origin, epoch, version, 0));
                return;
            }

            if (_tooMuch)
            {
                return;
            }

            // A snapshot of several parts is not for datagrams: one lost part voids it.
            bool isSnapshot = epoch != origin.Epoch || version < origin.GcFloor;
            int most = isSnapshot ? 1 : WireLimits.FramesPerDatagram - _frames.Count;
            Add(OriginFrames.Since(origin, epoch, version, WireLimits.PayloadBytes, most));
        }

        public void AddFloating(OriginState origin)
        {
            if (exchange.IsStream)
            {
                // Who holds all that is settled gets nothing but this from a stream.
                exchange.Answer?.Origins.Add(new HeadDigest(origin.Origin, origin.Epoch, origin.Version, 0));
            }
            else if (!_tooMuch && origin.Floating.Count > 0)
            {
                List<byte[]> frames = OriginFrames.Floating(origin, WireLimits.PayloadBytes);
                Add(frames.TrueForAll(f => f.Length <= WireLimits.PayloadBytes) ? frames : null);
            }
        }

        public void AddMember(Member member)
        {
            if (exchange.IsStream)
            {
                exchange.Answer?.Members.Add(member.Id);
            }
            else if (!_tooMuch)
            {
                Add([Frames.Member(member, null)]);
            }
        }

        public void Finish()
        {
            if (!exchange.IsStream)
            {
                exchange.Reply.AddRange(_tooMuch ? [Frames.StreamHint()] : _frames);
            }
        }

        private void Add(List<byte[]>? frames)
        {
            _frames.AddRange(frames ?? []);
            _bytes += frames?.Sum(f => f.Length) ?? 0;
            _tooMuch = frames is null || _bytes > WireLimits.PayloadBytes * Exchange.AnswerPackets;
        }
    }
}

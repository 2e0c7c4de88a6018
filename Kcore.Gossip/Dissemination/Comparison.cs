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
            int more = reader.BeginArray(5);
            var head = new HeadDigest(
                reader.ReadId(), reader.ReadUInt64(WireLimits.MaxVersion), reader.ReadUInt64(WireLimits.MaxVersion), reader.ReadUInt64(), reader.ReadBoolean());
            reader.EndArray(more);
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
                if (origin.Version > 0 && buckets.Contains(origin.Origin) && !listed.Contains(origin.Origin))
                {
                    answer.AddOrigin(origin, 0, 0);
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
            if (listed.Add(id) && catalog.Find(id) is { Version: > 0 } origin
                && epoch <= origin.Epoch && (epoch < origin.Epoch || version < origin.Version))
            {
                answer.AddOrigin(origin, epoch, version);
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

    private void Compare(HeadDigest head, Exchange exchange, Answer answer)
    {
        OriginState? mine = catalog.Find(head.Origin);
        int order = mine is null ? -1 : (mine.Epoch, mine.Version).CompareTo((head.Epoch, head.Version));
        if (order > 0)
        {
            // Of what we have only heard of there is nothing to give: an empty snapshot would withdraw everything.
            if (mine!.Version > 0)
            {
                answer.AddOrigin(mine, head.Epoch, head.Version);
            }
        }
        else if (head.Origin == members.Self.Id)
        {
            own.Check(head.Epoch, head.Version);
            if (order == 0 && head.Content != mine!.Content)
            {
                own.Reassert(exchange.From);
            }
        }
        else if (order < 0)
        {
            facts.WantMore(head.Origin, head.Epoch, exchange);
        }
        else if (mine!.Content != head.Content && !catalog.IsSourceOf(head.Origin)
            && (head.IsSource || (mine.Content < head.Content && !members.IsActive(head.Origin))))
        {
            // Who applies the log is right about what it committed. Of an origin whose owner is gone nobody is left who
            // knows; then the larger sum wins, so that at least all hold the same.
            facts.Heal(mine, exchange);
        }
    }

    /// <summary>What goes back to the peer: by datagrams if it fits a few, by stream if the exchange is one, else a hint.</summary>
    private sealed class Answer(Exchange exchange)
    {
        private readonly List<byte[]> _frames = [];
        private int _bytes;
        private bool _tooMuch;

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

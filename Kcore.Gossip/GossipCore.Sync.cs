using System.Buffers.Binary;
using Kcore.Gossip.Wire;

namespace Kcore.Gossip;

// Anti-entropy: digests in probes and acknowledgements find a difference, summaries name it, deltas remove it. The
// first attempt uses datagrams; the next one a stream, because whatever swallows datagrams may do so for ever.
public sealed partial class GossipCore
{
    private const int BucketCount = 64;
    private const ulong AllBuckets = ulong.MaxValue;
    private const int DirectHeads = 22;
    private const int MaxStreams = 8;
    private const int MaxDiffering = 32;
    private static readonly TimeSpan RetryPause = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan RetryPauseMax = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan DivergedAfter = TimeSpan.FromSeconds(2);
    private readonly SortedDictionary<NodeId, PeerSync> _sync = [];
    private readonly Dictionary<long, StreamUse> _streams = [];
    private long _nextStream = 1;

    /// <summary>A peer whose digests differ from ours, or may.</summary>
    private sealed class PeerSync
    {
        /// <summary>Since when digests differ; null when the peer has not been compared with since it appeared.</summary>
        public TimeSpan? Since { get; set; }

        /// <summary>The peer has just appeared: rumors of before are lost to one side, so waiting for them is no use.</summary>
        public bool Urgent { get; set; }

        public int Attempts { get; set; }

        public TimeSpan NextAttempt { get; set; }

        public TimeSpan Recheck { get; set; } = TimeSpan.MaxValue;

        public bool Announced { get; set; }
    }

    private sealed record StreamUse(NodeId Peer, bool IsSync);

    private PeerSync Sync(NodeId peer)
    {
        if (!_sync.TryGetValue(peer, out PeerSync? sync))
        {
            _sync[peer] = sync = new PeerSync();
        }

        return sync;
    }

    private void OnPeerDigest(Exchange exchange, StateDigest digest)
    {
        NodeId peer = exchange.From;
        if (digest.HeldEpoch == _own.Epoch)
        {
            _acknowledged[peer] = Math.Min(digest.HeldVersion, _own.Version);
        }

        CheckOwn(digest.HeldEpoch, digest.HeldVersion);
        if (digest.Catalog == CatalogRoot && digest.Members == _members.Root)
        {
            if (_sync.Remove(peer, out PeerSync? agreed) && agreed.Announced)
            {
                _effects.Add(new GossipEffect.DigestAgreed(peer));
            }

            return;
        }

        if (!_members.IsActive(peer) || (_sync.Count >= MaxDiffering && !_sync.ContainsKey(peer)))
        {
            return;
        }

        PeerSync sync = Sync(peer);
        sync.Since ??= _now;
        if (!sync.Announced && digest.Catalog != CatalogRoot && _now - sync.Since >= DivergedAfter)
        {
            sync.Announced = true;
            _effects.Add(new GossipEffect.DigestDiverged(peer));
        }

        TrySync(peer, sync, exchange.IsStream ? null : exchange.Reply, digest);
    }

    private void TrySync(NodeId peer, PeerSync sync, List<byte[]>? reply, StateDigest digest)
    {
        TimeSpan settled = Sooner(sync.Since!.Value, _lastChange) + _options.RepairAfter;
        TimeSpan ready = sync.Urgent || settled < sync.NextAttempt ? sync.NextAttempt : settled;
        if (_now < ready)
        {
            sync.Recheck = ready;
            return;
        }

        if (sync.Attempts % 2 == 1)
        {
            OpenSyncStream(peer);
        }
        else if (reply is not null)
        {
            AddSummaries(reply, digest);
        }
        else
        {
            return;
        }

        sync.Urgent = false;
        sync.Attempts++;
        TimeSpan pause = RetryPause * Math.Min(32, 1 << Math.Min(5, (sync.Attempts - 1) / 2));
        sync.NextAttempt = _now + (pause < RetryPauseMax ? pause : RetryPauseMax);
        sync.Recheck = sync.NextAttempt;
    }

    private void RunSync()
    {
        foreach ((NodeId peer, PeerSync sync) in _sync)
        {
            if (_now >= sync.Recheck)
            {
                // A ping carries our digest; the answer tells whether there is still a difference.
                sync.Recheck = _now + RetryPauseMax;
                SendPing(peer, NextSequence());
            }
        }
    }

    private TimeSpan NextSyncEvent() => _sync.Count == 0 ? TimeSpan.MaxValue : _sync.Values.Min(s => s.Recheck);

    private void AddSummaries(List<byte[]> frames, StateDigest theirs)
    {
        if (theirs.Catalog != CatalogRoot)
        {
            frames.AddRange(Catalog.Origins.Count <= DirectHeads
                ? HeadFrames(AllBuckets, DatagramBudget)
                : [Frames.Buckets(DigestKind.Catalog, CatalogBuckets())]);
        }

        if (theirs.Members != _members.Root)
        {
            frames.AddRange(_members.Count <= DirectHeads
                ? MemberHeadFrames(AllBuckets, DatagramBudget)
                : [Frames.Buckets(DigestKind.Members, MemberBuckets())]);
        }
    }

    private static int BucketOf(NodeId id) => (int)(Digest.OfId(id) >> 58);

    private static bool InBuckets(ulong buckets, NodeId id) => (buckets >> BucketOf(id) & 1) != 0;

    private ulong[] CatalogBuckets()
    {
        ulong[] sums = new ulong[BucketCount];
        foreach (OriginState origin in Catalog.Origins)
        {
            sums[BucketOf(origin.Origin)] = unchecked(sums[BucketOf(origin.Origin)] + HeadHash(origin));
        }

        return sums;
    }

    private ulong[] MemberBuckets()
    {
        ulong[] sums = new ulong[BucketCount];
        foreach (Member member in _members.All)
        {
            sums[BucketOf(member.Id)] = unchecked(sums[BucketOf(member.Id)] + Digest.OfMember(member));
        }

        return sums;
    }

    private List<byte[]> HeadFrames(ulong buckets, int budget) => ByBucket(
        buckets,
        Catalog.Origins.Where(o => o.Version > 0).Select(o => new HeadDigest(o.Origin, o.Epoch, o.Version, o.Content, IsSourceOf(o.Origin))),
        h => h.Origin,
        budget,
        Frames.Heads);

    private List<byte[]> MemberHeadFrames(ulong buckets, int budget) => ByBucket(
        buckets,
        _members.All.Select(m => new MemberDigest(m.Id, m.Epoch, m.Incarnation, m.Status)),
        m => m.Id,
        budget,
        Frames.MemberHeads);

    /// <summary>
    /// Lists whole buckets a frame, because what a bucket's list leaves out is taken for unknown. A bucket larger than
    /// the budget gets a frame of its own, which only a stream can carry.
    /// </summary>
    private static List<byte[]> ByBucket<T>(ulong buckets, IEnumerable<T> items, Func<T, NodeId> id, int budget, Func<ulong, IReadOnlyCollection<T>, byte[]> frame)
    {
        ILookup<int, T> lookup = items.ToLookup(i => BucketOf(id(i)));
        int perFrame = (budget - 32) / Frames.HeadBytes;
        List<byte[]> frames = [];
        List<T> list = [];
        ulong listed = 0;
        for (int bucket = 0; bucket < BucketCount; bucket++)
        {
            if ((buckets >> bucket & 1) == 0)
            {
                continue;
            }

            List<T> content = [.. lookup[bucket]];
            if (listed != 0 && list.Count + content.Count > perFrame)
            {
                frames.Add(frame(listed, list));
                list = [];
                listed = 0;
            }

            list.AddRange(content);
            listed |= 1UL << bucket;
        }

        if (listed != 0)
        {
            frames.Add(frame(listed, list));
        }

        return frames;
    }

    private void OnBuckets(ref MessagePackReader reader, Exchange exchange)
    {
        int extra = reader.BeginArray(2);
        var kind = (DigestKind)reader.ReadByte();
        ReadOnlySpan<byte> sums = reader.ReadBinary(BucketCount * 8);
        ulong[] mine = kind switch
        {
            DigestKind.Catalog => CatalogBuckets(),
            DigestKind.Members => MemberBuckets(),
            _ => throw new WireFormatException("buckets of an unknown kind"),
        };
        if (sums.Length != BucketCount * 8)
        {
            throw new WireFormatException($"{sums.Length} bytes of buckets");
        }

        ulong differing = 0;
        for (int i = 0; i < BucketCount; i++)
        {
            differing |= BinaryPrimitives.ReadUInt64BigEndian(sums[(i * 8)..]) == mine[i] ? 0 : 1UL << i;
        }

        reader.EndArray(extra);
        List<byte[]> frames = kind == DigestKind.Catalog ? HeadFrames(differing, DatagramBudget) : MemberHeadFrames(differing, DatagramBudget);
        if (Fits(frames))
        {
            exchange.Reply.AddRange(frames);
        }
        else
        {
            OpenSyncStream(exchange.From);
        }
    }

    private static bool Fits(List<byte[]> frames) =>
        frames.TrueForAll(f => f.Length <= DatagramBudget) && frames.Sum(f => f.Length) <= DatagramBudget * AnswerPackets;

    private void OnHeads(ref MessagePackReader reader, Exchange exchange)
    {
        int extra = reader.BeginArray(2);
        ulong buckets = reader.ReadUInt64();
        int count = reader.ReadArrayHeader(WireLimits.Origins);
        HashSet<NodeId> listed = [];
        List<byte[]> answer = [];
        bool fits = true;
        for (int i = 0; i < count; i++)
        {
            int more = reader.BeginArray(5);
            var head = new HeadDigest(
                reader.ReadId(), reader.ReadUInt64(WireLimits.MaxVersion), reader.ReadUInt64(WireLimits.MaxVersion), reader.ReadUInt64(), reader.ReadBoolean());
            reader.EndArray(more);
            listed.Add(head.Origin);
            fits &= CompareHead(head, exchange, answer);
        }

        reader.EndArray(extra);
        foreach (OriginState origin in Catalog.Origins)
        {
            if (origin.Version > 0 && InBuckets(buckets, origin.Origin) && !listed.Contains(origin.Origin))
            {
                fits &= AddMissing(origin, 0, 0, exchange, answer);
            }
        }

        AddAnswer(answer, fits, exchange);
    }

    private bool CompareHead(HeadDigest head, Exchange exchange, List<byte[]> answer)
    {
        OriginState? mine = Catalog.Find(head.Origin);
        int order = mine is null ? -1 : (mine.Epoch, mine.Version).CompareTo((head.Epoch, head.Version));
        if (order > 0)
        {
            return AddMissing(mine!, head.Epoch, head.Version, exchange, answer);
        }

        if (head.Origin == _self.Id)
        {
            CheckOwn(head.Epoch, head.Version);
            if (order == 0 && head.Content != _own.Content)
            {
                // Two facts under one version: only we can tell which is right, and say so under a new epoch (R7).
                _effects.Add(new GossipEffect.ContentDiverged(exchange.From, _self.Id));
                StartNewEpoch(_own.Epoch);
            }
        }
        else if (order < 0 && OriginToFill(head.Origin, head.Epoch) is { } origin)
        {
            Want(exchange, origin);
        }
        else if (order == 0 && mine!.Content != head.Content && !IsSourceOf(head.Origin)
            && (head.IsSource || (mine.Content < head.Content && !_members.IsActive(head.Origin))))
        {
            // Who applies the log is right about what it committed. Of an origin whose owner is gone nobody is left who
            // knows; then the larger sum wins, so that at least all hold the same.
            _effects.Add(new GossipEffect.ContentDiverged(exchange.From, head.Origin));
            _healing.Add(head.Origin);
            exchange.Wanted.Add(new HeadDigest(head.Origin, 0, 0, 0));
        }

        return true;
    }

    private bool IsSourceOf(NodeId origin) => origin == NodeId.Raft && _appliesLog;

    private static void Want(Exchange exchange, OriginState origin)
    {
        if (!exchange.Wanted.Exists(w => w.Origin == origin.Origin))
        {
            // Of an epoch that is not ours any more there is nothing to add to: a snapshot it is.
            exchange.Wanted.Add(new HeadDigest(origin.Origin, origin.Stale ? 0 : origin.Epoch, origin.Version, 0));
        }
    }

    private void OnDeltaRequest(ref MessagePackReader reader, Exchange exchange)
    {
        int extra = reader.BeginArray(1);
        int count = reader.ReadArrayHeader(WireLimits.Origins);
        List<byte[]> answer = [];
        bool fits = true;
        for (int i = 0; i < count; i++)
        {
            int more = reader.BeginArray(3);
            NodeId id = reader.ReadId();
            ulong epoch = reader.ReadUInt64(WireLimits.MaxVersion);
            ulong version = reader.ReadUInt64(WireLimits.MaxVersion);
            reader.EndArray(more);
            if (Catalog.Find(id) is { Version: > 0 } origin && epoch <= origin.Epoch && (epoch < origin.Epoch || version < origin.Version))
            {
                fits &= AddMissing(origin, epoch, version, exchange, answer);
            }
        }

        reader.EndArray(extra);
        AddAnswer(answer, fits, exchange);
    }

    /// <summary>Adds what somebody at this version lacks; false when it is too much for datagrams.</summary>
    private static bool AddMissing(OriginState origin, ulong epoch, ulong version, Exchange exchange, List<byte[]> answer)
    {
        if (exchange.IsStream)
        {
            answer.AddRange(OriginFrames.Since(origin, epoch, version, StreamBudget) ?? OriginFrames.Snapshot(origin, StreamBudget) ?? []);
            return true;
        }

        List<byte[]>? frames = OriginFrames.Since(origin, epoch, version, DatagramBudget);
        bool isSnapshot = epoch != origin.Epoch || version < origin.GcFloor;
        if (frames is null || (isSnapshot && frames.Count > 1) || answer.Count + frames.Count > WireLimits.FramesPerDatagram)
        {
            return false;
        }

        answer.AddRange(frames);
        return true;
    }

    private static void AddAnswer(List<byte[]> answer, bool fits, Exchange exchange)
    {
        if (exchange.IsStream || (fits && Fits(answer)))
        {
            exchange.Reply.AddRange(answer);
        }
        else
        {
            exchange.Reply.Add(Frames.StreamHint());
        }
    }

    private void OnMemberHeads(ref MessagePackReader reader, Exchange exchange)
    {
        int extra = reader.BeginArray(2);
        ulong buckets = reader.ReadUInt64();
        int count = reader.ReadArrayHeader(WireLimits.Members);
        HashSet<NodeId> listed = [];
        List<byte[]> answer = [];
        for (int i = 0; i < count; i++)
        {
            int more = reader.BeginArray(4);
            var theirs = new MemberDigest(reader.ReadId(), reader.ReadUInt32(), reader.ReadUInt32(), (MemberStatus)reader.ReadUInt64((uint)MemberStatus.Left));
            reader.EndArray(more);
            listed.Add(theirs.Id);
            Member? mine = _members.Find(theirs.Id);
            int order = mine is null ? -1 : (mine.Epoch, mine.Incarnation, mine.Status).CompareTo((theirs.Epoch, theirs.Incarnation, theirs.Status));
            if (order > 0)
            {
                answer.Add(Frames.Member(mine!, null));
            }
            else if (order < 0 && !(_forgotten.TryGetValue(theirs.Id, out uint epoch) && theirs.Epoch <= epoch))
            {
                exchange.WantedMembers.Add(theirs.Id);
            }
        }

        reader.EndArray(extra);
        answer.AddRange(_members.All.Where(m => InBuckets(buckets, m.Id) && !listed.Contains(m.Id)).Select(m => Frames.Member(m, null)));
        AddAnswer(answer, fits: true, exchange);
    }

    private void OnMemberRequest(ref MessagePackReader reader, Exchange exchange)
    {
        int extra = reader.BeginArray(1);
        int count = reader.ReadArrayHeader(WireLimits.Members);
        List<byte[]> answer = [];
        for (int i = 0; i < count; i++)
        {
            if (_members.Find(reader.ReadId()) is { } member)
            {
                answer.Add(Frames.Member(member, null));
            }
        }

        reader.EndArray(extra);
        AddAnswer(answer, fits: true, exchange);
    }

    private void OpenProbeStream(NodeId target, ulong sequence)
    {
        if (_members.Find(target) is { } member && _streams.Count < MaxStreams)
        {
            _streams[_nextStream] = new StreamUse(target, IsSync: false);
            _effects.Add(new GossipEffect.OpenStream(_nextStream++, target, member.Endpoint, Frames.Ping(sequence, target, DigestFor(target))));
        }
    }

    private void OpenSyncStream(NodeId peer)
    {
        if (_members.Find(peer) is not { } member || _streams.Count >= MaxStreams || _streams.Values.Any(s => s.Peer == peer && s.IsSync))
        {
            return;
        }

        byte[] body = [.. HeadFrames(AllBuckets, StreamBudget).Concat(MemberHeadFrames(AllBuckets, StreamBudget)).SelectMany(f => f)];
        _streams[_nextStream] = new StreamUse(peer, IsSync: true);
        _effects.Add(new GossipEffect.OpenStream(_nextStream++, peer, member.Endpoint, body));
    }

    private void OnStreamRequest(GossipInput.StreamRequest request)
    {
        var exchange = new Exchange(request.From, null);
        if (request.Body.Length > WireLimits.StreamBodyBytes || request.From == _self.Id)
        {
            MalformedInputs++;
        }
        else
        {
            _heard[request.From] = _now;
            ReadFrames(request.Body, exchange);
        }

        List<byte[]> chunks = Packets.Pack(exchange.Reply, WireLimits.StreamChunkBytes);
        for (int i = 0; i < chunks.Count; i++)
        {
            _effects.Add(new GossipEffect.Respond(request.Stream, chunks[i], i == chunks.Count - 1));
        }

        if (chunks.Count == 0)
        {
            _effects.Add(new GossipEffect.Respond(request.Stream, ReadOnlyMemory<byte>.Empty, true));
        }

        AskFor(exchange);
    }

    private void OnStreamReply(GossipInput.StreamReply reply)
    {
        if (!_streams.TryGetValue(reply.Stream, out StreamUse? use))
        {
            return;
        }

        _heard[use.Peer] = _now;
        var exchange = new Exchange(use.Peer, null);
        ReadFrames(reply.Body, exchange);
        AskFor(exchange);
        if (reply.Last)
        {
            _streams.Remove(reply.Stream);
            if (_sync.TryGetValue(use.Peer, out PeerSync? sync))
            {
                sync.Recheck = _now;
            }
        }
    }

    private void OnStreamFailed(long stream) => _streams.Remove(stream);

    /// <summary>A stream answers one way only; what we lack ourselves is asked for by datagram.</summary>
    private void AskFor(Exchange exchange)
    {
        exchange.Reply.Clear();
        FinishExchange(exchange);
        if (exchange.Reply.Count > 0)
        {
            SendTo(exchange.From, exchange.Reply);
        }
    }
}

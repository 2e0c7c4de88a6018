using System.Collections.Immutable;
using System.Net;

namespace Kcore.Daemon.Cluster.Discovery;

/// <summary>What the engine wants done.</summary>
internal abstract record MdnsEffect
{
    private MdnsEffect()
    {
    }

    /// <param name="InterfaceIndex">Where to send it.</param>
    /// <param name="Message">What to send.</param>
    /// <param name="To">One asker, or null for everybody on the link.</param>
    public sealed record Send(int InterfaceIndex, DnsMessage Message, IPEndPoint? To) : MdnsEffect;

    public sealed record Sighting(DiscoveredPeer Peer) : MdnsEffect;
}

/// <summary>
/// The decisions of a multicast DNS responder and browser for one service type (RFC 6762): when to announce, ask,
/// answer and keep quiet. Pure: time and chance come in, effects go out.
/// </summary>
internal sealed class MdnsEngine(Random random)
{
    /// <summary>Continuous querying starts at a second and doubles (§5.2), but an hour would be too slow for late nodes.</summary>
    public static readonly TimeSpan QueryIntervalMax = TimeSpan.FromSeconds(60);

    /// <summary>A node does not multicast its records more often than this on one link (§6).</summary>
    public static readonly TimeSpan MulticastSpacing = TimeSpan.FromSeconds(1);

    private static readonly TimeSpan QueryIntervalFirst = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LegacySpacing = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan LegacyTimeToLive = TimeSpan.FromSeconds(10);
    private const int Announcements = 2;

    // 47 bytes each; with these a query stays within one Ethernet frame.
    private const int KnownAnswersMax = 28;

    private readonly SortedDictionary<int, Link> _links = [];
    private Announcement? _own;

    /// <summary>When <see cref="HandleDeadline"/> has something to do; <see cref="TimeSpan.MaxValue"/> when never.</summary>
    public TimeSpan NextDeadline => _links.Values.Select(link => link.NextDeadline).DefaultIfEmpty(TimeSpan.MaxValue).Min();

    /// <summary>Says something new about this node from now on; it is announced on every link, twice.</summary>
    public void Announce(Announcement own, TimeSpan now)
    {
        _own = own;
        foreach (Link link in _links.Values)
        {
            link.StartAnnouncing(now);
        }
    }

    /// <summary>Replaces the set of links. New and changed ones are announced on and asked anew.</summary>
    public void SetInterfaces(ImmutableArray<MdnsInterface> interfaces, TimeSpan now)
    {
        foreach (int gone in _links.Keys.Except(interfaces.Select(i => i.Index)).ToArray())
        {
            _links.Remove(gone);
        }

        foreach (MdnsInterface present in interfaces)
        {
            if (!_links.TryGetValue(present.Index, out Link? known) || !known.Interface.Equals(present))
            {
                // A first query at once would collide with those of all who were switched on together (§5.2).
                var link = new Link(present) { NextQuery = now + Jitter(20, 120) };
                _links[present.Index] = link;
                if (_own is not null)
                {
                    link.StartAnnouncing(now);
                }
            }
        }
    }

    public void HandleDatagram(
        int interfaceIndex, ReadOnlySpan<byte> datagram, IPEndPoint from, TimeSpan now, List<MdnsEffect> effects)
    {
        if (!_links.TryGetValue(interfaceIndex, out Link? link) || !DnsReader.TryRead(datagram, out DnsMessage message))
        {
            return;
        }

        if (!message.IsResponse)
        {
            HandleQuery(link, message, from, now, effects);
        }
        else if (from.Port == MdnsSocket.Port)
        {
            // Responses from another port must be ignored (§6).
            HandleResponse(link, message, from, now, effects);
        }
    }

    public void HandleDeadline(TimeSpan now, List<MdnsEffect> effects)
    {
        foreach (Link link in _links.Values)
        {
            if (_own is not null && (link.NextAnnouncement <= now || link.NextResponse <= now))
            {
                effects.Add(Tell(link, KcoreService.TimeToLive));
                link.Told(now, MulticastSpacing);
            }

            if (link.NextQuery <= now)
            {
                Ask(link, now, effects);
            }
        }
    }

    /// <summary>Takes the announcement back on every link (§10.1).</summary>
    public void Stop(List<MdnsEffect> effects)
    {
        if (_own is not null)
        {
            effects.AddRange(_links.Values.Select(link => Tell(link, TimeSpan.Zero)));
            _own = null;
        }
    }

    private void HandleQuery(Link link, DnsMessage query, IPEndPoint from, TimeSpan now, List<MdnsEffect> effects)
    {
        if (_own is null || !query.Questions.Any(question => IsAboutUs(question, _own)))
        {
            return;
        }

        if (from.Port != MdnsSocket.Port)
        {
            AnswerLegacy(link, query, from, now, effects);
            return;
        }

        // Known-answer suppression (§7.1): the asker has our record and will have it for half its life still.
        string instance = KcoreService.InstanceName(_own.NodeUid);
        bool isKnown = query.Answers.OfType<DnsRecord.Pointer>().Any(known =>
            known.Name == KcoreService.ServiceName
            && known.Target == instance
            && known.TimeToLive >= KcoreService.TimeToLive / 2);
        bool onlyBrowses = query.Questions.All(question => question.Type == DnsType.Ptr);
        if (isKnown && onlyBrowses)
        {
            return;
        }

        // Many nodes answer one question, so each waits a little (§6).
        TimeSpan at = now + Jitter(20, 120);
        TimeSpan earliest = link.LastTold is { } last ? last + MulticastSpacing : TimeSpan.MinValue;
        at = at > earliest ? at : earliest;
        link.NextResponse = at < link.NextResponse ? at : link.NextResponse;
    }

    /// <summary>A plain resolver, such as dig, wants a plain answer (§6.7); only neighbours get one, and not many.</summary>
    private void AnswerLegacy(Link link, DnsMessage query, IPEndPoint from, TimeSpan now, List<MdnsEffect> effects)
    {
        if (now < link.NextLegacyAnswer || !link.Interface.Subnets.Any(subnet => subnet.Contains(from.Address)))
        {
            return;
        }

        link.NextLegacyAnswer = now + LegacySpacing;
        DnsMessage answer = KcoreService.Describe(_own!, link.Addresses, LegacyTimeToLive) with
        {
            Id = query.Id,
            Questions = [query.Questions.First(question => IsAboutUs(question, _own!)) with { WantsUnicast = false }],
        };
        effects.Add(new MdnsEffect.Send(link.Interface.Index, answer, from));
    }

    private void HandleResponse(Link link, DnsMessage response, IPEndPoint from, TimeSpan now, List<MdnsEffect> effects)
    {
        foreach (DiscoveredPeer peer in KcoreService.ReadPeers(response, from.Address, link.Interface.Name))
        {
            if (peer.Node.NodeUid != _own?.NodeUid)
            {
                link.Remember(peer, now);
                effects.Add(new MdnsEffect.Sighting(peer));
            }
            else if (!peer.IsGoodbye && !_links.Values.Any(l => l.Addresses.Contains(from.Address)))
            {
                // Our own uid, and not our own voice: a node with a copied disk.
                effects.Add(new MdnsEffect.Sighting(peer));
            }
        }
    }

    /// <summary>
    /// Asks who is there, listing whom we know so that those stay silent; what is known is reported again, because a
    /// sighting that led to nothing deserves another try.
    /// </summary>
    private void Ask(Link link, TimeSpan now, List<MdnsEffect> effects)
    {
        link.ForgetExpired(now);
        var known = ImmutableArray.CreateBuilder<DnsRecord>();
        if (_own is not null)
        {
            // Multicast comes back to us as well: this keeps us from answering ourselves.
            known.Add(new DnsRecord.Pointer(
                KcoreService.ServiceName, KcoreService.TimeToLive, KcoreService.InstanceName(_own.NodeUid)));
        }

        foreach ((DiscoveredPeer peer, TimeSpan seenAt) in link.Peers)
        {
            TimeSpan left = seenAt + KcoreService.TimeToLive - now;
            if (left > KcoreService.TimeToLive / 2 && known.Count < KnownAnswersMax)
            {
                known.Add(new DnsRecord.Pointer(
                    KcoreService.ServiceName, left, KcoreService.InstanceName(peer.Node.NodeUid)));
            }

            effects.Add(new MdnsEffect.Sighting(peer));
        }

        var question = new DnsQuestion(KcoreService.ServiceName, DnsType.Ptr);
        effects.Add(new MdnsEffect.Send(
            link.Interface.Index, new DnsMessage(0, IsResponse: false, [question], known.DrainToImmutable(), []), null));

        // A little jitter, so that a rack switched on together does not ask together for ever.
        link.NextQuery = now + link.QueryInterval + Jitter(0, 100);
        link.QueryInterval = link.QueryInterval * 2 < QueryIntervalMax ? link.QueryInterval * 2 : QueryIntervalMax;
    }

    private MdnsEffect.Send Tell(Link link, TimeSpan timeToLive)
    {
        DnsMessage message = KcoreService.Describe(_own!, link.Addresses, timeToLive);
        return new MdnsEffect.Send(link.Interface.Index, message, null);
    }

    private static bool IsAboutUs(DnsQuestion question, Announcement own) => question.Type switch
    {
        DnsType.Ptr => question.Name == KcoreService.ServiceName,
        DnsType.Srv or DnsType.Txt => question.Name == KcoreService.InstanceName(own.NodeUid),
        DnsType.A => question.Name == KcoreService.HostName(own.NodeUid),
        DnsType.Any => question.Name == KcoreService.ServiceName
            || question.Name == KcoreService.InstanceName(own.NodeUid)
            || question.Name == KcoreService.HostName(own.NodeUid),
        _ => false,
    };

    private TimeSpan Jitter(int fromMilliseconds, int toMilliseconds) =>
        TimeSpan.FromMilliseconds(random.Next(fromMilliseconds, toMilliseconds + 1));

    /// <summary>What is going on on one interface.</summary>
    private sealed class Link(MdnsInterface present)
    {
        // More neighbours than this are still found; they are merely asked again and not repeated from memory.
        private const int PeersMax = 256;

        private readonly Dictionary<UInt128, (DiscoveredPeer Peer, TimeSpan SeenAt)> _peers = [];
        private int _announcementsLeft;

        public MdnsInterface Interface { get; } = present;

        public IEnumerable<IPAddress> Addresses => Interface.Subnets.Select(subnet => subnet.Address);

        public IEnumerable<(DiscoveredPeer Peer, TimeSpan SeenAt)> Peers => _peers.Values;

        public TimeSpan QueryInterval { get; set; } = QueryIntervalFirst;

        public TimeSpan NextQuery { get; set; }

        public TimeSpan NextResponse { get; set; } = TimeSpan.MaxValue;

        public TimeSpan NextAnnouncement { get; private set; } = TimeSpan.MaxValue;

        public TimeSpan NextLegacyAnswer { get; set; }

        public TimeSpan? LastTold { get; private set; }

        public TimeSpan NextDeadline =>
            new[] { NextQuery, NextResponse, NextAnnouncement }.Min();

        public void StartAnnouncing(TimeSpan now)
        {
            _announcementsLeft = Announcements;
            NextAnnouncement = now;
        }

        /// <summary>One message served both an announcement and an answer that were due.</summary>
        public void Told(TimeSpan now, TimeSpan spacing)
        {
            LastTold = now;
            NextResponse = TimeSpan.MaxValue;
            if (NextAnnouncement <= now)
            {
                _announcementsLeft--;
                NextAnnouncement = _announcementsLeft > 0 ? now + spacing : TimeSpan.MaxValue;
            }
        }

        public void Remember(DiscoveredPeer peer, TimeSpan now)
        {
            if (peer.IsGoodbye)
            {
                _peers.Remove(peer.Node.NodeUid);
            }
            else if (_peers.Count < PeersMax || _peers.ContainsKey(peer.Node.NodeUid))
            {
                _peers[peer.Node.NodeUid] = (peer, now);
            }
        }

        public void ForgetExpired(TimeSpan now)
        {
            foreach ((UInt128 uid, (DiscoveredPeer _, TimeSpan seenAt)) in _peers.ToArray())
            {
                if (seenAt + KcoreService.TimeToLive <= now)
                {
                    _peers.Remove(uid);
                }
            }
        }
    }
}

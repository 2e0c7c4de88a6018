using Kcore.Gossip.Wire;

namespace Kcore.Gossip;

/// <summary>
/// Digests in probes and acknowledgements find a difference, summaries name it, deltas remove it. The first attempt uses
/// datagrams; the next one a stream, because whatever swallows datagrams may do so for ever.
/// </summary>
internal sealed class AntiEntropy(Turn turn, MemberTable members, CatalogState catalog, Outbox outbox, OutboundStreams streams, Summaries summaries, OwnOrigin own)
{
    /// <summary>Peers that differ and are dealt with at once; the others wait until these agree.</summary>
    private const int MaxDiffering = 32;

    /// <summary>Repairs this node begins in a second, and at once. Equal differences with many peers go with one repair.</summary>
    private const double RepairsPerSecond = 4;

    /// <summary>Peers a newcomer fetches disjoint parts of the catalog from.</summary>
    private const int JoinSources = 3;

    /// <summary>Others that a node compares with once a repair has given it something.</summary>
    private const int ComparisonsAfterRepair = 3;

    private const int StreamFrameBytes = 60_000;
    private static readonly TimeSpan RetryPause = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan RetryPauseMax = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan DivergedAfter = TimeSpan.FromSeconds(2);
    private readonly SortedDictionary<NodeId, PeerDifference> _differing = [];
    private readonly Allowance _repairs = new(RepairsPerSecond, RepairsPerSecond, turn.Now);

    /// <summary>The stream over which a newcomer fetches the members, to choose among them whom to ask for the rest.</summary>
    private long? _memberPull;
    private bool _hasAgreed;

    /// <summary>No recheck is due before; it may be earlier than the earliest, never later.</summary>
    public TimeSpan NextEvent { get; private set; } = TimeSpan.MaxValue;

    /// <summary>
    /// The member has just appeared: rumors of before are lost to one side, so waiting for them is no use. Who is heard
    /// itself is compared with at once: it may be the only bridge to another half.
    /// </summary>
    public void OnAppeared(NodeId peer, bool isThere)
    {
        if (members.Slot(peer) is { } slot)
        {
            slot.IsUncompared = true;
        }

        if (isThere)
        {
            outbox.Ping(peer, turn.NextSequence());
        }
    }

    public void OnGone(NodeId peer) => _differing.Remove(peer);

    /// <summary>A peer has said what it holds.</summary>
    public void OnDigest(Exchange exchange, StateDigest digest)
    {
        NodeId peer = exchange.From;
        own.Acknowledge(peer, digest.HeldEpoch, digest.HeldVersion);
        members.IsSelfKnown |= digest.Members == members.Root;
        if (digest.Catalog == catalog.Root && digest.Members == members.Root)
        {
            OnAgreed(exchange);
            return;
        }

        if (!members.IsActive(peer) || (_differing.Count >= MaxDiffering && !_differing.ContainsKey(peer)))
        {
            return;
        }

        PeerDifference difference = Of(peer);
        if (!difference.Announced && digest.Catalog != catalog.Root && turn.Now - difference.Since >= DivergedAfter)
        {
            difference.Announced = true;
            turn.Emit(new GossipEffect.DigestDiverged(peer));
        }

        TryRepair(peer, difference, exchange, digest);
    }

    public void Run()
    {
        if (NextEvent > turn.Now)
        {
            return;
        }

        NextEvent = TimeSpan.MaxValue;
        foreach ((NodeId peer, PeerDifference difference) in _differing)
        {
            if (turn.Now >= difference.Recheck)
            {
                Look(peer, difference);
            }

            NextEvent = Turn.Sooner(NextEvent, difference.Recheck);
        }
    }

    /// <summary>
    /// Asks over a stream of our own for what a peer has shown us over one of its: it would not have opened one if its
    /// datagrams arrived. False when that may not be now.
    /// </summary>
    public bool RequestByStream(NodeId peer, IReadOnlyList<byte[]> requests)
    {
        if (!streams.MaySync(peer) || !_repairs.TrySpend(1, turn.Now))
        {
            return false;
        }

        streams.OpenSync(peer, Packets.Join(requests, 0, requests.Count, requests.Sum(f => f.Length)));
        return true;
    }

    /// <summary>The peer says that what we lack does not fit datagrams, or we see it ourselves.</summary>
    public void OpenStream(NodeId peer)
    {
        if (!streams.MaySync(peer))
        {
            return;
        }

        if (_hasAgreed)
        {
            Fetch(peer, BucketSet.All, summaries.MemberHeads(BucketSet.All, StreamFrameBytes));
        }
        else if (_memberPull is null)
        {
            _memberPull = Fetch(peer, BucketSet.None, summaries.MemberHeads(BucketSet.All, StreamFrameBytes));
        }
        else if (_memberPull == 0)
        {
            FetchFromSeveral(peer);
        }
    }

    /// <summary>A repair's stream has ended.</summary>
    public void OnStreamEnd(long stream, NodeId peer, bool failed)
    {
        if (stream == _memberPull)
        {
            // Zero stands for a pull that is done.
            _memberPull = failed ? null : 0;
            if (!failed)
            {
                FetchFromSeveral(peer);
            }
        }
        else if (!failed && _differing.TryGetValue(peer, out PeerDifference? difference))
        {
            Recheck(difference, turn.Now);
        }
    }

    private void OnAgreed(Exchange exchange)
    {
        _hasAgreed = true;
        if (members.Slot(exchange.From) is { } slot)
        {
            slot.IsUncompared = false;
        }

        if (_differing.Count == 0 || !_differing.Remove(exchange.From, out PeerDifference? agreed))
        {
            return;
        }

        if (agreed.Announced)
        {
            turn.Emit(new GossipEffect.DigestAgreed(exchange.From));
        }

        if (agreed.FirstAttempt is { } begun && turn.LastChange >= begun)
        {
            // What had to be repaired here was not told elsewhere either. A ping carries our digest; who lacks the same asks.
            foreach (NodeId other in PeerChoice.Some(turn.Random, members, ComparisonsAfterRepair, except: exchange.From))
            {
                outbox.Ping(other, turn.NextSequence());
            }
        }
    }

    private void TryRepair(NodeId peer, PeerDifference difference, Exchange exchange, StateDigest digest)
    {
        TimeSpan settled = Turn.Sooner(difference.Since, turn.LastChange) + turn.Options.RepairAfter;
        TimeSpan ready = difference.Urgent ? difference.NextAttempt : Turn.Later(difference.NextAttempt, settled);
        if (turn.Now < ready)
        {
            difference.IsByStream = exchange.IsStream;
            Recheck(difference, ready);
            return;
        }

        if (!_repairs.TrySpend(1, turn.Now))
        {
            difference.IsByStream = exchange.IsStream;
            Recheck(difference, turn.Now + RetryPause);
            return;
        }

        if (exchange.IsStream || difference.Attempts % 2 == 1)
        {
            OpenStream(peer);
        }
        else
        {
            summaries.AddOpening(exchange.Reply, digest);
        }

        CountAttempt(peer, difference);
    }

    /// <summary>Finds out whether there is still a difference.</summary>
    private void Look(NodeId peer, PeerDifference difference)
    {
        if (!difference.IsByStream)
        {
            // A ping carries our digest, and the answer that of the peer.
            difference.Recheck = turn.Now + RetryPauseMax;
            outbox.Ping(peer, turn.NextSequence());
        }
        else if (_repairs.TrySpend(1, turn.Now))
        {
            OpenStream(peer);
            CountAttempt(peer, difference);
        }
        else
        {
            difference.Recheck = turn.Now + RetryPause;
        }
    }

    private void CountAttempt(NodeId peer, PeerDifference difference)
    {
        // Whether datagrams arrive again is seen by the next digest.
        difference.IsByStream = false;
        difference.Urgent = false;
        if (members.Slot(peer) is { } slot)
        {
            slot.IsUncompared = false;
        }

        difference.Attempts++;
        difference.FirstAttempt ??= turn.Now;
        TimeSpan pause = RetryPause * (1 << Math.Min(5, (difference.Attempts - 1) / 2));
        difference.NextAttempt = turn.Now + Turn.Sooner(pause, RetryPauseMax);
        Recheck(difference, difference.NextAttempt);
    }

    private void Recheck(PeerDifference difference, TimeSpan when)
    {
        difference.Recheck = when;
        NextEvent = Turn.Sooner(NextEvent, when);
    }

    /// <summary>A newcomer spares its first contact: the catalog comes from several members, a part from each.</summary>
    private void FetchFromSeveral(NodeId peer)
    {
        List<NodeId> sources = [peer, .. PeerChoice.Some(turn.Random, members, JoinSources - 1, except: peer, aliveOnly: true)];
        IReadOnlyList<BucketSet> parts = BucketSet.All.Split(sources.Count);
        for (int i = 0; i < sources.Count; i++)
        {
            if (streams.MaySync(sources[i]))
            {
                Fetch(sources[i], parts[i], []);
            }
        }
    }

    private long? Fetch(NodeId peer, BucketSet catalogBuckets, List<byte[]> memberHeads)
    {
        List<byte[]> frames = [.. summaries.Heads(catalogBuckets, StreamFrameBytes), .. memberHeads];
        return streams.OpenSync(peer, Packets.Join(frames, 0, frames.Count, frames.Sum(f => f.Length)));
    }

    private PeerDifference Of(NodeId peer)
    {
        if (!_differing.TryGetValue(peer, out PeerDifference? difference))
        {
            _differing[peer] = difference = new PeerDifference(turn.Now) { Urgent = members.Slot(peer) is { IsUncompared: true } };
        }

        return difference;
    }
}

/// <summary>A peer whose digests differ from ours.</summary>
internal sealed class PeerDifference(TimeSpan since)
{
    /// <summary>When digests were first found to differ.</summary>
    public TimeSpan Since { get; } = since;

    public bool Urgent { get; set; }

    /// <summary>Its last digest came over a stream, so a ping would hardly be answered.</summary>
    public bool IsByStream { get; set; }

    public int Attempts { get; set; }

    public TimeSpan? FirstAttempt { get; set; }

    public TimeSpan NextAttempt { get; set; }

    public TimeSpan Recheck { get; set; } = TimeSpan.MaxValue;

    public bool Announced { get; set; }
}

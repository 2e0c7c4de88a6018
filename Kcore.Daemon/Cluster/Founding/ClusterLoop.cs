using System.Collections.Immutable;
using System.Net;
using System.Security.Cryptography;
using System.Threading.Channels;
using Kcore.Daemon.Cluster.Discovery;
using Kcore.Daemon.Cluster.Members;
using Kcore.Daemon.Cluster.Streams;
using Kcore.Daemon.Cluster.Trust;
using Kcore.Daemon.Reconciliation;
using Kcore.Gossip;
using Kcore.Gossip.Wire;
using Microsoft.Extensions.Logging;

namespace Kcore.Daemon.Cluster.Founding;

/// <summary>
/// The life of this node in clusters: look for one, else found one; be a member; leave it when it dissolves for another.
/// Discovery is a hint, trust is the key, and safety never rests on a time-out: two clusters founded side by side find
/// each other later and the virgin one ends.
/// </summary>
internal sealed partial class ClusterLoop(ClusterLoopParts parts)
{
    /// <summary>How long a node with a key listens before it founds a cluster.</summary>
    private static readonly TimeSpan ListenBeforeFounding = TimeSpan.FromSeconds(3);

    /// <summary>How much longer it waits for a smaller node that is about to found one.</summary>
    private static readonly TimeSpan YieldToSmaller = TimeSpan.FromSeconds(3);

    private static readonly TimeSpan Pace = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan MemberPace = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan SeedPace = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan SeekingPause = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan VirginPause = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan MemberPause = TimeSpan.FromSeconds(30);

    /// <summary>A later epoch is followed only when the own one has decided nothing for this long: after a start its voters need a moment to find each other.</summary>
    private static readonly TimeSpan UndecidedBeforeFollowing = TimeSpan.FromSeconds(10);

    private static readonly TimeSpan Linger = TimeSpan.FromSeconds(1);

    /// <summary>Two that are introduced to each other meet within a few turns.</summary>
    private static readonly TimeSpan TwinMetWithin = TimeSpan.FromSeconds(15);

    /// <summary>Every member is probed each second, and so probes whoever it hears of: three rounds without a datagram are no accident.</summary>
    private static readonly TimeSpan UnheardAfter = TimeSpan.FromSeconds(3);

    private readonly ILogger _logger = parts.Logger;
    private readonly long _started = parts.Time.GetTimestamp();
    private readonly RingFingerprints _fingerprints = new(parts.Ring);
    private readonly Rendezvous _rendezvous = new(parts.Connector, parts.Identity.Id, new RingFingerprints(parts.Ring), parts.Twins, new Random(RandomNumberGenerator.GetInt32(int.MaxValue)), parts.Logger);
    private readonly Channel<IPEndPoint> _callers = Channel.CreateBounded<IPEndPoint>(
        new BoundedChannelOptions(256) { FullMode = BoundedChannelFullMode.DropOldest });

    /// <summary>Clusters that dissolved under us: members that have not noticed yet would take us back in.</summary>
    private ImmutableArray<Guid> _ended = [];
    private volatile GossipLoop? _gossip;
    private TimeSpan? _silencedAt;
    private TimeSpan? _undecidedSince;
    private volatile bool _resetAsked;

    public Published<ClusterState> State { get; } = new(ClusterState.Initial);

    /// <summary>Members and facts; keeps its last value while the node changes clusters.</summary>
    public Published<GossipView> View { get; } = new(NoMembersOf(parts));

    /// <summary>The own cluster has never handed an address out.</summary>
    public bool IsVirgin => parts.Ledger.IsVirgin;

    /// <summary>Nodes heard on the LAN, of this cluster and of others.</summary>
    public Neighbourhood Neighbours { get; } = new(parts.Time);

    /// <summary>
    /// What the operator has to do when nobody of the own cluster answers, but nodes of it are heard with another key: it
    /// was rotated while this node was away. Null otherwise. Announcements are not authenticated, so this is a hint.
    /// </summary>
    public string? LockedOut
    {
        get
        {
            if (State.Current.Cluster is not { } own || View.Current.Members.Members.Count(m => m.IsActive) > 1)
            {
                return null;
            }

            UInt128 cluster = Uid.FromGuid(own.Id);
            Announcement? moved = Neighbours.Current.Select(n => n.Sighting.Node).FirstOrDefault(n =>
                n.ClusterId == cluster && n.NodeUid != parts.Identity.Id.Value && !n.Fingerprints.Any(_fingerprints.Contains));
            return moved is null
                ? null
                : $"the cluster has moved to another key (fingerprint {moved.KeyFingerprint}) while this node was away: "
                    + "run `kctl cluster token` on a member and `kctl cluster join TOKEN` here";
        }
    }

    /// <summary>States facts in this node's own origin; they are on disk and on their way when this returns.</summary>
    /// <exception cref="InvalidOperationException">The node is in no cluster yet.</exception>
    public Task PutAsync(ImmutableArray<LocalWrite> writes, CancellationToken token) =>
        Gossip().SubmitAsync(new GossipInput.Put(writes), token);

    /// <summary>Mirrors what the log committed into the catalog.</summary>
    /// <exception cref="InvalidOperationException">The node is in no cluster yet.</exception>
    public Task PutClusterAsync(GossipInput.PutCluster committed, CancellationToken token) => Gossip().SubmitAsync(committed, token);

    /// <summary>Hides a removed node and everything it stated, for ever.</summary>
    /// <exception cref="InvalidOperationException">The node is in no cluster.</exception>
    public Task ForgetAsync(NodeId node, CancellationToken token) => Gossip().SubmitAsync(new GossipInput.Forget(node, uint.MaxValue), token);

    /// <summary>All that runs ends within a second or two and starts again, with what the identity was told to keep.</summary>
    public void Reset() => _resetAsked = true;

    /// <summary>False when the gossip loop has not begun a turn for this long: it hangs.</summary>
    public bool TurnsWithin(TimeSpan limit) => _gossip is not { } gossip || parts.Time.GetElapsedTime(gossip.LastTurn) < limit;

    public async Task RunAsync(CancellationToken stoppingToken)
    {
        var sightings = new SightingFeed(parts.Discovery?.Sightings, _rendezvous, Neighbours, Now);
        while (!stoppingToken.IsCancellationRequested)
        {
            if (parts.Identity.Departure is not Departure.None and var departure)
            {
                await StayOutAsync(departure, sightings, stoppingToken);
            }

            ClusterRef cluster = parts.Identity.Cluster ?? await FindAsync(sightings, stoppingToken);
            await BeMemberAsync(cluster, sightings, stoppingToken);
            if (parts.Identity.Departure == Departure.None && parts.Identity.Cluster == cluster)
            {
                parts.Identity.LeaveCluster();
                parts.Catalog.RemoveRaftOrigin();
            }
        }
    }

    public async Task HandleHelloAsync(NodeId peer, ReadOnlyMemory<byte> body, Func<ReadOnlyMemory<byte>, bool, ValueTask> reply, CancellationToken token)
    {
        HelloMessage hello = ReadHello(body);
        if (hello.Twin is { } twin)
        {
            // Somebody has heard of another start of this node there.
            _callers.Writer.TryWrite(twin);
        }

        if (peer != parts.Identity.Id)
        {
            // Whoever asks us may be somebody we do not know the address of: of two clusters that meet, the one that
            // has to yield may be the one that was asked.
            _callers.Writer.TryWrite(hello.Endpoint);
        }

        else
        {
            parts.Twins.Met(hello.Endpoint, hello.Name, hello.BootNonce);
        }

        // A twin of the asking node cannot be heard by it: we tell where we know it.
        Member? known = hello.BootNonce == 0 ? null : View.Current.Members.Find(peer);
        bool isTwin = known is { IsActive: true } && known.BootNonce != hello.BootNonce && !known.Endpoint.Equals(hello.Endpoint);
        HelloMessage answer = OwnHello() with
        {
            Twin = isTwin ? known!.Endpoint : null,
            Known = known is null ? null : new KnownStart(known.Epoch, known.BootNonce),
            Removed = State.Current.Phase == ClusterPhase.Member && parts.Ledger.IsRemoved(peer),
        };
        await reply(answer.Encode(), true);
    }

    public async Task HandleJoinAsync(NodeId peer, ReadOnlyMemory<byte> body, Func<ReadOnlyMemory<byte>, bool, ValueTask> reply, CancellationToken token)
    {
        JoinRequest request = ReadJoin(body);
        JoinReply answer;
        if (State.Current is { Phase: ClusterPhase.Member, Cluster: { } cluster })
        {
            string? refusal = await parts.Ledger.AdmitAsync(peer, request.Store, request.Name, token);

            // Admitting can take a while. Whoever is sent into a cluster that ended meanwhile would be alone in it.
            refusal ??= State.Current.Cluster == cluster ? null : "this node has just gone over to another cluster";
            answer = refusal is null
                ? new JoinReply(cluster, [.. View.Current.Members.Members.Where(m => m.IsActive).Select(m => m.Endpoint.ToString())], null)
                : new JoinReply(null, [], refusal);
        }
        else
        {
            answer = new JoinReply(null, [], "this node is in no cluster itself yet");
        }

        await reply(answer.Encode(), true);
    }

    public Task HandleGossipAsync(NodeId peer, ReadOnlyMemory<byte> body, Func<ReadOnlyMemory<byte>, bool, ValueTask> reply, CancellationToken token) =>
        _gossip is { } gossip ? gossip.ServeStreamAsync(peer, body, reply, token) : throw new IOException("this node is in no cluster");

    private GossipView NoMembers => NoMembersOf(parts);

    private static GossipView NoMembersOf(ClusterLoopParts parts) => new(new MembershipView(0, parts.Identity.Id, []), [], 0, 0);

    private TimeSpan Now() => parts.Time.GetElapsedTime(_started);

    private GossipLoop Gossip() => _gossip ?? throw new InvalidOperationException("this node is in no cluster yet");

    private HelloMessage OwnHello() => new(
        parts.NodeName,
        State.Current.Cluster,
        State.Current.Cluster is null || parts.Ledger.IsVirgin,
        new IPEndPoint(parts.Underlay.Current.Advertised.Address, parts.Options.GossipPort),
        _ended)
    {
        BootNonce = parts.Identity.BootNonce,
        Decides = State.Current.Phase == ClusterPhase.Member && parts.Ledger.Decides,
    };

    private static HelloMessage ReadHello(ReadOnlyMemory<byte> body) => Guarded(() => HelloMessage.Decode(body.Span));

    private static JoinRequest ReadJoin(ReadOnlyMemory<byte> body) => Guarded(() => JoinRequest.Decode(body.Span));

    private static T Guarded<T>(Func<T> read)
    {
        try
        {
            return read();
        }
        catch (WireFormatException e)
        {
            throw new InvalidDataException(e.Message, e);
        }
    }

    private async Task<ClusterRef> FindAsync(SightingFeed sightings, CancellationToken token)
    {
        bool mayFound = parts.Options.Found == "auto" && !parts.Identity.WasEverMember;
        TimeSpan began = Now();
        TimeSpan foundAt = parts.KeyWasMade ? began : began + ListenBeforeFounding;
        State.Replace(new ClusterState(mayFound ? ClusterPhase.Founding : ClusterPhase.Joining, null, [], null));
        Announce(null);
        ImmutableArray<(string, int)> seeds = Seeds.Parse(parts.Options.Join, parts.Options.GossipPort);
        foreach (string contact in parts.Identity.RememberedContacts())
        {
            if (IPEndPoint.TryParse(contact, out IPEndPoint? endpoint))
            {
                _rendezvous.Add(endpoint);
            }
        }

        TimeSpan resolveAt = TimeSpan.Zero;
        int ring = parts.Ring.Version;
        while (true)
        {
            if (ring != parts.Ring.Version)
            {
                ring = parts.Ring.Version;
                Announce(null);
                LookAround();
            }

            if (resolveAt <= Now())
            {
                await _rendezvous.ResolveAsync(seeds, token);
                resolveAt = Now() + SeedPace;
            }

            StartAgainIfAsked();
            TakeCallers();
            foreach (Encounter met in await _rendezvous.AskAsync(OwnHello(), _ => true, SeekingPause, Now(), token))
            {
                if (met.Hello.Cluster is { } other && !_ended.Contains(other.Id) && await TryJoinAsync(met.Endpoint, token) is { } joined)
                {
                    return joined;
                }
            }

            if (mayFound && Now() >= foundAt && (Now() >= foundAt + YieldToSmaller || !SmallerIsAboutToFound()))
            {
                return await FoundAsync(token);
            }

            await sightings.WaitAsync(Pace, parts.Time, token);
        }
    }

    /// <summary>Of several nodes that all listen, the smallest founds; the others give it a little longer and then join it.</summary>
    private bool SmallerIsAboutToFound() => !parts.KeyWasMade && _rendezvous.Candidates.Any(c =>
        c.Seeker is { } seeker && seeker.CompareTo(parts.Identity.Id) < 0 && c.SeekerHeard > Now() - ListenBeforeFounding);

    private async Task<ClusterRef> FoundAsync(CancellationToken token)
    {
        var cluster = new ClusterRef(Uid.ToGuid(Uid.NewRandom()), 1);
        await parts.Ledger.FoundAsync(cluster, parts.NodeName, token);
        await parts.Ledger.CloseAsync(discard: false);
        parts.Identity.JoinCluster(cluster);
        Log.Founded(_logger, cluster.Id);
        return cluster;
    }

    private async Task<ClusterRef?> TryJoinAsync(IPEndPoint contact, CancellationToken token)
    {
        try
        {
            (_, ReadOnlyMemory<byte> body) = await parts.Connector.CallAsync(
                contact, StreamKind.Join, new JoinRequest(parts.NodeName, parts.Ledger.NextStore).Encode(), token);
            JoinReply reply = JoinReply.Decode(body.Span);
            if (reply.Cluster is not { } cluster)
            {
                Log.JoinRefused(_logger, contact, reply.Refusal);
                State.Replace(State.Current with { Obstacle = $"{contact}: {reply.Refusal}" });
                return null;
            }

            parts.Identity.RememberContacts([contact.ToString(), .. reply.Contacts]);
            parts.Identity.JoinCluster(cluster);
            Log.Joined(_logger, cluster.Id, contact);
            return cluster;
        }
        catch (Exception e) when (e is IOException or WireFormatException)
        {
            Log.JoinFailed(_logger, contact, e.Message);
            return null;
        }
    }

    /// <exception cref="StartAgainException">A reset was asked for, another node keeps our identity, or has begun later under it.</exception>
    private void StartAgainIfAsked()
    {
        if (_resetAsked)
        {
            throw new StartAgainException("this node was reset");
        }

        if (parts.Twins.Yields)
        {
            parts.Identity.Replace();
            throw new StartAgainException("another node runs with this node's identity; this one starts again as a new node");
        }

        if (parts.Twins.IsOvertaken)
        {
            throw new StartAgainException("a copy of this node has begun later than this one; this one starts again to be heard");
        }

        // A twin that is never met may be gone, and nobody else can tell what this node is.
        if (parts.Twins.IsSilenced && (parts.Twins.HasMet || Now() - (_silencedAt ??= Now()) >= TwinMetWithin))
        {
            throw new StartAgainException("gossip has given way to a copy of this node; this one keeps its identity and starts again to be heard");
        }
    }

    /// <summary>A copy of this node ran and is gone, but what it said last counts as later than all this one says.</summary>
    /// <exception cref="StartAgainException">It is so; the next start is later than that.</exception>
    private void OutlastTwin(IEnumerable<Encounter> encounters)
    {
        var self = new KnownStart(parts.Identity.BootEpoch, parts.Identity.BootNonce);
        foreach (HelloMessage hello in encounters.Select(e => e.Hello))
        {
            if (hello is { Twin: null, Removed: false, Known: { Epoch: < uint.MaxValue } known } && self.IsOvertakenBy(known))
            {
                parts.Identity.RaiseBootEpoch(known.Epoch);
                throw new StartAgainException("what a copy of this node said is known as later than what this one says; this one starts again to be heard");
            }
        }
    }

    /// <summary>After a change of keys nodes that were strangers may be worth asking.</summary>
    private void LookAround()
    {
        foreach (Neighbour neighbour in Neighbours.Current)
        {
            _rendezvous.Add(neighbour.Sighting, Now());
        }
    }

    private void TakeCallers()
    {
        while (_callers.Reader.TryRead(out IPEndPoint? caller))
        {
            _rendezvous.Add(caller);
        }
    }

    private void Announce(ClusterRef? cluster) => parts.Discovery?.Announce(new Announcement(
        parts.Identity.Id.Value,
        _fingerprints.Active,
        cluster is { } c ? Uid.FromGuid(c.Id) : null,
        cluster?.Epoch ?? 0,
        cluster is null || parts.Ledger.IsVirgin,
        (ushort)parts.Options.GossipPort,
        (ushort)parts.Options.RaftPort)
    {
        OtherFingerprints = _fingerprints.Others,
    });

    private static partial class Log
    {
        [LoggerMessage(1140, LogLevel.Information, "Founded cluster {Cluster}")]
        public static partial void Founded(ILogger logger, Guid cluster);

        [LoggerMessage(1141, LogLevel.Information, "Joined cluster {Cluster} through {Contact}")]
        public static partial void Joined(ILogger logger, Guid cluster, IPEndPoint contact);

        [LoggerMessage(1142, LogLevel.Warning, "{Contact} does not admit this node: {Reason}")]
        public static partial void JoinRefused(ILogger logger, IPEndPoint contact, string? reason);

        [LoggerMessage(1143, LogLevel.Information, "Joining through {Contact} failed, trying on: {Cause}")]
        public static partial void JoinFailed(ILogger logger, IPEndPoint contact, string cause);

        [LoggerMessage(1144, LogLevel.Information, "Cluster {Cluster} has given itself up for {Target}")]
        public static partial void Dissolved(ILogger logger, Guid cluster, Guid target);

        [LoggerMessage(1146, LogLevel.Warning, "This node is out of cluster {Cluster} ({Departure}); kctl node reset lets it join anew")]
        public static partial void Out(ILogger logger, Guid? cluster, Departure departure);

        [LoggerMessage(1147, LogLevel.Warning, "The cluster was recovered: this node goes over from epoch {Old} to epoch {New}, with a new copy of the log")]
        public static partial void Followed(ILogger logger, uint old, uint @new);

        [LoggerMessage(1145, LogLevel.Error, "ClusterConflict: this is cluster {Cluster}; {Other}. They keep working apart; move one side over")]
        public static partial void Conflict(ILogger logger, Guid cluster, string other);
    }
}

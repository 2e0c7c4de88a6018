using System.Net;
using System.Net.Sockets;
using Kcore.Daemon.Cluster.Discovery;
using Kcore.Daemon.Cluster.Streams;
using Kcore.Daemon.Cluster.Trust;
using Kcore.Daemon.Reconciliation;
using Kcore.Gossip;
using Kcore.Gossip.Wire;
using Microsoft.Extensions.Logging;

namespace Kcore.Daemon.Cluster.Founding;

/// <summary>One place where a node with our key may live, and what it said when it was last asked.</summary>
internal sealed class Candidate(IPEndPoint endpoint, Backoff backoff)
{
    public IPEndPoint Endpoint { get; } = endpoint;

    public Backoff Backoff { get; } = backoff;

    public TimeSpan NextTry { get; set; }

    /// <summary>From mDNS: a hint, never believed.</summary>
    public Announcement? Hint { get; set; }

    /// <summary>The node there, when it was last heard to be looking for a cluster itself.</summary>
    public NodeId? Seeker { get; set; }

    public TimeSpan SeekerHeard { get; set; }

    /// <summary>A node with our key has answered here.</summary>
    public bool HasAnswered { get; set; }
}

/// <summary>An answered hello.</summary>
internal sealed record Encounter(IPEndPoint Endpoint, NodeId Peer, HelloMessage Hello);

/// <summary>
/// All places where the others may be (seeds, the last run's members, mDNS) and the polite repetition of asking them.
/// None is ever given up: a healed split or a cluster that moved as a whole must find itself again.
/// </summary>
internal sealed partial class Rendezvous(PeerConnector connector, NodeId self, RingFingerprints fingerprints, TwinWatch twins, Random random, ILogger logger)
{
    private const int MaxCandidates = 1024;
    private const int AskedAtOnce = 8;
    private static readonly TimeSpan FirstRetry = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan LongestRetry = TimeSpan.FromSeconds(30);

    private readonly Dictionary<IPEndPoint, Candidate> _candidates = [];

    public IEnumerable<Candidate> Candidates => _candidates.Values;

    public void Add(IPEndPoint endpoint)
    {
        if (_candidates.ContainsKey(endpoint))
        {
            return;
        }

        // Strangers can announce addresses without end; those that never answered make room.
        if (_candidates.Count == MaxCandidates && _candidates.Values.FirstOrDefault(c => !c.HasAnswered) is { } silent)
        {
            _candidates.Remove(silent.Endpoint);
        }

        if (_candidates.Count < MaxCandidates)
        {
            _candidates.Add(endpoint, new Candidate(endpoint, new Backoff(FirstRetry, LongestRetry, random)));
        }
    }

    /// <summary>Takes in a sighting if it carries our key's fingerprint; the address is tried at once if it says something new.</summary>
    public void Add(DiscoveredPeer peer, TimeSpan now)
    {
        if (!peer.Node.Fingerprints.Any(fingerprints.Contains) || peer.IsGoodbye)
        {
            return;
        }

        var endpoint = new IPEndPoint(peer.Addresses[0], peer.Node.GossipPort);
        Add(endpoint);
        if (_candidates.TryGetValue(endpoint, out Candidate? candidate))
        {
            if (candidate.Hint != peer.Node)
            {
                candidate.NextTry = now;
                candidate.Backoff.Reset();
            }

            candidate.Hint = peer.Node;
            candidate.Seeker = peer.Node.ClusterId is null ? new NodeId(peer.Node.NodeUid) : null;
            candidate.SeekerHeard = now;
        }
    }

    /// <summary>Looks the seeds up (again) and adds where they are.</summary>
    public async Task ResolveAsync(IEnumerable<(string Host, int Port)> seeds, CancellationToken token)
    {
        foreach ((string host, int port) in seeds)
        {
            try
            {
                foreach (IPAddress address in await Dns.GetHostAddressesAsync(host, AddressFamily.InterNetwork, token))
                {
                    Add(new IPEndPoint(address, port));
                }
            }
            catch (SocketException e)
            {
                Log.SeedUnknown(logger, host, e.Message);
            }
        }
    }

    /// <summary>
    /// Says hello to every candidate that is due and satisfies the condition; returns those that answered. The pauses
    /// between two hellos to one candidate grow up to <paramref name="longestPause"/>.
    /// </summary>
    public async Task<List<Encounter>> AskAsync(HelloMessage hello, Func<Candidate, bool> worthAsking, TimeSpan longestPause, TimeSpan now, CancellationToken token)
    {
        List<Candidate> due = [.. _candidates.Values.Where(c => c.NextTry <= now && worthAsking(c)).OrderBy(c => c.NextTry).Take(AskedAtOnce)];
        foreach (Candidate candidate in due)
        {
            TimeSpan pause = candidate.Backoff.Next();
            candidate.NextTry = now + (pause < longestPause ? pause : longestPause);
        }

        Encounter?[] answers = await Task.WhenAll(due.Select(c => AskOneAsync(c, hello, now, token)));
        return [.. answers.OfType<Encounter>()];
    }

    /// <summary>Says hello where no answer is wanted.</summary>
    public async Task TellAsync(IPEndPoint endpoint, HelloMessage hello, CancellationToken token)
    {
        try
        {
            await connector.CallAsync(endpoint, StreamKind.Hello, hello.Encode(), token);
        }
        catch (IOException e)
        {
            Log.NoAnswer(logger, endpoint, e.Message);
        }
    }

    private async Task<Encounter?> AskOneAsync(Candidate candidate, HelloMessage hello, TimeSpan now, CancellationToken token)
    {
        try
        {
            (NodeId peer, ReadOnlyMemory<byte> body) = await connector.CallAsync(candidate.Endpoint, StreamKind.Hello, hello.Encode(), token);
            HelloMessage answer = HelloMessage.Decode(body.Span);
            candidate.Seeker = answer.Cluster is null ? peer : null;
            candidate.SeekerHeard = now;
            candidate.HasAnswered = true;
            if (answer.Twin is { } twin)
            {
                Add(twin);
            }

            if (peer != self)
            {
                return new Encounter(candidate.Endpoint, peer, answer);
            }

            twins.Met(candidate.Endpoint, answer.Name, answer.BootNonce);
            return null;
        }
        catch (Exception e) when (e is IOException or WireFormatException)
        {
            Log.NoAnswer(logger, candidate.Endpoint, e.Message);
            return null;
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1130, LogLevel.Warning, "Seed {Host} cannot be looked up: {Cause}")]
        public static partial void SeedUnknown(ILogger logger, string host, string cause);

        [LoggerMessage(1131, LogLevel.Debug, "No answer from {Endpoint}: {Cause}")]
        public static partial void NoAnswer(ILogger logger, IPEndPoint endpoint, string cause);
    }
}

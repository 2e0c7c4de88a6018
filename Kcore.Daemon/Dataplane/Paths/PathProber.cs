using System.Collections.Frozen;
using System.Net;
using System.Net.Sockets;
using Kcore.Daemon.Catalog;
using Kcore.Daemon.Catalog.Facts;
using Kcore.Daemon.Cluster;
using Kcore.Daemon.Cluster.Addressing;
using Kcore.Daemon.Reconciliation;
using Kcore.Daemon.Storage.Events;
using Kcore.Gossip;
using Kcore.Gossip.Wire.Sealing;
using Kcore.Netlink.Packet;
using Microsoft.Extensions.Logging;

namespace Kcore.Daemon.Dataplane.Paths;

/// <summary>
/// Puts the questions of <see cref="PathWatch"/> to the peers as tunnel packets, answers theirs, and publishes what is known
/// of the paths. It tells; it never changes anything.
/// </summary>
internal sealed partial class PathProber(
    LocalNode self,
    Published<Underlay> underlay,
    CatalogHub catalog,
    Published<ClusterState> cluster,
    KeyRing ring,
    EventLog events,
    Random random,
    TimeProvider time,
    ILogger logger)
{
    /// <summary>Between two turns, however much there is to do.</summary>
    private static readonly TimeSpan Breath = TimeSpan.FromMilliseconds(20);

    /// <summary>Between two attempts to get a socket.</summary>
    private static readonly TimeSpan SocketPause = TimeSpan.FromSeconds(5);

    /// <summary>Packets taken in one turn; what is more waits in the socket, or is lost there.</summary>
    private const int ReceivedAtOnce = 64;

    private static readonly PathRules Rules = new();

    private readonly PathWatch _watch = new(Rules, PathPacket.BytesMin, random);
    private readonly PathTalk _talk = new(self.Id, ring);
    private readonly AnswerBudget _answers = new(Rules);
    private readonly byte[] _received = new byte[PathPacket.BytesMax + 60];
    private readonly Dictionary<NodeId, PathState> _told = [];
    private readonly long _started = time.GetTimestamp();
    private CatalogSnapshot? _observed;

    public Published<PathSights> Sights { get; } = new(PathSights.None);

    public async Task RunAsync(CancellationToken stoppingToken)
    {
        string? told = null;
        while (true)
        {
            Underlay local = underlay.Current;
            string refusal;
            try
            {
                using var socket = TunnelSocket.Open(local.Advertised.Address, PathPacket.Port, PathPacket.Vni);
                Sights.Replace(Sights.Current with { Obstacle = null });
                told = null;
                await ProbeAsync(socket, local, stoppingToken);
                continue;
            }
            catch (SocketException e)
            {
                refusal = e.Message;
            }

            if (told != refusal)
            {
                told = refusal;
                Log.NoSocket(logger, refusal);
                Sights.Replace(Sights.Current with { Obstacle = $"this node cannot probe the paths to its peers ({refusal})" });
            }

            await Task.Delay(SocketPause, time, stoppingToken);
        }
    }

    /// <summary>Returns when the node has another address, or its device another MTU.</summary>
    private async Task ProbeAsync(TunnelSocket socket, Underlay local, CancellationToken stoppingToken)
    {
        _observed = null;
        Task<int> packet = ReceiveAsync(socket, stoppingToken);
        while (true)
        {
            // Answers first: those that came while this node stood still were in time.
            for (int i = 0; i < ReceivedAtOnce && packet.IsCompleted; i++)
            {
                Take(socket, local, await packet);
                packet = ReceiveAsync(socket, stoppingToken);
            }

            (CatalogSnapshot facts, long revision) = catalog.Current.Read();
            (Underlay link, long linkRevision) = underlay.Read();
            if (link != local)
            {
                return;
            }

            if (!ReferenceEquals(facts, _observed))
            {
                _watch.Observe(PathPeers.Of(self.Id, facts), Math.Min(local.Mtu, PathPacket.BytesMax), Now);
                _observed = facts;
            }

            if (Scope is { } scope)
            {
                foreach (PathQuestion question in _watch.Ask(Now, Uid.NewRandom))
                {
                    Send(socket, _talk.Question(question, local.Advertised.Address, scope), question.Address, tooLong => _watch.NotSent(question, tooLong));
                }
            }

            Publish(facts, link);
            TimeSpan pause = _watch.NextDeadline is { } due ? due - Now : Timeout.InfiniteTimeSpan;
            pause = pause < Breath && pause != Timeout.InfiniteTimeSpan ? Breath : pause;

            // What did not happen must not stay registered.
            using CancellationTokenSource woken = CancellationTokenSource.CreateLinkedTokenSource(stoppingToken);
            await Task.WhenAny(
                packet, catalog.Current.ChangedSince(revision, woken.Token), underlay.ChangedSince(linkRevision, woken.Token), Task.Delay(pause, time, woken.Token));
            await woken.CancelAsync();
            stoppingToken.ThrowIfCancellationRequested();
        }
    }

    private TimeSpan Now => time.GetElapsedTime(_started);

    private ClusterScope? Scope => cluster.Current is { Phase: ClusterPhase.Member, Cluster: { } here } ? new ClusterScope(Uid.FromGuid(here.Id), here.Epoch) : null;

    /// <summary>The length of the next packet; 0 when it was none that fits.</summary>
    private async Task<int> ReceiveAsync(TunnelSocket socket, CancellationToken token)
    {
        try
        {
            return await socket.ReceiveAsync(_received, token);
        }
        catch (SocketException)
        {
            return 0;
        }
    }

    /// <summary>
    /// Whoever sent it by the packet's own word, an answer goes to where the catalog says that the member is: nobody can be
    /// made to receive what he did not ask for.
    /// </summary>
    private void Take(TunnelSocket socket, Underlay local, int length)
    {
        if (_talk.Read(_received.AsSpan(0, length), Scope, out IPAddress from) is not { } message
            || Scope is not { } scope
            || !catalog.Current.Current.View.Nodes.TryGetValue(message.From, out NodeFact? peer)
            || !peer.Vtep.Equals(from))
        {
            return;
        }

        if (message.Kind == PathMessageKind.Answer)
        {
            _watch.Answered(message.From, message.Nonce, Now);
            return;
        }

        _watch.Heard(message.From);
        if (_answers.TryTake(message.From, Now))
        {
            Send(socket, _talk.Answer(message, local.Advertised.Address, peer.Vtep, scope), peer.Vtep, _ => { });
        }
    }

    private static void Send(TunnelSocket socket, byte[] datagram, IPAddress to, Action<bool> failed)
    {
        try
        {
            if (datagram.Length > 0)
            {
                socket.Send(to, datagram);
                return;
            }

            failed(false);
        }
        catch (SocketException e) when (e.SocketErrorCode is SocketError.HostUnreachable or SocketError.AccessDenied)
        {
            // Nobody has that address any more, or a filter of this host does not let it out: tunnel packets fare the same.
        }
        catch (SocketException e)
        {
            failed(e.SocketErrorCode == SocketError.MessageSize);
        }
    }

    private void Publish(CatalogSnapshot facts, Underlay link)
    {
        FrozenDictionary<NodeId, PathSight> before = Sights.Current.Paths, now = _watch.Sights;
        if (ReferenceEquals(before, now))
        {
            return;
        }

        Sights.Replace(Sights.Current with { Paths = now });
        foreach ((NodeId node, PathSight sight) in now)
        {
            PathState last = _told.GetValueOrDefault(node, PathState.Works);
            if (sight.State == PathState.Unknown || sight.State == last)
            {
                continue;
            }

            _told[node] = sight.State;
            string name = facts.NameOf(node);
            var finding = PathFinding.Of(name, sight, link);
            if (finding is null)
            {
                Log.Restored(logger, name);
                events.Add("PathRestored", $"UDP {PathPacket.Port} to node {name} ({sight.Address}) passes again, with packets of {sight.Full} bytes", node.ToString());
            }
            else
            {
                Log.Damaged(logger, name, finding.What);
                events.Add(sight.State == PathState.Broken ? "PathBroken" : "PathTooSmall", finding.What, node.ToString(), details: [("next", finding.Next)]);
            }
        }

        foreach (NodeId gone in _told.Keys.Except(now.Keys).ToArray())
        {
            _told.Remove(gone);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1470, LogLevel.Warning, "The path to {Node} does not carry tunnel packets as it should: {Finding}")]
        public static partial void Damaged(ILogger logger, string node, string finding);

        [LoggerMessage(1471, LogLevel.Information, "The path to {Node} carries tunnel packets again")]
        public static partial void Restored(ILogger logger, string node);

        [LoggerMessage(1472, LogLevel.Warning, "The paths to the peers cannot be probed: {Cause}")]
        public static partial void NoSocket(ILogger logger, string cause);
    }
}

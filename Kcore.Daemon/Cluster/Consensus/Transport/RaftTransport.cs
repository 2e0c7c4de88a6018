using System.Collections.Immutable;
using System.Net;
using Kcore.Daemon.Cluster.Streams;
using Kcore.Gossip;
using Kcore.Raft;
using Microsoft.Extensions.Logging;

namespace Kcore.Daemon.Cluster.Consensus.Transport;

/// <summary>
/// Log messages over TLS streams on the Raft port: one stream per peer and direction, opened by who sends. Belongs to the
/// consensus loop, which alone calls <see cref="Send"/>.
/// </summary>
internal sealed class RaftTransport(
    ClusterRef cluster,
    MemberId self,
    PeerConnector connector,
    Func<NodeId, IPEndPoint?> addressOf,
    TimeProvider time,
    Random random,
    ILogger logger) : IRaftTransport, IAsyncDisposable
{
    /// <summary>Members of one configuration with its predecessor and learners; who is not spoken to any more makes room.</summary>
    private const int LanesMax = 32;

    private static readonly TimeSpan IdleLimit = TimeSpan.FromMinutes(1);

    private readonly Dictionary<MemberId, (PeerLane Lane, long Used)> _lanes = [];
    private readonly HashSet<PeerLane> _touched = [];
    private readonly List<Task> _ending = [];
    private long _swept = time.GetTimestamp();

    public void Send(ImmutableArray<RaftMessage> messages)
    {
        Sweep();
        foreach (RaftMessage message in messages)
        {
            if (LaneTo(message.To) is { } lane)
            {
                lane.Add(message);
                _touched.Add(lane);
            }
        }

        // What goes to one member goes in one write.
        foreach (PeerLane lane in _touched)
        {
            lane.Flush();
        }

        _touched.Clear();
    }

    public async ValueTask DisposeAsync()
    {
        foreach ((PeerLane lane, _) in _lanes.Values)
        {
            _ending.Add(lane.DisposeAsync().AsTask());
        }

        await Task.WhenAll(_ending);
    }

    private PeerLane? LaneTo(MemberId member)
    {
        if (!_lanes.TryGetValue(member, out (PeerLane Lane, long Used) known))
        {
            if (_lanes.Count >= LanesMax)
            {
                return null;
            }

            known.Lane = new PeerLane(cluster, self, member, connector, addressOf, time, new Random(random.Next()), logger);
        }

        _lanes[member] = (known.Lane, time.GetTimestamp());
        return known.Lane;
    }

    private void Sweep()
    {
        if (time.GetElapsedTime(_swept) < IdleLimit)
        {
            return;
        }

        _swept = time.GetTimestamp();
        _ending.RemoveAll(t => t.IsCompletedSuccessfully);
        foreach ((MemberId peer, (PeerLane lane, long used)) in _lanes.ToList())
        {
            if (time.GetElapsedTime(used) >= IdleLimit)
            {
                _lanes.Remove(peer);
                _ending.Add(lane.DisposeAsync().AsTask());
            }
        }
    }
}

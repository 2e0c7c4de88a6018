using System.Collections.Immutable;

namespace Kcore.Daemon.Cluster.Discovery;

/// <summary>A node heard on the LAN, of whatever cluster. What it says of itself is a claim.</summary>
/// <param name="Heard">When last.</param>
internal sealed record Neighbour(DiscoveredPeer Sighting, DateTimeOffset Heard);

/// <summary>Who was heard on the LAN lately. Anybody can announce anything there, so it is bounded and nobody relies on it.</summary>
internal sealed class Neighbourhood(TimeProvider time)
{
    private const int Capacity = 256;

    /// <summary>Nodes are asked every minute and their records live two.</summary>
    private static readonly TimeSpan Kept = TimeSpan.FromMinutes(3);

    private readonly Lock _use = new();
    private readonly Dictionary<UInt128, Neighbour> _neighbours = [];

    public ImmutableArray<Neighbour> Current
    {
        get
        {
            DateTimeOffset oldest = time.GetUtcNow() - Kept;
            lock (_use)
            {
                return [.. _neighbours.Values.Where(n => n.Heard >= oldest).OrderBy(n => n.Sighting.Node.NodeUid)];
            }
        }
    }

    public void Saw(DiscoveredPeer peer)
    {
        DateTimeOffset now = time.GetUtcNow();
        lock (_use)
        {
            UInt128 uid = peer.Node.NodeUid;
            if (peer.IsGoodbye)
            {
                _neighbours.Remove(uid);
                return;
            }

            if (_neighbours.Count == Capacity && !_neighbours.ContainsKey(uid))
            {
                _neighbours.Remove(_neighbours.MinBy(n => n.Value.Heard).Key);
            }

            _neighbours[uid] = new Neighbour(peer, now);
        }
    }
}

using Kcore.Gossip;
using Kcore.Simulation.Engine;

namespace Kcore.Bench.GossipSim;

/// <summary>When a fact became visible on each node, and how many datagrams carried it.</summary>
internal sealed class SpreadMeter
{
    private readonly GossipCluster _cluster;
    private readonly TimeSpan[] _seen;
    private readonly List<TimeSpan> _arrivals = [];
    private readonly byte[] _needle;
    private readonly string _key;
    private readonly NodeId _writer;
    private readonly TimeSpan _start;

    public SpreadMeter(GossipCluster cluster, SimulatedNode writer, string key, bool countDatagrams)
    {
        _cluster = cluster;
        _key = key;
        _writer = writer.Id;
        _needle = System.Text.Encoding.UTF8.GetBytes(key);
        _seen = new TimeSpan[cluster.Nodes.Count];
        _start = cluster.Now;
        cluster.Watch = OnEffect;
        cluster.WatchSend = countDatagrams ? OnSend : null;
        cluster.Put(writer, new LocalWrite(key, 1, "0123456789abcdef0123456789"u8.ToArray()));
    }

    public long Datagrams { get; private set; }

    public bool IsEverywhere => _arrivals.Count == _cluster.Nodes.Count;

    /// <summary>Time until the given share of all nodes had it.</summary>
    public TimeSpan Until(double share) => _arrivals[Math.Max(0, (int)Math.Ceiling(share * _arrivals.Count) - 1)] - _start;

    private void OnEffect(SimulatedNode node, GossipEffect effect)
    {
        // A repair may bring the fact with its whole origin.
        bool shown = _seen[node.Index] == TimeSpan.Zero && effect switch
        {
            GossipEffect.CatalogChanged changed => changed.Changed.Any(e => e.Key == _key),
            GossipEffect.CatalogResync resync => resync.Origin == _writer && node.Core!.Catalog.Find(_writer)?.Find(_key) is not null,
            _ => false,
        };
        if (shown)
        {
            // Effects come in the order of time, so the list is sorted.
            _seen[node.Index] = _cluster.Now;
            _arrivals.Add(_cluster.Now);
        }
    }

    private void OnSend(SimulatedNode from, ReadOnlyMemory<byte> payload) =>
        Datagrams += payload.Span.IndexOf(_needle) >= 0 ? 1 : 0;
}

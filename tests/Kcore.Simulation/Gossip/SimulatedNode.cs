using System.Net;
using Kcore.Gossip;

namespace Kcore.Simulation.Gossip;

/// <summary>A node of the simulated cluster: its core while it runs, and the disk that outlives it.</summary>
internal sealed class SimulatedNode(int index, IPEndPoint endpoint, Random random)
{
    private readonly Dictionary<NodeId, OriginHead> _heads = [];
    private readonly Dictionary<EntryKey, CatalogEntry> _entries = [];
    private readonly List<GossipEffect.Persist> _writeBehind = [];
    private List<IPEndPoint> _remembered = [];
    private uint _epoch;

    public int Index { get; } = index;

    public NodeId Id { get; } = new((UInt128)(uint)random.Next() << 96 | (ulong)random.NextInt64());

    public IPEndPoint Endpoint { get; set; } = endpoint;

    public GossipCore? Core { get; private set; }

    /// <summary>Raised at each start; events of an earlier life are void.</summary>
    public int Life { get; private set; }

    public TimeSpan StalledUntil { get; set; }

    public Dictionary<(NodeId Origin, ulong Epoch), ulong> SeenVersions { get; } = [];

    public IReadOnlyList<IPEndPoint> Remembered => _remembered;

    public GossipCore Start(TimeSpan now, GossipOptions options)
    {
        Life++;
        _epoch++;
        var self = new LocalMember(Id, _epoch, (ulong)random.NextInt64(), Endpoint, 7947, $"node-{Index}");
        Core = new GossipCore(options, self, new CatalogState(_heads.Values, _entries.Values), new Random(random.Next()), now);
        SeenVersions.Clear();
        return Core;
    }

    /// <summary>The process is gone; what was only written behind may be lost.</summary>
    public void Crash(bool loseWriteBehind)
    {
        Core = null;
        Life++;
        if (!loseWriteBehind)
        {
            Sync();
        }

        _writeBehind.Clear();
    }

    public void WipeCatalog()
    {
        _heads.Clear();
        _entries.Clear();
    }

    public void Store(GossipEffect.Persist persist)
    {
        _writeBehind.Add(persist);
        if (persist.Durable || _writeBehind.Count > 64)
        {
            Sync();
        }
    }

    public void Remember(GossipEffect.RememberMembers remember) => _remembered = [.. remember.Members.Select(m => m.Endpoint)];

    public void StoreEpoch(uint epoch) => _epoch = epoch;

    private void Sync()
    {
        foreach (GossipEffect.Persist persist in _writeBehind)
        {
            foreach (OriginHead head in persist.Heads)
            {
                _heads[head.Origin] = head;
            }

            foreach (EntryKey key in persist.Removed)
            {
                _entries.Remove(key);
            }

            foreach (CatalogEntry entry in persist.Entries)
            {
                _entries[new EntryKey(entry.Origin, entry.Key)] = entry;
            }

            foreach (NodeId origin in persist.RemovedOrigins)
            {
                _heads.Remove(origin);
                foreach (EntryKey key in _entries.Keys.Where(k => k.Origin == origin).ToList())
                {
                    _entries.Remove(key);
                }
            }
        }

        _writeBehind.Clear();
    }
}

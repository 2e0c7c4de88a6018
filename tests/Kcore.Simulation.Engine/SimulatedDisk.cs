using System.Net;
using Kcore.Gossip;

namespace Kcore.Simulation.Engine;

/// <summary>What outlives a process: identity, boot counter, catalog, addresses of members last met.</summary>
public sealed class SimulatedDisk
{
    private readonly Dictionary<NodeId, OriginHead> _heads = [];
    private readonly Dictionary<EntryKey, CatalogEntry> _entries = [];
    private readonly List<GossipEffect.Persist> _writeBehind = [];
    private List<IPEndPoint> _remembered = [];

    public SimulatedDisk(NodeId id) => Id = id;

    private SimulatedDisk(SimulatedDisk other)
    {
        Id = other.Id;
        Epoch = other.Epoch;
        _heads = new Dictionary<NodeId, OriginHead>(other._heads);
        _entries = new Dictionary<EntryKey, CatalogEntry>(other._entries);
        _remembered = [.. other._remembered];
    }

    public NodeId Id { get; }

    /// <summary>Counts starts.</summary>
    public uint Epoch { get; set; }

    public IReadOnlyList<IPEndPoint> Remembered => _remembered;

    /// <summary>A copy of what is on the platter: a backup, or the disk of a cloned machine.</summary>
    public SimulatedDisk Copy() => new(this);

    public CatalogState Load() => new(_heads.Values, _entries.Values);

    /// <summary>The catalog is gone, identity and boot counter stay.</summary>
    public void LoseCatalog()
    {
        _heads.Clear();
        _entries.Clear();
        _writeBehind.Clear();
    }

    /// <summary>Power is gone: what was only written behind is lost.</summary>
    public void LoseWriteBehind() => _writeBehind.Clear();

    public void Store(GossipEffect.Persist persist)
    {
        _writeBehind.Add(persist);
        if (persist.Durable || _writeBehind.Count > 64)
        {
            Sync();
        }
    }

    public void Remember(GossipEffect.RememberMembers remember) => _remembered = [.. remember.Members.Select(m => m.Endpoint)];

    public void Sync()
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

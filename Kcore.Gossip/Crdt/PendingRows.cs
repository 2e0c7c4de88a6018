using System.Collections.Immutable;

namespace Kcore.Gossip;

/// <summary>Rows that differ from what the shell has stored, gathered while one input is handled.</summary>
internal sealed class PendingRows(Turn turn, CatalogState catalog)
{
    /// <summary>By origin and key; null for a row that goes.</summary>
    private readonly SortedDictionary<NodeId, SortedDictionary<string, CatalogEntry?>> _entries = [];
    private readonly SortedSet<NodeId> _heads = [];
    private readonly SortedSet<NodeId> _removedOrigins = [];

    public bool IsEmpty => _heads.Count == 0 && _entries.Count == 0 && _removedOrigins.Count == 0;

    public void Head(NodeId origin) => _heads.Add(origin);

    public void Keep(CatalogEntry entry) => Of(entry.Origin)[entry.Key] = entry;

    public void Drop(NodeId origin, string key) => Of(origin)[key] = null;

    public void DropOrigin(NodeId origin)
    {
        _entries.Remove(origin);
        _heads.Remove(origin);
        _removedOrigins.Add(origin);
    }

    /// <summary>Hands everything to the shell. Own rows must be on disk before anybody hears of them.</summary>
    public void Flush(bool durable)
    {
        if (IsEmpty)
        {
            return;
        }

        // In plain loops: nearly always it is one head and one row, and every node does it for every fact.
        ImmutableArray<OriginHead>.Builder heads = ImmutableArray.CreateBuilder<OriginHead>(_heads.Count);
        foreach (NodeId id in _heads)
        {
            if (catalog.Find(id) is { } origin)
            {
                heads.Add(origin.Head);
            }
        }

        ImmutableArray<CatalogEntry>.Builder kept = ImmutableArray.CreateBuilder<CatalogEntry>(1);
        ImmutableArray<EntryKey>.Builder? gone = null;
        foreach ((NodeId id, SortedDictionary<string, CatalogEntry?> rows) in _entries)
        {
            foreach ((string key, CatalogEntry? entry) in rows)
            {
                if (entry is not null)
                {
                    kept.Add(entry);
                }
                else
                {
                    (gone ??= ImmutableArray.CreateBuilder<EntryKey>()).Add(new EntryKey(id, key));
                }
            }
        }

        turn.Emit(new GossipEffect.Persist(
            durable, heads.DrainToImmutable(), kept.DrainToImmutable(), gone?.DrainToImmutable() ?? [], _removedOrigins.Count == 0 ? [] : [.. _removedOrigins]));
        _entries.Clear();
        _heads.Clear();
        _removedOrigins.Clear();
    }

    private SortedDictionary<string, CatalogEntry?> Of(NodeId origin)
    {
        if (!_entries.TryGetValue(origin, out SortedDictionary<string, CatalogEntry?>? rows))
        {
            _entries[origin] = rows = new SortedDictionary<string, CatalogEntry?>(StringComparer.Ordinal);
        }

        return rows;
    }
}

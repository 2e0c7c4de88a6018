using Kcore.Gossip;

namespace Kcore.Daemon.Storage;

/// <summary>
/// Changes to the stored catalog that are written together. Later ones replace earlier ones of the same row, so however
/// slow the disk is, what waits is never more than the catalog itself. Written as one transaction, it leaves the store as
/// if every change had been written by itself, in order.
/// </summary>
internal sealed class CatalogBatch
{
    private readonly HashSet<NodeId> _removedOrigins = [];
    private readonly HashSet<EntryKey> _removed = [];
    private readonly Dictionary<EntryKey, CatalogEntry> _entries = [];
    private readonly Dictionary<NodeId, OriginHead> _heads = [];
    private bool _durable;

    public bool IsEmpty => _removedOrigins.Count == 0 && _removed.Count == 0 && _entries.Count == 0 && _heads.Count == 0;

    /// <summary>Adds what happened after everything in the batch.</summary>
    public void Add(GossipEffect.Persist changes)
    {
        _durable |= changes.Durable;
        foreach (NodeId origin in changes.RemovedOrigins)
        {
            // The store takes origins away first, whole, so nothing older of this one has to be told row by row.
            _removedOrigins.Add(origin);
            _heads.Remove(origin);
            foreach (EntryKey key in _entries.Keys.Where(k => k.Origin == origin).ToList())
            {
                _entries.Remove(key);
            }

            _removed.RemoveWhere(k => k.Origin == origin);
        }

        foreach (EntryKey key in changes.Removed)
        {
            _entries.Remove(key);
            _removed.Add(key);
        }

        foreach (CatalogEntry entry in changes.Entries)
        {
            _entries[new EntryKey(entry.Origin, entry.Key)] = entry;
        }

        foreach (OriginHead head in changes.Heads)
        {
            _heads[head.Origin] = head;
        }
    }

    public GossipEffect.Persist ToPersist() => new(_durable, [.. _heads.Values], [.. _entries.Values], [.. _removed], [.. _removedOrigins]);
}

using Kcore.Gossip.Wire;

namespace Kcore.Gossip;

/// <summary>
/// Entries of one origin above its watermark: one a key, and no more than <see cref="WireLimits.FloatingPerOrigin"/>.
/// </summary>
internal sealed class FloatingEntries
{
    private readonly SortedDictionary<string, CatalogEntry> _byKey = new(StringComparer.Ordinal);

    public int Count => _byKey.Count;

    public IReadOnlyCollection<CatalogEntry> All => _byKey.Values;

    /// <summary>Sum of the hashes of all of them; tombstones count, because they hide what is settled below.</summary>
    public ulong Sum { get; private set; }

    public CatalogEntry? Find(string key) => _byKey.GetValueOrDefault(key);

    /// <summary>Whether one more of this key would exceed the bound.</summary>
    public bool HasNoRoomFor(string key) => _byKey.Count >= WireLimits.FloatingPerOrigin && !_byKey.ContainsKey(key);

    /// <summary>Takes the place of what floats of its key.</summary>
    public void Set(CatalogEntry entry)
    {
        Remove(entry.Key);
        _byKey[entry.Key] = entry;
        Sum = unchecked(Sum + entry.Hash);
    }

    public void Remove(string key)
    {
        if (_byKey.Remove(key, out CatalogEntry? entry))
        {
            Sum = unchecked(Sum - entry.Hash);
        }
    }

    public void Clear()
    {
        _byKey.Clear();
        Sum = 0;
    }

    /// <summary>The one that goes when a later one needs room. By the same order everywhere, so that all keep the same.</summary>
    public CatalogEntry Earliest() => _byKey.Values.Aggregate((x, y) => Order(x, y) <= 0 ? x : y);

    public static int Order(CatalogEntry x, CatalogEntry y)
    {
        int order = x.Version.CompareTo(y.Version);
        return order != 0 ? order : string.CompareOrdinal(x.Key, y.Key);
    }
}

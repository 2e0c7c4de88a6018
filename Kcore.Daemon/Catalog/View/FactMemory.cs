using Kcore.Gossip;

namespace Kcore.Daemon.Catalog.View;

/// <summary>
/// What entries say, read once for each: gossip hands on the very same entry for as long as a fact stands, and of many
/// facts few change at a time. Not thread-safe.
/// </summary>
internal sealed class FactMemory
{
    // What is gone is forgotten when it is as much as what is left.
    private const int SlackMin = 1024;

    private Dictionary<CatalogEntry, object?> _facts = new(ReferenceEqualityComparer.Instance);

    /// <inheritdoc cref="FactReader.Read"/>
    public object? Read(CatalogEntry entry)
    {
        if (!_facts.TryGetValue(entry, out object? fact))
        {
            _facts[entry] = fact = FactReader.Read(entry);
        }

        return fact;
    }

    /// <summary>Forgets entries that are no more.</summary>
    /// <param name="live">All that are.</param>
    public void Trim(IReadOnlyCollection<CatalogEntry> live)
    {
        if (_facts.Count <= SlackMin + (2 * live.Count))
        {
            return;
        }

        var kept = new Dictionary<CatalogEntry, object?>(live.Count, ReferenceEqualityComparer.Instance);
        foreach (CatalogEntry entry in live)
        {
            kept[entry] = Read(entry);
        }

        _facts = kept;
    }
}

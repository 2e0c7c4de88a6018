namespace Kcore.Gossip;

/// <summary>
/// Everything held of all origins. Belongs to the core once handed over: read it between inputs, on the same loop.
/// </summary>
public sealed class CatalogState
{
    private readonly SortedDictionary<NodeId, OriginState> _origins = [];

    public CatalogState()
    {
    }

    /// <summary>
    /// Rebuilds the state from stored rows. Entries of an origin without a head are ignored: nothing is known about
    /// what else belongs to them.
    /// </summary>
    public CatalogState(IEnumerable<OriginHead> heads, IEnumerable<CatalogEntry> entries)
    {
        foreach (OriginHead head in heads)
        {
            var origin = new OriginState(head.Origin, head.Epoch);
            origin.Restore(head);
            _origins[head.Origin] = origin;
        }

        foreach (CatalogEntry entry in entries)
        {
            if (_origins.TryGetValue(entry.Origin, out OriginState? origin))
            {
                origin.Take(entry);
            }
        }
    }

    /// <summary>All origins in the order of their ids.</summary>
    public IReadOnlyCollection<OriginState> Origins => _origins.Values;

    public OriginState? Find(NodeId origin) => _origins.GetValueOrDefault(origin);

    /// <summary>Every visible entry, by origin and key.</summary>
    public IEnumerable<CatalogEntry> Entries => _origins.Values.SelectMany(o => o.Entries);

    internal OriginState GetOrAdd(NodeId origin, ulong epoch)
    {
        if (!_origins.TryGetValue(origin, out OriginState? state))
        {
            _origins[origin] = state = new OriginState(origin, epoch);
        }

        return state;
    }

    internal bool Remove(NodeId origin) => _origins.Remove(origin);
}

using Kcore.Gossip.Wire;

namespace Kcore.Gossip;

/// <summary>
/// Everything held of all origins. Belongs to the core once handed over: read it between inputs, on the same loop.
/// </summary>
public sealed class CatalogState
{
    private readonly SortedDictionary<NodeId, OriginState> _origins = [];
    private readonly Dictionary<NodeId, OriginState> _byId = [];
    private readonly ulong[] _buckets = new ulong[BucketSet.Most];

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
            _byId[head.Origin] = origin;
        }

        foreach (CatalogEntry entry in entries)
        {
            if (_origins.TryGetValue(entry.Origin, out OriginState? origin))
            {
                origin.Take(entry);
            }
        }

        foreach (OriginState origin in _origins.Values)
        {
            Recount(origin);
        }
    }

    /// <summary>All origins in the order of their ids.</summary>
    public IReadOnlyCollection<OriginState> Origins => _origins.Values;

    public OriginState? Find(NodeId origin) => _byId.GetValueOrDefault(origin);

    /// <summary>Every visible entry, by origin and key.</summary>
    public IEnumerable<CatalogEntry> Entries => _origins.Values.SelectMany(o => o.Entries);

    /// <summary>One number over what is shown of all origins and how far each is known.</summary>
    internal ulong Root { get; private set; }

    /// <summary>The same sum by bucket, of the finest division.</summary>
    internal ReadOnlySpan<ulong> Buckets => _buckets;

    /// <summary>This node computes the Raft origin from the log itself, so what it holds of it is right.</summary>
    internal bool AppliesLog { get; set; }

    internal HeadDigest HeadOf(OriginState origin) =>
        new(origin.Origin, origin.Epoch, origin.Version, origin.Content, IsSourceOf(origin.Origin), origin.Surface);

    internal bool IsSourceOf(NodeId origin) => AppliesLog && origin == NodeId.Raft;

    internal OriginState GetOrAdd(NodeId origin, ulong epoch)
    {
        if (!_byId.TryGetValue(origin, out OriginState? state))
        {
            _byId[origin] = _origins[origin] = state = new OriginState(origin, epoch);
        }

        return state;
    }

    internal bool Remove(NodeId id)
    {
        if (!_byId.Remove(id, out OriginState? origin))
        {
            return false;
        }

        _origins.Remove(id);
        Count(origin, 0);
        return true;
    }

    /// <summary>Brings the sums up to date with an origin that has changed.</summary>
    internal void Recount(OriginState origin) => Count(origin, origin.HeadHash);

    private void Count(OriginState origin, ulong hash)
    {
        ulong change = unchecked(hash - origin.CountedHash);
        origin.CountedHash = hash;
        Root = unchecked(Root + change);
        int bucket = BucketSet.Finest(origin.Origin);
        _buckets[bucket] = unchecked(_buckets[bucket] + change);
    }
}

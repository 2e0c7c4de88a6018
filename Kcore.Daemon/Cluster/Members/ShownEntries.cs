using System.Collections.Immutable;
using System.Diagnostics;
using Kcore.Gossip;

namespace Kcore.Daemon.Cluster.Members;

/// <summary>
/// The live facts of each origin as they were last put together. An update changes one origin, and the thread that is to answer the
/// next probe must not go through the facts of all the others for it. Not thread-safe.
/// </summary>
internal sealed class ShownEntries
{
    private readonly Dictionary<NodeId, ImmutableArray<CatalogEntry>> _byOrigin = [];

    /// <summary>What is remembered of these origins is no longer so.</summary>
    public void Void(IEnumerable<NodeId> origins)
    {
        foreach (NodeId origin in origins)
        {
            _byOrigin.Remove(origin);
        }
    }

    /// <summary>The live facts of one origin in the order of their keys.</summary>
    public ImmutableArray<CatalogEntry> Of(OriginState origin)
    {
        if (!_byOrigin.TryGetValue(origin.Origin, out ImmutableArray<CatalogEntry> known))
        {
            _byOrigin[origin.Origin] = known = Live(origin);
        }

        Debug.Assert(known.SequenceEqual(Live(origin)), "a visible change that the core did not tell");
        return known;
    }

    /// <summary>Those of all origins one after another, of this node in the state that is given.</summary>
    public ImmutableArray<CatalogEntry> All(IReadOnlyCollection<OriginState> origins, NodeId self, ImmutableArray<CatalogEntry> own)
    {
        ImmutableArray<CatalogEntry>.Builder entries = ImmutableArray.CreateBuilder<CatalogEntry>();
        foreach (OriginState origin in origins)
        {
            entries.AddRange(origin.Origin == self ? own : Of(origin));
        }

        return entries.DrainToImmutable();
    }

    private static ImmutableArray<CatalogEntry> Live(OriginState origin) => [.. origin.Entries.Where(e => !e.IsTombstone)];
}

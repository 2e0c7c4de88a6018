using Kcore.Gossip;
using Kcore.Gossip.Wire;

namespace Kcore.Simulation.Engine.Checks;

/// <summary>
/// Invariants 4, 5 and 7 as a consumer of events sees them: every fact shown was written by its owner, none comes back
/// older than it was, none goes that its owner asserts, the events fold to the snapshot, and who has equal digests shows
/// the same.
/// </summary>
public sealed class VisibilityCheck(GossipCluster cluster) : ClusterCheck(cluster)
{
    /// <summary>The fold is compared with the snapshot once in so many inputs of a node.</summary>
    private const int FoldEvery = 97;

    private readonly Dictionary<int, View> _views = [];

    public override void OnStart(SimulatedNode node)
    {
        var view = new View();
        _views[node.Index] = view;
        foreach (OriginState origin in node.Core!.Catalog.Origins)
        {
            foreach (CatalogEntry entry in origin.Entries)
            {
                view.Of(origin.Origin).Keys[entry.Key] = new Shown(origin.Epoch, entry);
            }
        }
    }

    public override void OnStop(SimulatedNode node) => _views.Remove(node.Index);

    public override void OnEffect(SimulatedNode node, GossipEffect effect)
    {
        switch (effect)
        {
            case GossipEffect.CatalogChanged changed:
                foreach (CatalogEntry entry in changed.Changed)
                {
                    OnEntry(node, entry, node.Core!.Catalog.Find(entry.Origin)?.Epoch ?? 0);
                }

                break;
            case GossipEffect.CatalogResync resync:
                OnResync(node, resync.Origin);
                break;
        }
    }

    public override void OnHandled(SimulatedNode node)
    {
        View view = _views[node.Index];
        if (++view.Inputs % FoldEvery == 0)
        {
            CompareFold(node, view);
            CompareShown(node);
        }
    }

    public override void OnQuiet()
    {
        foreach (SimulatedNode node in Cluster.Running)
        {
            CompareFold(node, _views[node.Index]);
            CompareShown(node);
        }

        // What converged is what the owners say, not merely the same everywhere.
        foreach (SimulatedNode owner in Cluster.Running)
        {
            List<CatalogEntry> own = [.. Live(owner, owner.Id)];
            foreach (SimulatedNode node in Cluster.Running)
            {
                if (!Live(node, owner.Id).SequenceEqual(own))
                {
                    throw Cluster.Violation($"node {node.Index} shows [{string.Join(", ", Live(node, owner.Id))}] of node {owner.Index}, which asserts [{string.Join(", ", own)}]");
                }
            }
        }
    }

    /// <summary>A digest that agrees ends all repair, so nothing that is shown may be missing from it.</summary>
    private void CompareShown(SimulatedNode node)
    {
        ulong digest = node.Core!.CatalogDigest;
        foreach (SimulatedNode other in Cluster.Running.Where(n => n.Index > node.Index && n.Core!.CatalogDigest == digest))
        {
            foreach (NodeId origin in node.Core.Catalog.Origins.Concat(other.Core!.Catalog.Origins).Select(o => o.Origin).Distinct())
            {
                if (!Live(node, origin).SequenceEqual(Live(other, origin)))
                {
                    throw Cluster.Violation(
                        $"nodes {node.Index} and {other.Index} have the digest {digest:x16} in common, but of {origin.Short} one shows [{string.Join(", ", Live(node, origin))}] and the other [{string.Join(", ", Live(other, origin))}]");
                }
            }
        }
    }

    private static IEnumerable<CatalogEntry> Live(SimulatedNode node, NodeId origin) =>
        node.Core!.Catalog.Find(origin)?.Entries.Where(e => !e.IsTombstone).OrderBy(e => e.Key, StringComparer.Ordinal) ?? Enumerable.Empty<CatalogEntry>();

    private void OnEntry(SimulatedNode node, CatalogEntry entry, ulong epoch)
    {
        if (!Cluster.Truth.WasWritten(entry))
        {
            throw Cluster.Violation($"node {node.Index} shows {entry}, which its owner never wrote");
        }

        OriginView view = _views[node.Index].Of(entry.Origin);
        (ulong, ulong) now = (epoch, entry.Version);
        if (view.Keys.TryGetValue(entry.Key, out Shown? before) && now.CompareTo((before.Epoch, before.Entry.Version)) < 0)
        {
            throw Cluster.Violation($"node {node.Index} shows {entry} of epoch {epoch} after {before.Entry} of epoch {before.Epoch}");
        }

        if (view.Gone.TryGetValue(entry.Key, out (ulong Epoch, ulong Version) gone) && now.CompareTo(gone) <= 0 && Cluster.Truth.IsIntact(entry.Origin))
        {
            throw Cluster.Violation($"node {node.Index} shows {entry} of epoch {epoch} again after it was gone at {gone}");
        }

        view.Keys[entry.Key] = new Shown(epoch, entry);
    }

    private void OnResync(SimulatedNode node, NodeId id)
    {
        OriginState? origin = node.Core!.Catalog.Find(id);
        OriginView view = _views[node.Index].Of(id);
        if (origin is not null)
        {
            MakeRoom(view, origin);
        }

        HashSet<string> present = [];
        foreach (CatalogEntry entry in origin?.Entries ?? [])
        {
            present.Add(entry.Key);
            OnEntry(node, entry, origin!.Epoch);
        }

        foreach (string key in view.Keys.Keys.Where(k => !present.Contains(k)).ToList())
        {
            Shown before = view.Keys[key];
            view.Keys.Remove(key);
            if (origin is null)
            {
                continue;
            }

            view.Gone[key] = (origin.Epoch, before.Epoch == origin.Epoch ? before.Entry.Version : 0);
            if (!before.Entry.IsTombstone && Cluster.Truth.IsIntact(id) && Cluster.Truth.IsAssertedAt(id, key, origin.Epoch, origin.Version))
            {
                throw Cluster.Violation($"node {node.Index} withdraws {before.Entry} of epoch {before.Epoch}, which its owner asserts at what the node now holds: {origin.Head}");
            }
        }
    }

    /// <summary>
    /// Of a dead owner only so much is kept above a gap. What had to make room is not gone by its owner's word, and shows
    /// again when the gap is filled.
    /// </summary>
    private static void MakeRoom(OriginView view, OriginState origin)
    {
        if (origin.Entries.Count(e => e.Version > origin.Version) < WireLimits.FloatingPerOrigin)
        {
            return;
        }

        foreach ((string key, Shown shown) in view.Keys.Where(k => k.Value.Epoch == origin.Epoch && k.Value.Entry.Version > origin.Version).ToList())
        {
            if (origin.Find(key) is not { } now || now.Version < shown.Entry.Version)
            {
                view.Keys.Remove(key);
            }
        }
    }

    private void CompareFold(SimulatedNode node, View view)
    {
        foreach (OriginState origin in node.Core!.Catalog.Origins)
        {
            Dictionary<string, Shown> keys = view.Of(origin.Origin).Keys;
            int live = 0;
            foreach (CatalogEntry entry in origin.Entries)
            {
                if (entry.IsTombstone)
                {
                    continue;
                }

                live++;
                if (!keys.TryGetValue(entry.Key, out Shown? shown) || !shown.Entry.Equals(entry))
                {
                    throw Cluster.Violation($"node {node.Index} holds {entry}, but its events say {(shown is null ? "nothing" : shown.Entry.ToString())}");
                }
            }

            if (keys.Values.Count(s => !s.Entry.IsTombstone) != live)
            {
                throw Cluster.Violation($"node {node.Index} dropped facts of {origin.Origin.Short} without an event");
            }
        }
    }

    private sealed record Shown(ulong Epoch, CatalogEntry Entry);

    private sealed class OriginView
    {
        public Dictionary<string, Shown> Keys { get; } = new(StringComparer.Ordinal);

        /// <summary>Keys that went with a snapshot, and the head they may not come back at or below.</summary>
        public Dictionary<string, (ulong Epoch, ulong Version)> Gone { get; } = new(StringComparer.Ordinal);
    }

    private sealed class View
    {
        private readonly Dictionary<NodeId, OriginView> _origins = [];

        public int Inputs { get; set; }

        public OriginView Of(NodeId origin)
        {
            if (!_origins.TryGetValue(origin, out OriginView? view))
            {
                _origins[origin] = view = new OriginView();
            }

            return view;
        }
    }
}

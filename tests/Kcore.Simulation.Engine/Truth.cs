using Kcore.Gossip;

namespace Kcore.Simulation.Engine;

/// <summary>
/// What every owner has written and asserts at this moment, learnt from the owner's own effects. Everybody else is
/// measured against it.
/// </summary>
public sealed class Truth
{
    private readonly Dictionary<NodeId, OwnerRecord> _owners = [];
    private readonly HashSet<NodeId> _forgotten = [];

    /// <summary>Ids ever used, and the origin of the log.</summary>
    public int OwnerCount => _owners.Count;

    public IReadOnlySet<NodeId> Forgotten => _forgotten;

    /// <summary>Whether an owner's history has no hole: its disk was never lost, set back or copied.</summary>
    public bool IsIntact(NodeId owner) => !_owners.TryGetValue(owner, out OwnerRecord? record) || record.IsIntact;

    public bool AllIntact => _owners.Values.All(o => o.IsIntact);

    /// <summary>The largest (epoch, version) the owner has ever reached.</summary>
    public (ulong Epoch, ulong Version) Reached(NodeId owner) => _owners.TryGetValue(owner, out OwnerRecord? record) ? record.Reached : default;

    /// <summary>Whether this very record was written by its owner at some time.</summary>
    public bool WasWritten(CatalogEntry entry) => _owners.TryGetValue(entry.Origin, out OwnerRecord? record) && record.Written.Contains(HashOf(entry));

    /// <summary>Whether the key was asserted by the owner at that point of its sequence.</summary>
    public bool IsAssertedAt(NodeId owner, string key, ulong epoch, ulong version)
    {
        if (!_owners.TryGetValue(owner, out OwnerRecord? record) || !record.Keys.TryGetValue((epoch, key), out List<(ulong Version, bool Live)>? writes))
        {
            return false;
        }

        (ulong Version, bool Live) last = writes.LastOrDefault(w => w.Version <= version);
        return last.Live;
    }

    /// <summary>The owner's disk was lost, set back or copied: versions may have been given out twice.</summary>
    public void Forsake(NodeId owner) => Of(owner).IsIntact = false;

    /// <summary>Raft has committed the removal of a node.</summary>
    public void Forget(NodeId owner) => _forgotten.Add(owner);

    /// <summary>Content of the log, for the origin that has no node.</summary>
    public void Commit(CatalogEntry entry, ulong epoch, ulong index)
    {
        OwnerRecord record = Of(entry.Origin);
        record.Raise((epoch, index));
        Note(record, epoch, entry.Version, entry);
    }

    internal void OnStart(SimulatedNode node)
    {
        if (node.Core!.Catalog.Find(node.Id) is { } own)
        {
            Reread(Of(node.Id), own);
        }
    }

    internal void OnEffect(SimulatedNode node, GossipEffect effect)
    {
        switch (effect)
        {
            case GossipEffect.CatalogChanged changed:
                foreach (CatalogEntry entry in changed.Changed)
                {
                    if (entry.Origin == node.Id)
                    {
                        Note(Of(node.Id), node.Core!.Catalog.Find(node.Id)!.Epoch, entry.Version, entry);
                    }
                }

                break;
            case GossipEffect.CatalogResync resync when resync.Origin == node.Id:
                Reread(Of(node.Id), node.Core!.Catalog.Find(node.Id)!);
                break;
            case GossipEffect.Persist persist:
                foreach (OriginHead head in persist.Heads)
                {
                    if (head.Origin == node.Id)
                    {
                        Of(node.Id).Raise((head.Epoch, head.Version));
                    }
                }

                // What is persisted may be sent before the change is reported.
                foreach (CatalogEntry entry in persist.Entries)
                {
                    if (entry.Origin == node.Id)
                    {
                        Of(node.Id).Written.Add(HashOf(entry));
                    }
                }

                break;
        }
    }

    private void Reread(OwnerRecord record, OriginState own)
    {
        record.Raise((own.Epoch, own.Version));
        // What an epoch begins with holds from before its first version: nobody may see less of it.
        bool isNew = record.Epochs.Add(own.Epoch);
        foreach (CatalogEntry entry in own.Entries)
        {
            Note(record, own.Epoch, isNew ? 0 : entry.Version, entry);
        }
    }

    private static void Note(OwnerRecord record, ulong epoch, ulong version, CatalogEntry entry)
    {
        record.Written.Add(HashOf(entry));
        if (!record.Keys.TryGetValue((epoch, entry.Key), out List<(ulong Version, bool Live)>? writes))
        {
            record.Keys[(epoch, entry.Key)] = writes = [];
        }

        if (writes.Count == 0 || writes[^1].Version < version)
        {
            writes.Add((version, !entry.IsTombstone));
        }
    }

    private OwnerRecord Of(NodeId owner)
    {
        if (!_owners.TryGetValue(owner, out OwnerRecord? record))
        {
            _owners[owner] = record = new OwnerRecord();
        }

        return record;
    }

    private static ulong HashOf(CatalogEntry entry)
    {
        var hash = new TraceHash();
        hash.Add(entry.Raw.Span);
        return hash.Value;
    }

    private sealed class OwnerRecord
    {
        public bool IsIntact { get; set; } = true;

        public (ulong Epoch, ulong Version) Reached { get; private set; }

        public HashSet<ulong> Epochs { get; } = [];

        /// <summary>Of each key in each epoch, the versions at which it was written or removed.</summary>
        public Dictionary<(ulong Epoch, string Key), List<(ulong Version, bool Live)>> Keys { get; } = [];

        public HashSet<ulong> Written { get; } = [];

        public void Raise((ulong Epoch, ulong Version) head) => Reached = head.CompareTo(Reached) > 0 ? head : Reached;
    }
}

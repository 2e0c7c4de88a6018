namespace Kcore.Gossip;

/// <summary>
/// The origin of what Raft has committed, on the nodes that apply the log. They all compute the same from it, each for
/// itself; everybody else takes it from them.
/// </summary>
internal sealed class ClusterOrigin(NodeId self, CatalogState catalog, Replica replica)
{
    public void Put(GossipInput.PutCluster put)
    {
        catalog.AppliesLog = true;
        OriginState origin = catalog.GetOrAdd(NodeId.Raft, put.ClusterEpoch);
        bool isWhole = put.FromIndex == 0;
        bool isOld = put.ClusterEpoch < origin.Epoch
            || (put.ClusterEpoch == origin.Epoch && (isWhole ? put.ToIndex < origin.Version : put.ToIndex <= origin.Version));
        if (isOld)
        {
            return;
        }

        List<CatalogEntry> entries = [];
        foreach (LocalWrite write in put.Writes)
        {
            OwnOrigin.ThrowIfOutOfBounds(write);
            ulong version = write.Version == 0 ? put.ToIndex : write.Version;
            EntryFlags flags = write.Tombstone ? EntryFlags.Tombstone : default;
            entries.Add(CatalogEntry.Create(NodeId.Raft, write.Key, version, write.Kind, flags, write.Value));
        }

        // What the log says is right, also about what this node kept of it. A whole content has no tombstones, so older
        // versions must not be let in any more: its floor is its version.
        if (isWhole && put.ClusterEpoch == origin.Epoch && put.ToIndex == origin.Version && IsContent(origin, entries))
        {
            return;
        }

        if (isWhole)
        {
            replica.Replace(origin, put.ClusterEpoch, put.ToIndex, put.ToIndex, Replica.LatestPerKey(entries));
        }
        else if (put.ClusterEpoch > origin.Epoch)
        {
            // Recovery cut the log at FromIndex: what older epochs said beyond it did not happen.
            replica.Replace(
                origin, put.ClusterEpoch, put.ToIndex, put.ToIndex, Replica.LatestPerKey([.. origin.Settled.Where(e => e.Version <= put.FromIndex), .. entries]));
        }
        else
        {
            replica.Apply(origin, put.FromIndex, put.ToIndex, Replica.LatestPerKey(entries), source: self);
        }
    }

    private static bool IsContent(OriginState origin, List<CatalogEntry> entries) =>
        origin.Content == entries.Aggregate(0UL, (sum, e) => unchecked(sum + (e.IsTombstone ? 0 : e.Hash)));
}

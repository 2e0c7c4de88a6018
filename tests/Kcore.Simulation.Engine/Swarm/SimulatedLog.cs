using System.Text;
using Kcore.Gossip;

namespace Kcore.Simulation.Engine.Swarm;

/// <summary>
/// What consensus has committed, and how far each node that applies it has mirrored it into the catalog. Consensus
/// itself is not simulated: the log is simply there.
/// </summary>
internal sealed class SimulatedLog(GossipCluster cluster, int appliers)
{
    private const uint Epoch = 1;
    private readonly List<LocalWrite> _entries = [];
    private readonly Dictionary<(int Node, int Life), ulong> _applied = [];

    /// <summary>Commits one write and lets the appliers that are up know.</summary>
    public void Commit(string key, byte[]? value)
    {
        ulong index = (ulong)_entries.Count + 1;
        var write = new LocalWrite(key, 9, value ?? [], value is null, index);
        _entries.Add(write);
        EntryFlags flags = write.Tombstone ? EntryFlags.Tombstone : EntryFlags.None;
        cluster.Truth.Commit(CatalogEntry.Create(NodeId.Raft, key, index, write.Kind, flags, write.Value), Epoch, index);
        foreach (SimulatedNode node in cluster.Nodes.Take(appliers))
        {
            Mirror(node);
        }
    }

    /// <summary>Brings one applier to the end of the log: by what is new in this life, else by the whole content.</summary>
    public void Mirror(SimulatedNode node)
    {
        ulong end = (ulong)_entries.Count;
        if (node.Core is null || node.Index >= appliers || end == 0)
        {
            return;
        }

        bool known = _applied.TryGetValue((node.Index, node.Life), out ulong from);
        _applied[(node.Index, node.Life)] = end;
        IEnumerable<LocalWrite> writes = known
            ? _entries.Skip((int)from)
            : _entries.GroupBy(e => e.Key, StringComparer.Ordinal).Select(g => g.Last()).Where(e => !e.Tombstone);
        if (!known || from < end)
        {
            cluster.Submit(node, new GossipInput.PutCluster(known ? from : 0, end, Epoch, [.. writes]));
        }
    }

    public static byte[] Value(ulong number) => Encoding.UTF8.GetBytes($"lease {number}");
}

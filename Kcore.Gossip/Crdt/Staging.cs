using Kcore.Gossip.Wire;

namespace Kcore.Gossip;

/// <summary>
/// Snapshots that are arriving, part after part. Nothing of one is visible before its last part (R3), and all together
/// take a bounded amount of memory.
/// </summary>
internal sealed class Staging(Turn turn)
{
    private const int Max = 64;

    /// <summary>A sender that has sent nothing for so long has given up.</summary>
    private static readonly TimeSpan IdleMax = TimeSpan.FromSeconds(30);

    /// <summary>Between two parts of a stream that works.</summary>
    private static readonly TimeSpan PartPause = TimeSpan.FromSeconds(2);
    private readonly SortedDictionary<NodeId, StagedSnapshot> _open = [];
    private long _bytes;

    /// <summary>Takes one part; the snapshot once its last part is there.</summary>
    public StagedSnapshot? Add(NodeId origin, NodeId from, OriginHead head, ulong part, bool last, List<CatalogEntry> entries)
    {
        if (part == 0)
        {
            Begin(origin, from, head);
        }

        if (!_open.TryGetValue(origin, out StagedSnapshot? staged) || !staged.TryAdd(from, head, part, entries, turn.Now))
        {
            return null;
        }

        _bytes += entries.Sum(e => (long)e.Raw.Length);
        if (_bytes > WireLimits.StagedBytes)
        {
            // Whoever is served last begins again when the others are done.
            Drop(origin);
            return null;
        }

        if (!last)
        {
            return null;
        }

        Drop(origin);
        return staged;
    }

    public void Drop(NodeId origin)
    {
        if (_open.Remove(origin, out StagedSnapshot? staged))
        {
            _bytes -= staged.Bytes;
        }
    }

    private void Begin(NodeId origin, NodeId from, OriginHead head)
    {
        // Of two that send the same origin the one under way is kept, unless the other has something newer.
        if (_open.TryGetValue(origin, out StagedSnapshot? held)
            && held.From != from && turn.Now - held.LastPart < PartPause
            && (held.Head.Epoch, held.Head.Version).CompareTo((head.Epoch, head.Version)) >= 0)
        {
            return;
        }

        Drop(origin);
        if (_open.Count >= Max)
        {
            foreach (NodeId idle in _open.Where(s => turn.Now - s.Value.LastPart >= IdleMax).Select(s => s.Key).ToList())
            {
                Drop(idle);
            }
        }

        if (_open.Count < Max)
        {
            _open[origin] = new StagedSnapshot(from, head, turn.Now);
        }
    }
}

/// <summary>One snapshot: its parts come in order and from one peer.</summary>
internal sealed class StagedSnapshot(NodeId from, OriginHead head, TimeSpan now)
{
    private ulong _next;

    public NodeId From { get; } = from;

    public OriginHead Head { get; } = head;

    public List<CatalogEntry> Entries { get; } = [];

    public long Bytes { get; private set; }

    public TimeSpan LastPart { get; private set; } = now;

    public bool TryAdd(NodeId sender, OriginHead partHead, ulong part, List<CatalogEntry> entries, TimeSpan at)
    {
        if (sender != From || partHead.Epoch != Head.Epoch || partHead.Version != Head.Version || part != _next
            || Entries.Count + entries.Count > WireLimits.EntriesPerOrigin)
        {
            return false;
        }

        _next++;
        LastPart = at;
        Entries.AddRange(entries);
        Bytes += entries.Sum(e => (long)e.Raw.Length);
        return true;
    }
}

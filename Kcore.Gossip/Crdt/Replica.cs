using Kcore.Gossip.Wire;

namespace Kcore.Gossip;

/// <summary>
/// Takes what is written anywhere into the catalog. A fact is stored when it arrives, whatever else is missing; the
/// watermark of its origin follows only when there is no gap (R2).
/// </summary>
internal sealed class Replica(Turn turn, CatalogState catalog, Disseminator rumors, PendingRows rows)
{
    /// <summary>So long the entries of an epoch stay visible after their owner has begun another (R3).</summary>
    private static readonly TimeSpan StaleMax = TimeSpan.FromSeconds(60);
    private readonly List<CatalogEntry> _changed = [];
    private readonly SortedSet<NodeId> _stale = [];

    /// <summary>Counts changes of what is visible.</summary>
    public long Revision { get; private set; }

    public TimeSpan NextEvent
    {
        get
        {
            TimeSpan next = TimeSpan.MaxValue;
            if (_stale.Count == 0)
            {
                return next;
            }

            foreach (NodeId id in _stale)
            {
                next = Turn.Sooner(next, HideAt(id));
            }

            return next;
        }
    }

    /// <summary>Hides what has been stale for too long. It is still held, and shown again if nothing newer comes to light.</summary>
    public void Run()
    {
        if (_stale.Count == 0 || NextEvent > turn.Now)
        {
            return;
        }

        foreach (NodeId id in _stale.Where(id => HideAt(id) <= turn.Now).ToList())
        {
            _stale.Remove(id);
            if (catalog.Find(id) is { IsStale: true } origin)
            {
                Hide(origin);
            }
        }
    }

    /// <summary>Ends the visibility of what is held of an epoch that is over, also when a peer has waited for the next long enough.</summary>
    public void Hide(OriginState origin)
    {
        _stale.Remove(origin.Origin);
        origin.StaleSince ??= turn.Now;
        origin.IsHidden = true;
        Recount(origin);
        Resync(origin.Origin);
    }

    /// <summary>A peer knows a later epoch of the origin than we hold anything of.</summary>
    public void MarkStale(OriginState origin, ulong epoch)
    {
        origin.HeardEpoch = Math.Max(origin.HeardEpoch, epoch);
        if (!origin.IsStale)
        {
            origin.StaleSince = turn.Now;
            _stale.Add(origin.Origin);
        }

        Recount(origin);
    }

    /// <summary>
    /// Takes a range of versions. When it joins what is held the watermark follows; otherwise its entries float, visible
    /// at once, until the gap is filled.
    /// </summary>
    public void Apply(OriginState origin, ulong from, ulong to, List<CatalogEntry> entries, NodeId source)
    {
        if (from <= origin.Version && to > origin.Version)
        {
            foreach (CatalogEntry settled in origin.Advance(to))
            {
                rows.Keep(settled);
            }

            origin.MarkComplete();
            Touch(origin);
        }

        foreach (CatalogEntry entry in entries)
        {
            CatalogEntry? held = origin.Held(entry.Key);
            // A tombstone the owner has disposed of must not let an older entry of its key rise again.
            if (held is null && (origin.Count >= WireLimits.EntriesPerOrigin || entry.Version <= origin.GcFloor))
            {
                continue;
            }

            if (origin.Take(entry))
            {
                Note(origin, entry);
                rumors.TellEntry(origin, entry.Key, source);
            }
            else if (origin.IsSettled(entry))
            {
                // A newer fact floats above it.
                rows.Keep(entry);
                Touch(origin);
            }
        }
    }

    /// <summary>Takes what floats at a peer: here it floats too, whatever the watermark.</summary>
    /// <param name="mayDisplace">
    /// Nobody is there who could fill the gap. Else what has no room waits for that, and nothing is withdrawn meanwhile.
    /// </param>
    public void ApplyFloating(OriginState origin, List<CatalogEntry> entries, NodeId source, bool mayDisplace)
    {
        bool displaced = false;
        foreach (CatalogEntry entry in entries)
        {
            if (origin.Count >= WireLimits.EntriesPerOrigin && origin.Held(entry.Key) is null)
            {
                continue;
            }

            if (origin.TakeFloating(entry, mayDisplace, out CatalogEntry? gone))
            {
                displaced |= gone is not null;
                Note(origin, entry);
                rumors.TellEntry(origin, entry.Key, source);
            }
        }

        if (displaced)
        {
            _changed.RemoveAll(e => e.Origin == origin.Origin);
            Resync(origin.Origin);
        }
    }

    /// <summary>Gives up what is held for a later epoch of which a peer has only what floats.</summary>
    public void StartOver(OriginState origin, ulong epoch)
    {
        foreach (CatalogEntry gone in origin.Settled)
        {
            rows.Drop(origin.Origin, gone.Key);
        }

        _changed.RemoveAll(e => e.Origin == origin.Origin);
        _stale.Remove(origin.Origin);
        origin.StartOver(epoch);
        Touch(origin);
        Resync(origin.Origin);
    }

    /// <summary>The owner has disposed of tombstones.</summary>
    public void RaiseFloor(OriginState origin, ulong floor)
    {
        ulong before = origin.GcFloor;
        foreach (CatalogEntry gone in origin.RaiseFloor(floor))
        {
            rows.Drop(origin.Origin, gone.Key);
        }

        if (origin.GcFloor != before)
        {
            rows.Head(origin.Origin);
        }
    }

    /// <summary>Replaces everything held of an origin by something complete.</summary>
    public void Replace(OriginState origin, ulong epoch, ulong version, ulong floor, List<CatalogEntry> entries)
    {
        HashSet<string> kept = [.. entries.Select(e => e.Key)];
        foreach (CatalogEntry gone in origin.Settled.Where(e => !kept.Contains(e.Key)))
        {
            rows.Drop(origin.Origin, gone.Key);
        }

        _changed.RemoveAll(e => e.Origin == origin.Origin);
        _stale.Remove(origin.Origin);
        origin.Replace(epoch, version, floor, entries);
        foreach (CatalogEntry entry in origin.Settled)
        {
            rows.Keep(entry);
        }

        Touch(origin);
        Resync(origin.Origin);
    }

    public void Remove(NodeId id)
    {
        if (!catalog.Remove(id))
        {
            return;
        }

        rows.DropOrigin(id);
        _changed.RemoveAll(e => e.Origin == id);
        _stale.Remove(id);
        turn.NoteChange();
        Resync(id);
    }

    /// <summary>
    /// Records one new entry, visible from now on. What floats is not stored: there is one row for a key, and the stored
    /// watermark would claim the settled fact that it took the place of.
    /// </summary>
    public void Note(OriginState origin, CatalogEntry entry)
    {
        if (entry.Version <= origin.Version)
        {
            rows.Keep(entry);
        }

        Touch(origin);
        if (!origin.IsHidden)
        {
            _changed.Add(entry);
        }
    }

    /// <summary>Hands rows and visible changes of this input to the shell, rows first.</summary>
    public void Flush(bool durable = false)
    {
        rows.Flush(durable);
        if (_changed.Count > 0)
        {
            Revision++;
            turn.Emit(new GossipEffect.CatalogChanged([.. _changed]));
            _changed.Clear();
        }
    }

    /// <summary>Of several entries for one key the newest.</summary>
    public static List<CatalogEntry> LatestPerKey(IEnumerable<CatalogEntry> entries) =>
        [.. entries.GroupBy(e => e.Key, StringComparer.Ordinal).Select(g => g.MaxBy(e => e.Version)!)];

    private TimeSpan HideAt(NodeId id) => (catalog.Find(id)?.StaleSince ?? turn.Now) + StaleMax;

    private void Touch(OriginState origin)
    {
        rows.Head(origin.Origin);
        Recount(origin);
    }

    private void Recount(OriginState origin)
    {
        catalog.Recount(origin);
        turn.NoteChange();
    }

    private void Resync(NodeId origin)
    {
        Revision++;
        turn.Emit(new GossipEffect.CatalogResync(origin));
    }
}

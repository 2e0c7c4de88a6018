using System.Diagnostics;

namespace Kcore.Gossip;

/// <summary>
/// What is held of one origin: for each key the entry with the largest version. Entries up to the watermark are
/// settled; a few ahead of a gap float above them: visible and part of the digest, but counted in no watermark until the
/// gap is filled.
/// </summary>
public sealed class OriginState
{
    private readonly SortedDictionary<string, CatalogEntry> _settled = new(StringComparer.Ordinal);
    private readonly SortedSet<(ulong Version, string Key)> _versions = new(VersionOrder.Instance);
    private readonly FloatingEntries _floating = new();

    internal OriginState(NodeId origin, ulong epoch) => (Origin, Epoch) = (origin, epoch);

    public NodeId Origin { get; }

    public ulong Epoch { get; private set; }

    /// <summary>The watermark: every write up to here is held.</summary>
    public ulong Version { get; private set; }

    public ulong GcFloor { get; private set; }

    /// <summary>False until the sequence is held from its beginning or from a snapshot.</summary>
    public bool Complete { get; private set; }

    /// <summary>The owner has started a new epoch of which the snapshot has not arrived; the entries are of the old one.</summary>
    public bool IsStale => StaleSince is not null;

    /// <summary>It has been stale for too long: nothing of the old epoch is visible any more, though it is still held (R3).</summary>
    public bool IsHidden { get; internal set; }

    public OriginHead Head => new(Origin, Epoch, Version, GcFloor, Complete);

    /// <summary>Everything visible in key order, tombstones included.</summary>
    public IEnumerable<CatalogEntry> Entries => IsHidden ? [] : AllHeld;

    /// <summary>Everything held, visible or not.</summary>
    internal IEnumerable<CatalogEntry> AllHeld
    {
        get
        {
            foreach (CatalogEntry entry in _settled.Values)
            {
                if (_floating.Find(entry.Key) is null)
                {
                    yield return entry;
                }
            }

            foreach (CatalogEntry entry in _floating.All)
            {
                yield return entry;
            }
        }
    }

    /// <summary>Sum of the hashes of the settled entries that are no tombstones.</summary>
    internal ulong Content { get; private set; }

    /// <summary>Entries up to the watermark, in key order.</summary>
    internal IEnumerable<CatalogEntry> Settled => _settled.Values;

    internal int Count => _settled.Count + _floating.Count;

    /// <summary>Whether anything is held of it. An origin that has written nothing is no different from one never heard of.</summary>
    internal bool IsKnown => Version > 0 || _floating.Count > 0;

    /// <summary>One number over everything that decides what is shown of this origin: equal numbers, equal facts.</summary>
    internal ulong HeadHash => IsKnown ? Digest.OfHead(Origin, Epoch, Version, Content, Surface) : 0;

    /// <summary>What the sums of the catalog count for this origin.</summary>
    internal ulong CountedHash { get; set; }

    internal TimeSpan? StaleSince { get; set; }

    /// <summary>
    /// The latest epoch that anybody has mentioned. Where nobody holds it (its writer is gone or gave up the id) the owner is
    /// told, which alone can overtake it.
    /// </summary>
    internal ulong HeardEpoch { get; set; }

    /// <summary>The epoch that was heard of beyond the one that is held; 0 when there is none.</summary>
    internal ulong LaterEpoch => HeardEpoch > Epoch ? HeardEpoch : 0;

    /// <summary>Entries above the watermark.</summary>
    internal IReadOnlyCollection<CatalogEntry> Floating => _floating.All;

    /// <summary>What is to be seen of this origin beside its settled content.</summary>
    internal Surface Surface => new(_floating.Sum, LaterEpoch, IsHidden);

    /// <summary>How fast it may write before its facts are no longer passed on one by one; null until it writes.</summary>
    internal Allowance? Rate { get; set; }

    /// <summary>The visible entry of a key.</summary>
    public CatalogEntry? Find(string key) => IsHidden ? null : Held(key);

    /// <summary>The entry of a key, visible or not.</summary>
    internal CatalogEntry? Held(string key) =>
        _floating.Find(key) ?? _settled.GetValueOrDefault(key);

    /// <summary>Settled entries above a version, in version order.</summary>
    internal IEnumerable<CatalogEntry> After(ulong version)
    {
        if (version >= Version)
        {
            yield break;
        }

        foreach ((_, string key) in _versions.GetViewBetween((version + 1, ""), (ulong.MaxValue, "")))
        {
            yield return _settled[key];
        }
    }

    /// <summary>Every entry written at one version; several only in the Raft origin.</summary>
    internal IReadOnlyList<CatalogEntry> At(ulong version) =>
        version > Version
            ? [.. _floating.All.Where(e => e.Version == version)]
            : [.. _versions.GetViewBetween((version, ""), (version + 1, "")).Select(v => _settled[v.Key])];

    /// <summary>
    /// The largest version below the given one that still stands. Everything between has been overwritten, so a delta
    /// may truthfully start there.
    /// </summary>
    internal ulong Predecessor(ulong version)
    {
        if (version <= 1)
        {
            return 0;
        }

        return Math.Max(GcFloor, _versions.GetViewBetween((0, ""), (version, "")).Max.Version);
    }

    /// <summary>Takes one entry unless a newer one of its key is held. True when what is visible changed.</summary>
    internal bool Take(CatalogEntry entry)
    {
        CatalogEntry? visible = Held(entry.Key);
        if (entry.Version > Version)
        {
            if (visible is not null && visible.Version >= entry.Version)
            {
                return false;
            }

            if (_floating.HasNoRoomFor(entry.Key))
            {
                return false;
            }

            _floating.Set(entry);
            return true;
        }

        return Settle(entry) && ReferenceEquals(Held(entry.Key), entry);
    }

    /// <summary>
    /// Takes one entry that floats at a peer. Where there is no room and the earliest may go it is returned: then all who
    /// compare keep the same ones, in whatever order they met.
    /// </summary>
    internal bool TakeFloating(CatalogEntry entry, bool mayDisplace, out CatalogEntry? displaced)
    {
        displaced = null;
        if (entry.Version <= Version || Held(entry.Key)?.Version >= entry.Version)
        {
            return false;
        }

        if (_floating.HasNoRoomFor(entry.Key))
        {
            CatalogEntry earliest = _floating.Earliest();
            if (!mayDisplace || FloatingEntries.Order(entry, earliest) < 0)
            {
                return false;
            }

            _floating.Remove(earliest.Key);
            displaced = earliest;
        }

        _floating.Set(entry);
        return true;
    }

    /// <summary>Raises the watermark and settles what floated below it, which is returned.</summary>
    internal IReadOnlyList<CatalogEntry> Advance(ulong version)
    {
        if (version <= Version)
        {
            return [];
        }

        Version = version;
        if (_floating.Count == 0)
        {
            return [];
        }

        List<CatalogEntry> settled = [];
        foreach (CatalogEntry entry in _floating.All.Where(e => e.Version <= version).ToList())
        {
            _floating.Remove(entry.Key);
            if (Settle(entry))
            {
                settled.Add(entry);
            }
        }

        return settled;
    }

    /// <summary>Whether this very entry is the settled one of its key.</summary>
    internal bool IsSettled(CatalogEntry entry) => _settled.TryGetValue(entry.Key, out CatalogEntry? held) && ReferenceEquals(held, entry);

    /// <summary>Drops tombstones up to the owner's floor.</summary>
    internal IReadOnlyList<CatalogEntry> RaiseFloor(ulong floor)
    {
        floor = Math.Min(floor, Version);
        if (floor <= GcFloor)
        {
            return [];
        }

        GcFloor = floor;
        List<CatalogEntry> gone =
            [.. _versions.GetViewBetween((0, ""), (floor + 1, "")).Select(v => _settled[v.Key]).Where(e => e.IsTombstone)];
        foreach (CatalogEntry entry in gone)
        {
            Unsettle(entry);
        }

        return gone;
    }

    internal bool HasTombstoneUpTo(ulong version) =>
        version > GcFloor && _versions.GetViewBetween((0, ""), (version + 1, "")).Any(v => _settled[v.Key].IsTombstone);

    internal void MarkComplete() => Complete = true;

    /// <summary>Waits for another epoch, while nothing is held.</summary>
    internal void Restart(ulong epoch)
    {
        Debug.Assert(Count == 0 && Version == 0, "there is something to lose");
        Epoch = epoch;
    }

    /// <summary>Replaces everything by a complete snapshot of the same or a later epoch.</summary>
    internal void Replace(ulong epoch, ulong version, ulong gcFloor, IEnumerable<CatalogEntry> entries)
    {
        Debug.Assert(epoch >= Epoch, "an epoch never goes back");
        List<CatalogEntry> ahead = epoch == Epoch ? [.. _floating.All.Where(e => e.Version > version)] : [];
        Clear();
        Epoch = epoch;
        Version = version;
        GcFloor = gcFloor;
        foreach (CatalogEntry entry in entries)
        {
            Settle(entry);
        }

        foreach (CatalogEntry entry in ahead)
        {
            Take(entry);
        }

        StaleSince = null;
        IsHidden = false;
        Complete = true;
    }

    /// <summary>Gives up everything for a later epoch of which nothing settled is known anywhere.</summary>
    internal void StartOver(ulong epoch)
    {
        Debug.Assert(epoch > Epoch, "an epoch never goes back");
        Clear();
        Epoch = epoch;
        Version = 0;
        GcFloor = 0;
        StaleSince = null;
        IsHidden = false;
        Complete = false;
    }

    internal void Restore(OriginHead head)
    {
        Epoch = head.Epoch;
        Version = head.Version;
        GcFloor = head.GcFloor;
        Complete = head.Complete;
    }

    private void Clear()
    {
        _settled.Clear();
        _versions.Clear();
        _floating.Clear();
        Content = 0;
    }

    private bool Settle(CatalogEntry entry)
    {
        if (_settled.TryGetValue(entry.Key, out CatalogEntry? held))
        {
            if (held.Version >= entry.Version)
            {
                return false;
            }

            Unsettle(held);
        }

        _settled[entry.Key] = entry;
        _versions.Add((entry.Version, entry.Key));
        Content = unchecked(Content + (entry.IsTombstone ? 0 : entry.Hash));
        return true;
    }

    private void Unsettle(CatalogEntry entry)
    {
        _settled.Remove(entry.Key);
        _versions.Remove((entry.Version, entry.Key));
        Content = unchecked(Content - (entry.IsTombstone ? 0 : entry.Hash));
    }

    private sealed class VersionOrder : IComparer<(ulong Version, string Key)>
    {
        public static readonly VersionOrder Instance = new();

        public int Compare((ulong Version, string Key) x, (ulong Version, string Key) y)
        {
            int order = x.Version.CompareTo(y.Version);
            return order != 0 ? order : string.CompareOrdinal(x.Key, y.Key);
        }
    }
}

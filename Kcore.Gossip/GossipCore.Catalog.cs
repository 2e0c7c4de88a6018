using System.Collections.Immutable;
using System.Text;
using Kcore.Gossip.Wire;

namespace Kcore.Gossip;

// The catalog: own writes, what others wrote, snapshots and the disposal of tombstones.
public sealed partial class GossipCore
{
    private const int MaxStaged = 64;

    /// <summary>An epoch counter further ahead than this is not a history we have lost.</summary>
    private const ulong MaxEpochJump = 1_000_000;

    private static readonly TimeSpan GcPeriod = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan EpochJumpPause = TimeSpan.FromSeconds(10);
    private readonly OriginState _own;
    private readonly Dictionary<NodeId, ulong> _acknowledged = [];
    private readonly Dictionary<NodeId, StagedSnapshot> _staged = [];
    private readonly HashSet<NodeId> _healing = [];
    private readonly TombstoneClock _ownTombstones = new();
    private readonly TombstoneClock _clusterTombstones = new();
    private readonly List<CatalogEntry> _changed = [];
    private readonly Dictionary<EntryKey, CatalogEntry> _unsaved = [];
    private readonly SortedSet<NodeId> _unsavedHeads = [];
    private readonly List<EntryKey> _removed = [];
    private readonly List<NodeId> _removedOrigins = [];
    private bool _appliesLog;
    private ulong? _catalogRoot;
    private TimeSpan _lastChange;
    private TimeSpan? _lastEpochJump;
    private TimeSpan _gcDue;

    private ulong CatalogRoot => _catalogRoot ??= Catalog.Origins.Aggregate(0UL, (sum, o) => unchecked(sum + HeadHash(o)));

    /// <summary>An origin that has written nothing is no different from one never heard of.</summary>
    private static ulong HeadHash(OriginState origin) => origin.Version == 0 ? 0 : origin.HeadHash;

    private void OnPut(ImmutableArray<LocalWrite> writes)
    {
        foreach (LocalWrite write in writes)
        {
            ThrowIfOutOfBounds(write);
            CatalogEntry? held = _own.Find(write.Key);
            if (IsSame(held, write) || (held is null && _own.Count >= WireLimits.EntriesPerOrigin))
            {
                continue;
            }

            ulong version = _own.Version + 1;
            EntryFlags flags = write.Tombstone ? EntryFlags.Tombstone : default;
            CatalogEntry entry = CatalogEntry.Create(_self.Id, write.Key, version, write.Kind, flags, write.Value);
            _own.Advance(version);
            _own.Take(entry);
            _own.MarkComplete();
            Note(entry);
            _rumors.Add(new RumorKey(_self.Id, write.Key), RumorClass.Own, null);
            _pushDue = _now;
        }

        FlushCatalogEffects(durable: true);
    }

    private static bool IsSame(CatalogEntry? held, LocalWrite write) => held is null
        ? write.Tombstone
        : held.IsTombstone == write.Tombstone && held.Kind == write.Kind && held.Value.Span.SequenceEqual(write.Value.Span);

    private static void ThrowIfOutOfBounds(LocalWrite write)
    {
        ArgumentException.ThrowIfNullOrEmpty(write.Key);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(Encoding.UTF8.GetByteCount(write.Key), WireLimits.KeyBytes, nameof(write));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(write.Value.Length, WireLimits.ValueBytes, nameof(write));
    }

    private void OnPutCluster(GossipInput.PutCluster put)
    {
        _appliesLog = true;
        OriginState origin = Catalog.GetOrAdd(NodeId.Raft, put.ClusterEpoch);
        if (put.ClusterEpoch < origin.Epoch || (put.ClusterEpoch == origin.Epoch && put.ToIndex <= origin.Version))
        {
            return;
        }

        List<CatalogEntry> entries = [];
        foreach (LocalWrite write in put.Writes)
        {
            ThrowIfOutOfBounds(write);
            ulong version = write.Version == 0 ? put.ToIndex : write.Version;
            EntryFlags flags = write.Tombstone ? EntryFlags.Tombstone : default;
            entries.Add(CatalogEntry.Create(NodeId.Raft, write.Key, version, write.Kind, flags, write.Value));
        }

        if (put.FromIndex == 0)
        {
            ReplaceOrigin(origin, put.ClusterEpoch, put.ToIndex, origin.GcFloor, LatestPerKey(entries));
        }
        else if (put.ClusterEpoch > origin.Epoch)
        {
            // Recovery cut the log at FromIndex: what older epochs said beyond it did not happen.
            ReplaceOrigin(origin, put.ClusterEpoch, put.ToIndex, origin.GcFloor, LatestPerKey([.. origin.Settled.Where(e => e.Version <= put.FromIndex), .. entries]));
        }
        else
        {
            Apply(origin, put.FromIndex, put.ToIndex, LatestPerKey(entries), _self.Id);
        }
    }

    private static List<CatalogEntry> LatestPerKey(IEnumerable<CatalogEntry> entries) =>
        [.. entries.GroupBy(e => e.Key, StringComparer.Ordinal).Select(g => g.MaxBy(e => e.Version)!)];

    private void OnDelta(ref MessagePackReader reader, Exchange exchange)
    {
        int extra = reader.BeginArray(6);
        NodeId id = reader.ReadId();
        ulong epoch = reader.ReadUInt64(WireLimits.MaxVersion);
        ulong floor = reader.ReadUInt64(WireLimits.MaxVersion);
        ulong from = reader.ReadUInt64(WireLimits.MaxVersion);
        ulong to = reader.ReadUInt64(WireLimits.MaxVersion);
        List<CatalogEntry> entries = ReadEntries(ref reader, id);
        reader.EndArray(extra);
        if (from >= to || entries.Any(e => e.Version <= from || e.Version > to))
        {
            throw new WireFormatException("a delta whose entries are outside its range");
        }

        if (id == _self.Id)
        {
            CheckOwn(epoch, to);
            return;
        }

        if (OriginToFill(id, epoch) is not { } origin || epoch < origin.Epoch)
        {
            return;
        }

        if (epoch > origin.Epoch)
        {
            origin.Stale = true;
            Want(exchange, origin);
            return;
        }

        if (to > origin.Version + WireLimits.VersionJump)
        {
            throw new WireFormatException("a version too far ahead");
        }

        Apply(origin, from, to, entries, exchange.From);
        if (from > origin.Version)
        {
            Want(exchange, origin);
        }

        foreach (CatalogEntry gone in origin.RaiseFloor(floor))
        {
            _removed.Add(new EntryKey(id, gone.Key));
            _unsaved.Remove(new EntryKey(id, gone.Key));
            _unsavedHeads.Add(id);
        }
    }

    /// <summary>
    /// Takes a range of versions. When it joins what is held the watermark follows; otherwise its entries float, visible
    /// at once, until the gap is filled.
    /// </summary>
    private void Apply(OriginState origin, ulong from, ulong to, List<CatalogEntry> entries, NodeId source)
    {
        if (from <= origin.Version && to > origin.Version)
        {
            origin.Advance(to);
            origin.MarkComplete();
            Touch(origin.Origin);
        }

        foreach (CatalogEntry entry in entries)
        {
            bool isNew = origin.Count < WireLimits.EntriesPerOrigin || origin.Find(entry.Key) is not null;
            // A tombstone the owner has disposed of must not let an older entry of its key rise again.
            if (!isNew || (entry.Version <= origin.GcFloor && origin.Find(entry.Key) is null) || !origin.Take(entry))
            {
                continue;
            }

            Note(entry);
            if (entry.Raw.Length < WireLimits.PayloadBytes || entry.Version <= origin.Version)
            {
                _rumors.Add(new RumorKey(origin.Origin, entry.Key), RumorClass.Relayed, source);
                _pushDue = Sooner(_pushDue, _now + _options.Coalesce);
            }
        }
    }

    private static List<CatalogEntry> ReadEntries(ref MessagePackReader reader, NodeId origin)
    {
        int count = reader.ReadArrayHeader(WireLimits.EntriesPerOrigin);
        List<CatalogEntry> entries = [];
        for (int i = 0; i < count; i++)
        {
            entries.Add(CatalogEntry.Parse(origin, reader.ReadRaw().ToArray()));
        }

        return entries;
    }

    /// <summary>The state a peer's news of an origin goes into; null when the origin was removed or there are too many.</summary>
    private OriginState? OriginToFill(NodeId id, ulong epoch)
    {
        if (IsForgotten(id))
        {
            return null;
        }

        OriginState? origin = Catalog.Find(id);
        if (origin is null)
        {
            return Catalog.Origins.Count < WireLimits.Origins ? Catalog.GetOrAdd(id, epoch) : null;
        }

        if (epoch > origin.Epoch && origin.Count == 0 && origin.Version == 0)
        {
            origin.Replace(epoch, 0, 0, []);
        }

        return origin;
    }

    private bool IsForgotten(NodeId id) => _forgotten.ContainsKey(id) && _members.Find(id) is null;

    private void OnSnapshot(ref MessagePackReader reader, Exchange exchange)
    {
        int extra = reader.BeginArray(7);
        NodeId id = reader.ReadId();
        ulong epoch = reader.ReadUInt64(WireLimits.MaxVersion);
        ulong version = reader.ReadUInt64(WireLimits.MaxVersion);
        ulong floor = reader.ReadUInt64(WireLimits.MaxVersion);
        ulong part = reader.ReadUInt64();
        bool last = reader.ReadBoolean();
        List<CatalogEntry> entries = ReadEntries(ref reader, id);
        reader.EndArray(extra);
        if (floor > version || entries.Any(e => e.Version > version))
        {
            throw new WireFormatException("a snapshot with entries beyond its version");
        }

        if (id == _self.Id)
        {
            CheckOwn(epoch, version);
            return;
        }

        if (part == 0)
        {
            _staged.Remove(id);
            if (_staged.Count < MaxStaged)
            {
                _staged[id] = new StagedSnapshot(exchange.From, epoch, version, floor);
            }
        }

        if (!_staged.TryGetValue(id, out StagedSnapshot? staged) || !staged.TryAdd(exchange.From, epoch, version, part, entries))
        {
            return;
        }

        if (last)
        {
            _staged.Remove(id);
            AdoptSnapshot(id, staged);
        }
    }

    private void AdoptSnapshot(NodeId id, StagedSnapshot staged)
    {
        if (OriginToFill(id, staged.Epoch) is not { } origin)
        {
            return;
        }

        bool heals = _healing.Remove(id) && staged.Epoch == origin.Epoch && staged.Version == origin.Version;
        if (staged.Epoch > origin.Epoch || (staged.Epoch == origin.Epoch && staged.Version > origin.Version) || heals)
        {
            ReplaceOrigin(origin, staged.Epoch, staged.Version, staged.Floor, LatestPerKey(staged.Entries));
        }
    }

    private void ReplaceOrigin(OriginState origin, ulong epoch, ulong version, ulong floor, List<CatalogEntry> entries)
    {
        HashSet<string> kept = [.. entries.Select(e => e.Key)];
        _removed.AddRange(origin.Entries.Where(e => !kept.Contains(e.Key)).Select(e => new EntryKey(origin.Origin, e.Key)));
        _changed.RemoveAll(e => e.Origin == origin.Origin);
        foreach (EntryKey key in _unsaved.Keys.Where(k => k.Origin == origin.Origin).ToList())
        {
            _unsaved.Remove(key);
        }

        origin.Replace(epoch, version, floor, entries);
        foreach (CatalogEntry entry in origin.Entries)
        {
            _unsaved[new EntryKey(origin.Origin, entry.Key)] = entry;
            _removed.Remove(new EntryKey(origin.Origin, entry.Key));
        }

        Touch(origin.Origin);
        _effects.Add(new GossipEffect.CatalogResync(origin.Origin));
    }

    /// <summary>
    /// A peer holds more of our own origin than we ever wrote: our store is lost or old. Versions peers have seen must
    /// not be given to other facts, so the sequence starts over under a later epoch (R1).
    /// </summary>
    private void CheckOwn(ulong epoch, ulong version)
    {
        if (epoch > _own.Epoch || (epoch == _own.Epoch && version > _own.Version))
        {
            StartNewEpoch(epoch);
        }
    }

    private void StartNewEpoch(ulong seen)
    {
        ulong counter = Math.Max(seen, _own.Epoch) >> 32;
        if (_now - _lastEpochJump < EpochJumpPause || counter > (_own.Epoch >> 32) + MaxEpochJump)
        {
            return;
        }

        _lastEpochJump = _now;
        ulong version = 0;
        List<CatalogEntry> entries =
        [
            .. _own.Entries.Where(e => !e.IsTombstone).OrderBy(e => e.Version)
                .Select(e => CatalogEntry.Create(_self.Id, e.Key, ++version, e.Kind, e.Flags, e.Value)),
        ];
        _acknowledged.Clear();
        _ownTombstones.Reset();
        ReplaceOrigin(_own, ((counter + 1) << 32) | (uint)_random.Next(), version, 0, entries);
        FlushCatalogEffects(durable: true);
        if (entries.Count > 0)
        {
            // One fact of the new epoch makes every peer ask for the rest.
            _rumors.Add(new RumorKey(_self.Id, entries[^1].Key), RumorClass.Own, null);
            _pushDue = _now;
        }
    }

    private void RemoveOrigin(NodeId id)
    {
        if (!Catalog.Remove(id))
        {
            return;
        }

        _removedOrigins.Add(id);
        foreach (EntryKey key in _unsaved.Keys.Where(k => k.Origin == id).ToList())
        {
            _unsaved.Remove(key);
        }

        _changed.RemoveAll(e => e.Origin == id);
        _catalogRoot = null;
        _lastChange = _now;
        _effects.Add(new GossipEffect.CatalogResync(id));
    }

    private void StartTombstoneClock()
    {
        _ownTombstones.Mark(_now, _own.Version);
        _clusterTombstones.Mark(_now, Catalog.Find(NodeId.Raft)?.Version ?? 0);
    }

    /// <summary>
    /// Only the owner disposes of tombstones (R4), when every active member has acknowledged them, or after a day:
    /// whoever is further behind gets a snapshot. For the Raft origin the nodes that apply the log are the owner.
    /// </summary>
    private void RunGarbageCollection()
    {
        if (_now < _gcDue)
        {
            return;
        }

        _gcDue = _now + GcPeriod;
        ulong stable = _own.Version;
        foreach (NodeId other in _members.Others)
        {
            stable = Math.Min(stable, AcknowledgedBy(other));
        }

        Dispose(_own, _ownTombstones, stable);
        if (_appliesLog && Catalog.Find(NodeId.Raft) is { } cluster)
        {
            Dispose(cluster, _clusterTombstones, 0);
        }
    }

    private void Dispose(OriginState origin, TombstoneClock clock, ulong stable)
    {
        clock.Mark(_now, origin.Version);
        ulong floor = clock.Floor(_now, _options.TombstoneMin, _options.TombstoneMax, stable);
        if (!origin.HasTombstoneUpTo(floor))
        {
            return;
        }

        foreach (CatalogEntry gone in origin.RaiseFloor(floor))
        {
            _removed.Add(new EntryKey(origin.Origin, gone.Key));
        }

        _unsavedHeads.Add(origin.Origin);
    }

    private void Note(CatalogEntry entry)
    {
        _changed.Add(entry);
        _unsaved[new EntryKey(entry.Origin, entry.Key)] = entry;
        Touch(entry.Origin);
    }

    private void Touch(NodeId origin)
    {
        _unsavedHeads.Add(origin);
        _catalogRoot = null;
        _lastChange = _now;
    }

    private void FlushCatalogEffects(bool durable = false)
    {
        if (_unsavedHeads.Count > 0 || _removed.Count > 0 || _removedOrigins.Count > 0)
        {
            _effects.Add(new GossipEffect.Persist(
                durable,
                [.. _unsavedHeads.Select(Catalog.Find).OfType<OriginState>().Select(o => o.Head)],
                [.. _unsaved.Values],
                [.. _removed],
                [.. _removedOrigins]));
            _unsavedHeads.Clear();
            _unsaved.Clear();
            _removed.Clear();
            _removedOrigins.Clear();
        }

        if (_changed.Count > 0)
        {
            _effects.Add(new GossipEffect.CatalogChanged([.. _changed]));
            _changed.Clear();
        }
    }

    /// <summary>The parts of a snapshot, in order and from one peer; nothing is visible before the last (R3).</summary>
    private sealed class StagedSnapshot(NodeId from, ulong epoch, ulong version, ulong floor)
    {
        private ulong _next;

        public ulong Epoch { get; } = epoch;

        public ulong Version { get; } = version;

        public ulong Floor { get; } = floor;

        public List<CatalogEntry> Entries { get; } = [];

        public bool TryAdd(NodeId sender, ulong partEpoch, ulong partVersion, ulong part, List<CatalogEntry> entries)
        {
            if (sender != from || partEpoch != Epoch || partVersion != Version || part != _next
                || Entries.Count + entries.Count > WireLimits.EntriesPerOrigin)
            {
                return false;
            }

            _next++;
            Entries.AddRange(entries);
            return true;
        }
    }
}

using System.Collections.Immutable;
using System.Text;
using Kcore.Gossip.Wire;

namespace Kcore.Gossip;

/// <summary>
/// What this node writes. Only it gives out versions, and never one twice for two facts: when peers hold more of it than
/// it remembers, it starts over under a later epoch (R1).
/// </summary>
internal sealed class OwnOrigin
{
    /// <summary>An epoch counter further ahead than this is not a history we have lost.</summary>
    private const ulong MaxEpochJump = 1_000_000;

    /// <summary>New epochs one after the other, when peers remember several; then one in ten seconds.</summary>
    private const double JumpBurst = 4;
    private readonly Turn _turn;
    private readonly MemberTable _members;
    private readonly Replica _replica;
    private readonly Disseminator _rumors;
    private readonly TombstoneDisposal _tombstones;
    private readonly Allowance _jumps;

    public OwnOrigin(Turn turn, MemberTable members, CatalogState catalog, Replica replica, Disseminator rumors, TombstoneDisposal tombstones)
    {
        _turn = turn;
        _members = members;
        _replica = replica;
        _rumors = rumors;
        _tombstones = tombstones;
        _jumps = new Allowance(0.1, JumpBurst, turn.Now);
        // A lost store must not continue a sequence peers have seen, so the first epoch is drawn, not counted.
        State = catalog.GetOrAdd(members.Self.Id, (1UL << 32) | (uint)turn.Random.Next());
    }

    public OriginState State { get; }

    /// <summary>Another node writes under this id and is the one to be heard: nothing that it says is overtaken.</summary>
    public bool IsFrozen { get; set; }

    public void Put(ImmutableArray<LocalWrite> writes)
    {
        foreach (LocalWrite write in writes)
        {
            ThrowIfOutOfBounds(write);
            CatalogEntry? held = State.Held(write.Key);
            if (IsSame(held, write) || (held is null && State.Count >= WireLimits.EntriesPerOrigin))
            {
                continue;
            }

            ulong version = State.Version + 1;
            EntryFlags flags = write.Tombstone ? EntryFlags.Tombstone : default;
            CatalogEntry entry = CatalogEntry.Create(State.Origin, write.Key, version, write.Kind, flags, write.Value);
            State.Advance(version);
            State.Take(entry);
            State.MarkComplete();
            _replica.Note(State, entry);
            _rumors.TellEntry(State, write.Key, source: null);
        }

        _replica.Flush(durable: true);
    }

    /// <summary>A peer says how much of this node's origin it holds.</summary>
    public void Acknowledge(NodeId peer, ulong epoch, ulong version)
    {
        if (epoch == State.Epoch && _members.Slot(peer) is { } slot)
        {
            slot.Acknowledged = Math.Min(version, State.Version);
        }

        Check(epoch, version);
    }

    /// <summary>
    /// A peer holds more of our own origin than we ever wrote: our store is lost or old. Versions peers have seen must
    /// not be given to other facts, so the sequence starts over.
    /// </summary>
    public void Check(ulong epoch, ulong version)
    {
        // With nothing written yet there is nothing that could overtake what they hold, whatever its epoch.
        if (epoch > State.Epoch || (epoch == State.Epoch && version > State.Version) || (State.Version == 0 && version > 0))
        {
            StartNewEpoch(epoch);
        }
    }

    /// <summary>Two facts under one version: only we can tell which is right, and say so under a new epoch (R7).</summary>
    public void Reassert(NodeId peer)
    {
        _turn.Emit(new GossipEffect.ContentDiverged(peer, State.Origin));
        StartNewEpoch(State.Epoch);
    }

    public static void ThrowIfOutOfBounds(LocalWrite write)
    {
        ArgumentException.ThrowIfNullOrEmpty(write.Key);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(Encoding.UTF8.GetByteCount(write.Key), WireLimits.KeyBytes, nameof(write));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(write.Value.Length, WireLimits.ValueBytes, nameof(write));
    }

    private static bool IsSame(CatalogEntry? held, LocalWrite write) => held is null
        ? write.Tombstone
        : held.IsTombstone == write.Tombstone && held.Kind == write.Kind && held.Value.Span.SequenceEqual(write.Value.Span);

    private void StartNewEpoch(ulong seen)
    {
        ulong counter = Math.Max(seen, State.Epoch) >> 32;
        if (IsFrozen || counter > (State.Epoch >> 32) + MaxEpochJump || !_jumps.TrySpend(1, _turn.Now))
        {
            return;
        }

        ulong version = 0;
        List<CatalogEntry> entries =
        [
            .. State.AllHeld.Where(e => !e.IsTombstone).OrderBy(e => e.Version)
                .Select(e => CatalogEntry.Create(State.Origin, e.Key, ++version, e.Kind, e.Flags, e.Value)),
        ];
        // Version 0 would be "never heard of"; that nothing is left is a statement too.
        version = Math.Max(version, 1);
        _members.ForgetAcknowledgements();
        _tombstones.Restart();
        _replica.Replace(State, ((counter + 1) << 32) | (uint)_turn.Random.Next(), version, 0, entries);
        _replica.Flush(durable: true);
        if (entries.Count > 0)
        {
            // One fact of the new epoch makes every peer ask for the rest.
            _rumors.TellEntry(State, entries[^1].Key, source: null);
        }
    }
}

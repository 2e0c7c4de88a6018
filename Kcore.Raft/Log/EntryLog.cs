using System.Collections.Immutable;

namespace Kcore.Raft;

/// <summary>
/// The log in memory, from the entry after the last compaction to the newest, with the marks that move along it:
/// compacted ≤ delivered ≤ committed ≤ last and durable ≤ handed ≤ last. Delivered never passes durable either.
/// </summary>
internal sealed class EntryLog
{
    private readonly List<RaftEntry> _entries = [];

    // Index and term of the entry just before the first one held.
    private ulong _offset;
    private ulong _offsetTerm;

    public EntryLog(ulong snapshotIndex, ulong snapshotTerm, IReadOnlyList<RaftEntry> entries, ulong commit)
    {
        if (entries is [var first, ..] && first.Index <= snapshotIndex)
        {
            // Entries kept behind the snapshot, for followers that lag a little; the first lends its term.
            _offset = first.Index;
            _offsetTerm = first.Term;
            _entries.AddRange(entries.Skip(1));
        }
        else
        {
            _offset = snapshotIndex;
            _offsetTerm = snapshotTerm;
            _entries.AddRange(entries);
        }

        Durable = Handed = LastIndex;
        Committed = Math.Clamp(commit, snapshotIndex, LastIndex);
        Delivered = snapshotIndex;
    }

    /// <summary>The oldest entry held has the index after this.</summary>
    public ulong CompactedIndex => _offset;

    public ulong LastIndex => _offset + (ulong)_entries.Count;

    public ulong LastTerm => _entries.Count > 0 ? _entries[^1].Term : _offsetTerm;

    /// <summary>Everything up to here is known to be on a quorum.</summary>
    public ulong Committed { get; private set; }

    /// <summary>Everything up to here was given to the state machine.</summary>
    public ulong Delivered { get; private set; }

    /// <summary>Everything up to here survives a crash of this member.</summary>
    public ulong Durable { get; private set; }

    /// <summary>Everything up to here was given to storage, which may still be writing it.</summary>
    public ulong Handed { get; private set; }

    /// <summary>False when the entry was compacted away or does not exist.</summary>
    public bool TryGetTerm(ulong index, out ulong term)
    {
        term = 0;
        if (index < _offset || index > LastIndex)
        {
            return false;
        }

        term = index == _offset ? _offsetTerm : _entries[(int)(index - _offset - 1)].Term;
        return true;
    }

    public bool Matches(ulong index, ulong term) => TryGetTerm(index, out ulong own) && own == term;

    /// <summary>Raft §5.4.1: the later last term, or the longer log of equal last terms.</summary>
    public bool IsUpToDate(ulong lastIndex, ulong lastTerm) =>
        lastTerm > LastTerm || (lastTerm == LastTerm && lastIndex >= LastIndex);

    public void Append(RaftEntry entry) => _entries.Add(entry);

    /// <summary>Discards <paramref name="index"/> and everything after it; it must not be committed.</summary>
    public void TruncateFrom(ulong index)
    {
        _entries.RemoveRange((int)(index - _offset - 1), (int)(LastIndex - index + 1));
        Handed = Math.Min(Handed, LastIndex);
        Durable = Math.Min(Durable, LastIndex);
    }

    /// <summary>Entries from <paramref name="from"/> on; at least one if there is any, and then within the bounds.</summary>
    public ImmutableArray<RaftEntry> Slice(ulong from, ulong to, int countMax, int bytesMax)
    {
        if (from > to)
        {
            return [];
        }

        ImmutableArray<RaftEntry>.Builder slice = ImmutableArray.CreateBuilder<RaftEntry>();
        long bytes = 0;
        for (ulong index = from; index <= to && slice.Count < countMax; index++)
        {
            RaftEntry entry = _entries[(int)(index - _offset - 1)];
            bytes += entry.Cost;
            if (slice.Count > 0 && bytes > bytesMax)
            {
                break;
            }

            slice.Add(entry);
        }

        return slice.DrainToImmutable();
    }

    public RaftEntry this[ulong index] => _entries[(int)(index - _offset - 1)];

    public void CommitTo(ulong index) => Committed = Math.Max(Committed, Math.Min(index, LastIndex));

    public void DeliverTo(ulong index) => Delivered = Math.Max(Delivered, index);

    public void HandTo(ulong index) => Handed = index;

    /// <summary>
    /// Storage finished a write whose last entry was this. If that entry has been replaced meanwhile, the acknowledgement
    /// speaks of another entry and says nothing.
    /// </summary>
    public void AcknowledgeTo(ulong index, ulong term)
    {
        if (index > Durable && Matches(index, term))
        {
            Durable = index;
        }
    }

    /// <summary>Forgets what is at or before <paramref name="index"/>, which must have been delivered.</summary>
    public void CompactTo(ulong index)
    {
        if (index <= _offset || !TryGetTerm(index, out ulong term))
        {
            return;
        }

        _entries.RemoveRange(0, (int)(index - _offset));
        _offset = index;
        _offsetTerm = term;
    }

    /// <summary>A snapshot takes the place of everything.</summary>
    public void Reset(ulong index, ulong term)
    {
        _entries.Clear();
        _offset = index;
        _offsetTerm = term;
        Committed = index;
        Handed = Durable = index;
    }
}

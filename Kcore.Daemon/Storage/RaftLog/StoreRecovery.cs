using Kcore.Raft;

namespace Kcore.Daemon.Storage.RaftLog;

/// <summary>Puts the log together again from its batches, and judges whether it and the snapshot can both be true.</summary>
internal sealed class StoreRecovery
{
    private readonly List<RaftEntry> _entries = [];
    private HardState _hardState;
    private bool _hasBatch;

    // The snapshot that the log last began anew after.
    private ulong _resetIndex;

    /// <summary>
    /// True if a snapshot that a leader sent took the place of the log and the log does not say so yet, because the crash
    /// came between the two. It must be told before anything is appended behind the snapshot, or that looks like a hole.
    /// </summary>
    public bool IsLogBehindSnapshot { get; private set; }

    public void Replay(LogBatch batch)
    {
        if (batch.HardState.Term < _hardState.Term)
        {
            throw new CorruptStoreException($"The log goes back from term {_hardState.Term} to {batch.HardState.Term}.");
        }

        _hasBatch = true;
        _hardState = batch.HardState;
        if (batch.InstalledIndex != 0)
        {
            _entries.Clear();
        }

        _resetIndex = batch.InstalledIndex != 0 ? batch.InstalledIndex : _resetIndex;
        foreach (RaftEntry entry in batch.Entries)
        {
            Add(entry);
        }
    }

    public RaftInitialState Finish(RaftGroup group, StoredSnapshot? stored)
    {
        if (!_hasBatch)
        {
            // The first batch was durable before the store got its identity.
            throw new CorruptStoreException("The log is empty.");
        }

        RaftSnapshot snapshot = stored?.Snapshot ?? RaftSnapshot.Empty;
        bool agrees = _entries.Count == 0
            ? snapshot.Index == 0
            : _entries[0].Index <= snapshot.Index + 1
                && _entries[^1].Index >= snapshot.Index
                && (_entries[0].Index > snapshot.Index || TermAt(snapshot.Index) == snapshot.Term);
        if (!agrees)
        {
            // A snapshot that a leader sent replaces the log; the crash may have come before the log knew. One taken here
            // came from the log, so a log that does not reach it lost something.
            if (stored is not { IsInstalled: true } || (_entries.Count > 0 && _entries[0].Index > snapshot.Index + 1))
            {
                throw new CorruptStoreException(
                    $"The log (entries {Describe()}) does not fit the snapshot at {snapshot.Index}.");
            }

            _entries.Clear();
            IsLogBehindSnapshot = _resetIndex != snapshot.Index;
        }

        ulong last = _entries.Count > 0 ? _entries[^1].Index : snapshot.Index;
        return _hardState.Commit > last
            ? throw new CorruptStoreException($"Entry {_hardState.Commit} was committed and the log ends at {last}.")
            : new RaftInitialState(group, _hardState, snapshot, _entries);
    }

    private void Add(RaftEntry entry)
    {
        if (entry.Kind == RaftEntryKind.Configuration && !ConfigurationCodec.TryDecode(entry.Data.Span, out _))
        {
            // Its checksum is right. Whoever counted without it would count other voters than everybody else.
            throw new NewerVersionException($"Entry {entry.Index} of the log (a change of the voters)");
        }

        if (_entries.Count > 0)
        {
            ulong first = _entries[0].Index;
            ulong next = _entries[^1].Index + 1;
            if (entry.Index > next)
            {
                throw new CorruptStoreException($"Entries {next} to {entry.Index - 1} of the log are missing.");
            }

            _entries.RemoveRange((int)(Math.Max(entry.Index, first) - first), (int)(next - Math.Max(entry.Index, first)));
        }

        _entries.Add(entry);
    }

    private ulong TermAt(ulong index) => _entries[(int)(index - _entries[0].Index)].Term;

    private string Describe() => _entries.Count == 0 ? "none" : $"{_entries[0].Index}–{_entries[^1].Index}";
}

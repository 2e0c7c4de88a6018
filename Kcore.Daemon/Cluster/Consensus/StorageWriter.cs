using System.Diagnostics.CodeAnalysis;
using Kcore.Daemon.Storage.RaftLog;
using Kcore.Raft;

namespace Kcore.Daemon.Cluster.Consensus;

/// <summary>
/// The one thread that touches the store, so that the consensus loop never waits for a disk. Jobs are done in order, and the
/// thread reports what it did, where it may find itself doing what follows from that. The loop has at most one batch, one
/// snapshot and one look at the room under way, which bounds the queue.
/// </summary>
internal sealed class StorageWriter : IAsyncDisposable
{
    private static readonly TimeSpan HangLimit = TimeSpan.FromSeconds(3);

    // A monitor, as for the loop's inbox: the one who waits is a thread.
    private readonly object _door = new();
    private readonly Queue<Job> _jobs = new();
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly RaftStore _store;
    private readonly TimeProvider _time;
    private readonly Action<StorageOutcome> _report;
    private bool _isOver;

    public StorageWriter(RaftStore store, TimeProvider time, Action<StorageOutcome> report)
    {
        _store = store;
        _time = time;
        _report = report;
        new Thread(Run) { IsBackground = true, Name = "raft-log" }.Start();
    }

    public void Write(StorageBatch batch) => Add(new Job(batch, null, 0));

    public void SaveSnapshot(RaftSnapshot snapshot, ulong keepFrom) => Add(new Job(null, snapshot, keepFrom));

    /// <summary>Looks whether a disk that was full has room again.</summary>
    public void CheckSpace() => Add(new Job(null, null, 0));

    /// <summary>
    /// Finishes what was given and ends the thread. A disk that hangs is not waited for beyond a limit: the thread is a
    /// background one, and what it may still write was never acknowledged to anybody.
    /// </summary>
    public async ValueTask DisposeAsync()
    {
        lock (_door)
        {
            _isOver = true;
            Monitor.Pulse(_door);
        }

        try
        {
            await _ended.Task.WaitAsync(HangLimit, _time);
        }
        catch (TimeoutException)
        {
            IsHanging = true;
        }
    }

    /// <summary>True after <see cref="DisposeAsync"/> if the thread is still in the store, which then must not be closed.</summary>
    public bool IsHanging { get; private set; }

    private void Run()
    {
        while (TryTake(out Job? job))
        {
            _report(Do(job));
        }

        _ended.SetResult();
    }

    private void Add(Job job)
    {
        lock (_door)
        {
            _jobs.Enqueue(job);
            Monitor.Pulse(_door);
        }
    }

    // Sleeps until there is a job; false when there will be none.
    private bool TryTake([NotNullWhen(true)] out Job? job)
    {
        lock (_door)
        {
            while (_jobs.Count == 0 && !_isOver)
            {
                Monitor.Wait(_door);
            }

            return _jobs.TryDequeue(out job);
        }
    }

    private StorageOutcome Do(Job job)
    {
        long start = _time.GetTimestamp();
        try
        {
            if (job.Batch is { } batch)
            {
                _store.Write(batch);
                return new StorageOutcome.Written(batch.Id, _time.GetElapsedTime(start), _store.IsSpaceLow);
            }

            if (job.Snapshot is { } snapshot)
            {
                _store.SaveSnapshot(snapshot, job.KeepFrom);
                return new StorageOutcome.SnapshotSaved(snapshot, job.KeepFrom, _store.IsSpaceLow);
            }

            _store.CheckSpace();
            return new StorageOutcome.SpaceChecked(_store.IsSpaceLow);
        }
        catch (DiskFullException full) when (job.Snapshot is not null)
        {
            return new StorageOutcome.NoSnapshot(full.Message);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            return new StorageOutcome.Failed(failure.Message);
        }
    }

    private sealed record Job(StorageBatch? Batch, RaftSnapshot? Snapshot, ulong KeepFrom);
}

/// <summary>How a job of the <see cref="StorageWriter"/> ended.</summary>
internal abstract record StorageOutcome
{
    private StorageOutcome()
    {
    }

    public sealed record Written(ulong BatchId, TimeSpan Duration, bool IsSpaceLow) : StorageOutcome;

    public sealed record SnapshotSaved(RaftSnapshot Snapshot, ulong KeepFrom, bool IsSpaceLow) : StorageOutcome;

    public sealed record NoSnapshot(string Text) : StorageOutcome;

    public sealed record SpaceChecked(bool IsSpaceLow) : StorageOutcome;

    public sealed record Failed(string Text) : StorageOutcome;
}

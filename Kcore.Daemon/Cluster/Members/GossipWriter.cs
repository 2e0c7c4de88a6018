using System.Collections.Concurrent;
using Kcore.Daemon.Storage;

namespace Kcore.Daemon.Cluster.Members;

/// <summary>What the gossip loop has for the disk, written in this order: boot counter, catalog rows (one transaction), contacts.</summary>
internal sealed record GossipJob(uint? BootEpoch, CatalogBatch Catalog, IReadOnlyCollection<string>? Contacts);

/// <summary>
/// The thread that waits for the disk, so that the gossip loop does not: one job at a time, its end is reported by
/// <see cref="TryTakeOutcome"/>. A job the disk refused leaves the store as it was, or with what came before the refusal.
/// </summary>
internal sealed class GossipWriter : IDisposable
{
    private readonly BlockingCollection<GossipJob> _jobs = new(1);
    private readonly CatalogStore _store;
    private readonly NodeIdentity _identity;
    private readonly Action _wake;
    private readonly Thread _thread;
    private Outcome? _outcome;

    /// <param name="wake">Called, on the writer's thread, when a job has ended.</param>
    public GossipWriter(CatalogStore store, NodeIdentity identity, Action wake)
    {
        _store = store;
        _identity = identity;
        _wake = wake;
        _thread = new Thread(Run) { IsBackground = true, Name = "gossip-store" };
        _thread.Start();
    }

    /// <summary>A job is under way, or its outcome was not taken yet.</summary>
    public bool IsBusy { get; private set; }

    public void Begin(GossipJob job)
    {
        if (IsBusy)
        {
            throw new InvalidOperationException("one job at a time");
        }

        IsBusy = true;
        _jobs.Add(job);
    }

    /// <summary>How the job ended; <paramref name="failure"/> is null when all of it is on disk.</summary>
    public bool TryTakeOutcome(out StorageException? failure)
    {
        Outcome? outcome = Interlocked.Exchange(ref _outcome, null);
        failure = outcome?.Failure;
        IsBusy &= outcome is null;
        return outcome is not null;
    }

    /// <summary>Finishes what was begun and ends the thread.</summary>
    public void Dispose()
    {
        _jobs.CompleteAdding();
        _thread.Join();
        _jobs.Dispose();
    }

    private void Run()
    {
        foreach (GossipJob job in _jobs.GetConsumingEnumerable())
        {
            Volatile.Write(ref _outcome, new Outcome(Do(job)));
            _wake();
        }
    }

    private StorageException? Do(GossipJob job)
    {
        try
        {
            if (job.BootEpoch is { } epoch)
            {
                _identity.RaiseBootEpoch(epoch);
            }

            if (!job.Catalog.IsEmpty)
            {
                _store.Save(job.Catalog.ToPersist());
            }

            if (job.Contacts is { } contacts)
            {
                _identity.RememberContacts(contacts);
            }

            return null;
        }
        catch (StorageException e)
        {
            return e;
        }
    }

    private sealed record Outcome(StorageException? Failure);
}

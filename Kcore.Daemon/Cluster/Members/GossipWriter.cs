using System.Runtime.ExceptionServices;
using Kcore.Daemon.Hosting;
using Kcore.Daemon.Storage;
using Microsoft.Extensions.Logging;

namespace Kcore.Daemon.Cluster.Members;

/// <summary>What the gossip loop has for the disk, written in this order: boot counter, catalog rows (one transaction), contacts.</summary>
internal sealed record GossipJob(uint? BootEpoch, CatalogBatch Catalog, IReadOnlyCollection<string>? Contacts);

/// <summary>
/// The thread that waits for the disk, so that the gossip loop does not: one job at a time, its end is reported by
/// <see cref="TryTakeOutcome"/>. While somebody waits for that it comes before others as the loop does, for until an own fact
/// is on the disk nobody is told of it; with facts of others, of which there may be thousands in a job, it is a thread like
/// any other. A job the disk refused leaves the store as it was, or with what came before the refusal.
/// </summary>
internal sealed class GossipWriter : IDisposable
{
    private readonly CatalogStore _store;
    private readonly NodeIdentity _identity;
    private readonly Action _wake;
    private readonly Wake _given = new();
    private readonly Task _running;
    private readonly Lock _waiting = new();
    private GossipJob? _job;
    private Outcome? _outcome;
    private ThreadUrgency? _urgency;
    private bool _isUrgent;
    private ExceptionDispatchInfo? _bug;
    private volatile bool _isOver;

    /// <param name="wake">Called, on the writer's thread, when a job has ended that is waited for or that the disk refused.</param>
    public GossipWriter(CatalogStore store, NodeIdentity identity, Action wake, ILogger logger)
    {
        _store = store;
        _identity = identity;
        _wake = wake;
        _running = UrgentThread.RunAsync("gossip-store", logger, Run);
    }

    /// <summary>A job is under way, or its outcome was not taken yet.</summary>
    public bool IsBusy { get; private set; }

    /// <param name="isAwaited">Somebody waits for its end.</param>
    public void Begin(GossipJob job, bool isAwaited)
    {
        if (IsBusy)
        {
            throw new InvalidOperationException("one job at a time");
        }

        IsBusy = true;
        Await(isAwaited, isAwaited);
        Volatile.Write(ref _job, job);
        _given.Set();
    }

    /// <summary>The end of the job under way will wake the loop.</summary>
    public bool Wakes { get; private set; }

    /// <summary>The loop wants to be woken at the end of the job under way.</summary>
    /// <param name="isUrgent">It shall come before others until then.</param>
    public void Expect(bool isUrgent)
    {
        Await(true, isUrgent || _isUrgent);

        // It may have ended a moment ago, and woken nobody.
        if (Volatile.Read(ref _outcome) is not null)
        {
            _wake();
        }
    }

    /// <summary>How the job ended; <paramref name="failure"/> is null when all of it is on disk.</summary>
    public bool TryTakeOutcome(out StorageException? failure)
    {
        Volatile.Read(ref _bug)?.Throw();
        Outcome? outcome = Interlocked.Exchange(ref _outcome, null);
        failure = outcome?.Failure;
        IsBusy &= outcome is null;
        return outcome is not null;
    }

    /// <summary>Finishes what was begun and ends the thread.</summary>
    public void Dispose()
    {
        _isOver = true;
        _given.Set();
        _running.GetAwaiter().GetResult();
        _given.Dispose();
    }

    private void Await(bool wakes, bool isUrgent)
    {
        lock (_waiting)
        {
            Wakes = wakes;
            _isUrgent = isUrgent;
            _urgency?.Set(isUrgent);
        }
    }

    private void Run(ThreadUrgency urgency)
    {
        try
        {
            lock (_waiting)
            {
                _urgency = urgency;
                urgency.Set(_isUrgent);
            }

            Serve();
        }
        catch (Exception e)
        {
            // Not of the disk, so not the loop's to get over: it ends with it.
            Volatile.Write(ref _bug, ExceptionDispatchInfo.Capture(e));
            _wake();
        }
    }

    private void Serve()
    {
        while (true)
        {
            bool wasOver = _isOver;
            if (Interlocked.Exchange(ref _job, null) is { } job)
            {
                var outcome = new Outcome(Do(job));
                Volatile.Write(ref _outcome, outcome);

                // Who begins to wait from here on finds the outcome.
                bool wakes;
                lock (_waiting)
                {
                    wakes = Wakes;
                }

                if (wakes || outcome.Failure is not null)
                {
                    _wake();
                }
            }
            else if (wasOver)
            {
                return;
            }
            else
            {
                // Asleep at once: the collections of the framework spin first, which takes a processor from whoever is to be told.
                _given.Sleep(TimeSpan.MaxValue);
            }
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

using System.Collections.Immutable;
using Kcore.Daemon.Storage;
using Kcore.Gossip;
using Kcore.Gossip.Wire;

namespace Kcore.Daemon.Cluster.Members;

// What goes to disk, and what waits for it. Every change gets a number. Changes gather while a job is under way and become
// the next job, one transaction each, so the store always holds the catalog as it was after some number: a crash at any
// moment is a crash a little earlier.
//   - Own facts: until the job with their number has ended, nothing that could tell of them is sent. Probes and their answers
//     tell nothing (ProbeTraffic) and pass, so a slow disk makes this node's facts late, not the node look dead.
//   - A later boot counter: until then not even membership statements pass.
//   - Facts of others: written behind. What is acknowledged and then lost comes again: whoever is behind an owner's floor
//     gets a snapshot (rule R4), anybody else the missing versions.
// When the disk refuses, what waited goes out all the same and the node says that it is degraded: peers then hold what may
// be lost here, and a version lost here makes the core start a new sequence (rule R1). The rows are kept and tried again.
internal sealed partial class GossipLoop
{
    private const int MostHeld = 1024;

    /// <summary>
    /// A transaction costs as much processor time as all else that an update sets off, and every node writes the same at the
    /// same time: not while it is still on its way, and of a burst once.
    /// </summary>
    private static readonly TimeSpan WriteBehind = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan RetryPause = TimeSpan.FromSeconds(1);
    private readonly Queue<(GossipEffect Effect, long Until)> _held = [];
    private readonly List<(TaskCompletionSource Waiting, long Until)> _callers = [];
    private readonly List<(TaskCompletionSource Waiting, StorageException? Failure)> _completed = [];
    private CatalogBatch _gathering = new();
    private uint? _bootEpoch;
    private IReadOnlyCollection<string>? _contacts;
    private GossipJob? _underWay;
    private TimeSpan _writeAt = TimeSpan.MaxValue;
    private TimeSpan _mended;

    // Numbers: the latest change, the latest own fact, the latest boot counter, what the job under way reaches to, what has ended.
    private long _given;
    private long _durable;
    private long _statement;
    private long _begun;
    private long _ended;

    // Own facts as of the last publication, of the job under way, and of the last job that ended.
    private ImmutableArray<CatalogEntry> _ownBegun = [];
    private ImmutableArray<CatalogEntry> _ownVisible = [];

    private bool IsHolding => Math.Max(_durable, _statement) > _ended;

    private TimeSpan NextWrite => _writer is { IsBusy: true, Wakes: true } ? TimeSpan.MaxValue : _writeAt;

    private void Keep(GossipEffect.Persist changes)
    {
        _gathering.Add(changes);

        // What floated may have settled: the same facts, in another order.
        _shown.Void(changes.Heads.Select(h => h.Origin));
        _given++;
        _durable = changes.Durable ? _given : _durable;
        WriteAt(changes.Durable ? Now : Behind);
    }

    private void Keep(GossipEffect.PersistEpoch epoch)
    {
        _bootEpoch = epoch.Epoch;
        _statement = ++_given;
        WriteAt(Now);
    }

    /// <summary>Hints for the next start.</summary>
    private void Keep(GossipEffect.RememberMembers members)
    {
        _contacts = [.. members.Members.Where(m => m.Id != _identity.Id).Select(m => m.Endpoint.ToString())];
        _given++;
        WriteAt(Behind);
    }

    /// <summary>When what nobody waits for is written; a disk that has just refused is left alone a little.</summary>
    private TimeSpan Behind => _mended > Now + WriteBehind ? _mended : Now + WriteBehind;

    private void WriteAt(TimeSpan at) => _writeAt = Sooner(_writeAt, at);

    private void BeginWriting()
    {
        bool isDue = _writeAt <= Now;
        if (!isDue && !IsAwaited)
        {
            return;
        }

        if (_writer.IsBusy)
        {
            _writer.Expect(isUrgent: IsAwaited);
        }
        else
        {
            BeginJob();
        }
    }

    /// <summary>Something is held back, or somebody waits, until what was given is on the disk.</summary>
    private bool IsAwaited => IsHolding || HasCallerBeyond(_ended);

    private bool HasCallerBeyond(long ended)
    {
        foreach ((_, long until) in _callers)
        {
            if (until > ended)
            {
                return true;
            }
        }

        return false;
    }

    private void BeginJob()
    {
        _underWay = new GossipJob(_bootEpoch, _gathering, _contacts);
        _begun = _given;
        _ownBegun = OwnEntries();
        (_gathering, _bootEpoch, _contacts, _writeAt) = (new CatalogBatch(), null, null, TimeSpan.MaxValue);
        _writer.Begin(_underWay, IsAwaited);
    }

    private void TakeOutcome(CancellationToken token)
    {
        if (!_writer.TryTakeOutcome(out StorageException? failure))
        {
            return;
        }

        bool wasHolding = IsHolding;
        GossipJob job = _underWay!;
        _underWay = null;
        _ended = _begun;
        if (failure is null)
        {
            _observer.StorageWorked();
            if (job.BootEpoch is { } epoch)
            {
                _socket.ChangeBoot(epoch);
            }
        }
        else
        {
            TryAgain(job);
            _observer.StorageFailed(failure.Message);
        }

        Complete(failure);
        if (wasHolding)
        {
            _ownVisible = _ownBegun;
            _entriesChanged = true;
            Release(token);
        }
    }

    private void TryAgain(GossipJob job)
    {
        job.Catalog.Add(_gathering.ToPersist());
        _gathering = job.Catalog;
        _bootEpoch ??= job.BootEpoch;
        _contacts ??= job.Contacts;
        _mended = Now + RetryPause;
        WriteAt(_mended);
    }

    private void Complete(StorageException? failure)
    {
        if (_callers.Count == 0)
        {
            return;
        }

        _completed.AddRange(_callers.Where(c => c.Until <= _ended).Select(c => (c.Waiting, failure)));
        _callers.RemoveAll(c => c.Until <= _ended);
    }

    /// <summary>Only now, after the publication: whoever submitted finds what it wrote in the view.</summary>
    private void CompleteCallers()
    {
        Complete(null);
        if (_completed.Count == 0)
        {
            return;
        }

        foreach ((TaskCompletionSource waiting, StorageException? failure) in _completed)
        {
            if (failure is null)
            {
                waiting.TrySetResult();
            }
            else
            {
                waiting.TrySetException(failure);
            }
        }

        _completed.Clear();
    }

    /// <summary>The part of an effect that has to wait for the disk; null when all of it may go. The rest of a datagram goes at once.</summary>
    private GossipEffect? MustWait(GossipEffect effect)
    {
        if (!IsHolding)
        {
            return null;
        }

        bool statements = _statement <= _ended;
        switch (effect)
        {
            case GossipEffect.Send send:
                ProbeTraffic.Split(send.Payload, statements, out ReadOnlyMemory<byte> urgent, out ReadOnlyMemory<byte> rest);
                if (rest.IsEmpty)
                {
                    return null;
                }

                if (!urgent.IsEmpty)
                {
                    _socket.Send(send.To, send.Endpoint, urgent);
                }

                return send with { Payload = rest.ToArray() };
            case GossipEffect.OpenStream open:
                ProbeTraffic.Split(open.Body, statements, out _, out ReadOnlyMemory<byte> asks);
                return asks.IsEmpty ? null : open;
            case GossipEffect.Respond respond:
                ProbeTraffic.Split(respond.Body, statements, out _, out ReadOnlyMemory<byte> tells);
                bool follows = _held.Any(h => h.Effect is GossipEffect.Respond earlier && earlier.Stream == respond.Stream);
                return tells.IsEmpty && !follows ? null : respond;
            default:
                return null;
        }
    }

    private void Hold(GossipEffect effect)
    {
        // Gossip repeats itself, so of many datagrams the newest are lost; streams are few and promised an end.
        if (_held.Count < MostHeld || effect is not GossipEffect.Send)
        {
            _held.Enqueue((effect, Math.Max(_durable, _statement)));
        }
    }

    private void Release(CancellationToken token)
    {
        while (_held.TryPeek(out (GossipEffect Effect, long Until) first) && first.Until <= _ended)
        {
            _held.Dequeue();
            switch (first.Effect)
            {
                case GossipEffect.Send send:
                    _socket.Send(send.To, send.Endpoint, send.Payload);
                    break;
                case GossipEffect.OpenStream open:
                    _ = FetchAsync(open, token);
                    break;
                case GossipEffect.Respond respond:
                    Respond(respond);
                    break;
                default:
                    break;
            }
        }
    }

    /// <summary>At the end: the job under way, then once more what has gathered since.</summary>
    private void FinishWriting(CancellationToken token)
    {
        WaitForWriter(token);
        if (!_gathering.IsEmpty || _bootEpoch is not null || _contacts is not null)
        {
            BeginJob();
            WaitForWriter(token);
        }

        _writer.Dispose();
        CompleteCallers();
    }

    private void WaitForWriter(CancellationToken token)
    {
        while (_writer.IsBusy)
        {
            TakeOutcome(token);
            if (_writer.IsBusy)
            {
                _writer.Expect(isUrgent: true);
                _wake.Sleep(RetryPause);
            }
        }
    }

    private ImmutableArray<CatalogEntry> OwnEntries() =>
        _core.Catalog.Find(_identity.Id) is { } own ? _shown.Of(own) : [];

    /// <summary>Live facts in the order of their origins. Own ones show when they are stored, so nobody acts on what a power cut would take back.</summary>
    private ImmutableArray<CatalogEntry> VisibleEntries()
    {
        if (!IsHolding)
        {
            _ownVisible = OwnEntries();
        }

        return _shown.All(_core.Catalog.Origins, _identity.Id, _ownVisible);
    }
}

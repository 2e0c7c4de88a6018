using System.Collections.Concurrent;
using System.Net;
using Kcore.Daemon.Catalog;
using Kcore.Daemon.Catalog.View;
using Kcore.Daemon.Cluster;
using Kcore.Daemon.Ipam.Ledger;
using Kcore.Daemon.Ipam.Reserve;
using Kcore.Daemon.Reconciliation;
using Kcore.Daemon.Storage;
using Kcore.Daemon.Storage.Events;
using Microsoft.Extensions.Logging;

namespace Kcore.Daemon.Ipam.Attachments;

/// <summary>The log's final word on an attachment that cannot get its address.</summary>
internal sealed record LeaseRefusal(RefusalCode Code, string Text);

/// <summary>
/// Brings every attachment to its lease and every detached one to its release, for as long as it takes: level-triggered
/// on the table, so that a crash, a lost answer or a missing quorum only delays.
/// </summary>
internal sealed partial class LeaseLoop(
    AttachmentTable table, ReserveStore reserve, ProposalClient proposals, QuorumSight quorum, ClusterLedger ledger, CatalogHub catalog, EventLog events, TimeProvider time, ILogger logger)
{
    private const int AtOnce = 32;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan RetryPause = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan ReserveLook = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan RefusedPause = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan PoolPause = TimeSpan.FromMilliseconds(20);

    private readonly ConcurrentDictionary<UInt128, LeaseRefusal> _refusals = new();
    private readonly Dictionary<UInt128, Task> _underWay = [];

    /// <summary>Changes whenever a refusal comes or goes.</summary>
    public Published<string> RefusalsChanged { get; } = new("");

    public LeaseRefusal? RefusalOf(UInt128 attachment) => _refusals.GetValueOrDefault(attachment);

    public async Task RunAsync(CancellationToken stoppingToken)
    {
        while (true)
        {
            (AttachmentSet set, long revision) = table.Current.Read();
            foreach (UInt128 done in _underWay.Where(p => p.Value.IsCompleted).Select(p => p.Key).ToList())
            {
                await _underWay[done];
                _underWay.Remove(done);
            }

            foreach (AttachmentRecord record in set.Records.Values)
            {
                if (record is { Local: true, Releasing: true })
                {
                    // Nobody else knows of it: the record is all there is to give back.
                    table.Remove(record.Id);
                    continue;
                }

                if (_underWay.Count >= AtOnce)
                {
                    break;
                }

                if (!_underWay.ContainsKey(record.Id) && NeedsWork(record, set))
                {
                    _underWay[record.Id] = record.Releasing ? ReleaseAsync(record, stoppingToken)
                        : record.Grant is { } grant ? ReportAsync(record, grant, stoppingToken)
                        : AcquireAsync(record, stoppingToken);
                }
            }

            // What did not happen must not stay registered: this comes by once a second for as long as the daemon lives.
            using CancellationTokenSource woken = CancellationTokenSource.CreateLinkedTokenSource(stoppingToken);
            Task wake = table.Current.ChangedSince(revision, woken.Token);
            await Task.WhenAny([wake, Task.Delay(RetryPause, time, woken.Token), .. _underWay.Values]);
            await woken.CancelAsync();
            stoppingToken.ThrowIfCancellationRequested();
        }
    }

    private bool NeedsWork(AttachmentRecord record, AttachmentSet set) => !record.Local && (
        record.Releasing
        || (record.Address is null && !_refusals.ContainsKey(record.Id))
        || (record.Grant is not null && !IsMacReleasing(record, set)));

    /// <summary>The one before may have been granted an address after all; to the log the NIC's MAC is its until it is released.</summary>
    private static bool IsMacReleasing(AttachmentRecord record, AttachmentSet set) =>
        set.Records.Values.Any(r => r.Releasing && r.Network == record.Network && r.Mac.Equals(record.Mac));

    private async Task AcquireAsync(AttachmentRecord record, CancellationToken token)
    {
        try
        {
            var command = new ReplicatedCommand.Allocate(
                new AttachmentId(Uid.ToGuid(record.Id)),
                new NetworkUid(Uid.ToGuid(record.Network)),
                record.Name,
                record.Mac,
                Uid.ToGuid(catalog.Current.Current.Gossip.Members.Self.Value),
                record.Wanted,
                ledger.KnownIndex + ReplicatedState.RequestLifetime);
            switch (await AskAsync(command, record, token))
            {
                case ReplicatedResult.Granted granted:
                    table.Change(now => now.Records.TryGetValue(record.Id, out AttachmentRecord? present)
                        ? present with { Address = granted.Address }
                        : null);
                    break;

                // The pool follows the network through the log; until it is there the NIC waits.
                case ReplicatedResult.Refused { Code: RefusalCode.NotFound }:
                    await PoolOrPauseAsync(record.Network, token);
                    break;
                // It was on its way for too long; with the next turn it is asked anew.
                case ReplicatedResult.Refused { Code: RefusalCode.Unavailable }:
                    await Task.Delay(RetryPause, time, token);
                    break;
                case ReplicatedResult.Refused refused:
                    _refusals[record.Id] = new LeaseRefusal(refused.Code, refused.Text);
                    RefusalsChanged.Replace(record.Key);
                    Log.Refused(logger, record.Name, record.NetworkName, refused.Text);
                    break;
                default:
                    break;
            }
        }
        catch (Exception e) when (e is RefusedException or StorageException)
        {
            Log.Waiting(logger, record.Name, record.NetworkName, e.Message);
        }
        catch (OperationCanceledException) when (token.IsCancellationRequested)
        {
            // The daemon stops; the record is on disk and the next start goes on.
        }
    }

    /// <summary>The log's answer; null when it did not come and the NIC was helped out of the emergency reserve.</summary>
    private async Task<ReplicatedResult?> AskAsync(ReplicatedCommand command, AttachmentRecord record, CancellationToken token)
    {
        using CancellationTokenSource ended = CancellationTokenSource.CreateLinkedTokenSource(token);
        long began = time.GetTimestamp();
        Task<ReplicatedResult> asking = proposals.ProposeAsync(command, Patience, ended.Token);
        try
        {
            while (!asking.IsCompleted && !token.IsCancellationRequested)
            {
                await Task.WhenAny(asking, Task.Delay(ReserveLook, time, ended.Token));
                if (!asking.IsCompleted && ReservePolicy.IsDue(time.GetElapsedTime(began), WithoutQuorum()) && TryReserve(record))
                {
                    return null;
                }
            }

            return await asking;
        }
        finally
        {
            await ended.CancelAsync();
            await ((Task)asking).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private TimeSpan? WithoutQuorum() => quorum.Current is { HasQuorum: false, Since: { } since } ? time.GetUtcNow() - since : null;

    private bool TryReserve(AttachmentRecord record)
    {
        if (!reserve.Current.Current.HasAny(record.Network))
        {
            return false;
        }

        CatalogView view = catalog.Current.Current.View;
        HashSet<IPAddress> seen =
        [
            .. view.NicsOf(record.Network).Select(n => n.Fact.Address).OfType<IPAddress>(),
            .. view.Leases.Values.Where(l => l.Network == record.Network).Select(l => l.Address),
        ];
        if (reserve.Take(table, record.Id, seen.Contains) is not { } helped)
        {
            return false;
        }

        Log.FromReserve(logger, helped.Name, helped.NetworkName, helped.Address!);
        events.Add(
            "ReserveUsed",
            $"NIC {helped.Name} on {helped.NetworkName} has {helped.Address} from the emergency reserve: there is no quorum",
            catalog.Current.Current.Gossip.Members.Self.ToString(),
            helped.NetworkName,
            ("attachment", helped.Key));
        return true;
    }

    /// <summary>Tells the log which address of the reserve the NIC has; from then on it is a lease like any other.</summary>
    private async Task ReportAsync(AttachmentRecord record, ulong grant, CancellationToken token)
    {
        try
        {
            var command = new ReplicatedCommand.UseReserve(
                new AttachmentId(Uid.ToGuid(record.Id)),
                new NetworkUid(Uid.ToGuid(record.Network)),
                record.Name,
                record.Mac,
                Uid.ToGuid(catalog.Current.Current.Gossip.Members.Self.Value),
                record.Address!,
                grant);
            switch (await proposals.ProposeAsync(command, Patience, token))
            {
                case ReplicatedResult.Granted:
                    table.Change(now => now.Records.TryGetValue(record.Id, out AttachmentRecord? present) ? present with { Grant = null } : null);
                    Forgive(record);
                    events.Add(
                        "ReserveCommitted",
                        $"{record.Address} of NIC {record.Name} on {record.NetworkName}, from the emergency reserve, is a lease now",
                        catalog.Current.Current.Gossip.Members.Self.ToString(),
                        record.NetworkName,
                        ("attachment", record.Key));
                    break;

                // The guest has the address and keeps it: nobody else gets it. What stands in the way may go, or the user detaches the NIC.
                case ReplicatedResult.Refused refused:
                    _refusals[record.Id] = new LeaseRefusal(refused.Code, refused.Text);
                    RefusalsChanged.Replace(record.Key);
                    Log.NotCommitted(logger, record.Address!, record.Name, record.NetworkName, refused.Text);
                    await Task.Delay(RefusedPause, time, token);
                    break;
                default:
                    break;
            }
        }
        catch (Exception e) when (e is RefusedException or StorageException)
        {
            Log.Waiting(logger, record.Name, record.NetworkName, e.Message);
        }
        catch (OperationCanceledException) when (token.IsCancellationRequested)
        {
            // As above.
        }
    }

    private void Forgive(AttachmentRecord record)
    {
        if (_refusals.TryRemove(record.Id, out _))
        {
            RefusalsChanged.Replace($"{record.Key}-");
        }
    }

    /// <summary>
    /// Every question is an entry of the log, so it is not asked again and again: until the pool shows in the catalog, a
    /// second at most.
    /// </summary>
    private async Task PoolOrPauseAsync(UInt128 network, CancellationToken token)
    {
        await Task.Delay(PoolPause, time, token);
        using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(token);
        await Task.WhenAny(
            catalog.Current.WhenAsync(s => s.View.Pools.ContainsKey(network), either.Token),
            Task.Delay(RetryPause, time, either.Token));
        await either.CancelAsync();
    }

    private async Task ReleaseAsync(AttachmentRecord record, CancellationToken token)
    {
        try
        {
            Guid self = Uid.ToGuid(catalog.Current.Current.Gossip.Members.Self.Value);
            var network = new NetworkUid(Uid.ToGuid(record.Network));
            if (record.Grant is { } grant)
            {
                // Before the release, which forgets the attachment: the address was used, whether or not the log heard of it.
                await proposals.ProposeAsync(new ReplicatedCommand.ReturnReserve(network, self, record.Address!, grant, WasUsed: true), Patience, token);
            }

            var command = new ReplicatedCommand.Release(new AttachmentId(Uid.ToGuid(record.Id)), self, network);
            ReplicatedResult result = await proposals.ProposeAsync(command, Patience, token);
            if (result is ReplicatedResult.Refused refused)
            {
                Log.NotReleased(logger, record.Name, record.NetworkName, refused.Text);
            }

            table.Remove(record.Id);
            _refusals.TryRemove(record.Id, out _);
        }
        catch (Exception e) when (e is RefusedException or StorageException)
        {
            Log.Waiting(logger, record.Name, record.NetworkName, e.Message);
        }
        catch (OperationCanceledException) when (token.IsCancellationRequested)
        {
            // As above.
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1210, LogLevel.Warning, "NIC {Nic} on {Network} gets no address: {Cause}")]
        public static partial void Refused(ILogger logger, string nic, string network, string cause);

        [LoggerMessage(1211, LogLevel.Warning, "NIC {Nic} on {Network} waits: {Cause}")]
        public static partial void Waiting(ILogger logger, string nic, string network, string cause);

        [LoggerMessage(1213, LogLevel.Warning, "NIC {Nic} on {Network} has {Address} from the emergency reserve: there is no quorum")]
        public static partial void FromReserve(ILogger logger, string nic, string network, IPAddress address);

        [LoggerMessage(1214, LogLevel.Error, "{Address}, from the emergency reserve, of NIC {Nic} on {Network} gets no lease: {Cause}")]
        public static partial void NotCommitted(ILogger logger, IPAddress address, string nic, string network, string cause);

        [LoggerMessage(1212, LogLevel.Warning, "The lease of NIC {Nic} on {Network} was already gone: {Cause}")]
        public static partial void NotReleased(ILogger logger, string nic, string network, string cause);
    }
}

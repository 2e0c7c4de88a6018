using System.Collections.Concurrent;
using Kcore.Daemon.Catalog;
using Kcore.Daemon.Cluster;
using Kcore.Daemon.Ipam.Ledger;
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
    LocalNode self, AttachmentTable table, ProposalClient proposals, ClusterLedger ledger, CatalogHub catalog, EventLog events, TimeProvider time, ILogger logger)
{
    private const int AtOnce = 32;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan RetryPause = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan PoolPause = TimeSpan.FromMilliseconds(20);

    private readonly ConcurrentDictionary<UInt128, LeaseRefusal> _refusals = new();
    private readonly Dictionary<UInt128, Task> _underWay = [];
    private readonly LostLeases _lost = new();
    private readonly long _started = time.GetTimestamp();

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

            IReadOnlySet<UInt128> lost = _lost.Find(set, catalog.Current.Current.View.Leases.Keys, ledger.Open?.Cluster.Epoch ?? 1, time.GetElapsedTime(_started));
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

                if (!_underWay.ContainsKey(record.Id) && lost.Contains(record.Id))
                {
                    _underWay[record.Id] = AdoptAsync(record, stoppingToken);
                }
                else if (!_underWay.ContainsKey(record.Id) && NeedsWork(record))
                {
                    _underWay[record.Id] = record.Releasing ? ReleaseAsync(record, stoppingToken) : AcquireAsync(record, stoppingToken);
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

    private bool NeedsWork(AttachmentRecord record) =>
        !record.Local && (record.Releasing || (record.Address is null && !_refusals.ContainsKey(record.Id)));

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
            switch (await proposals.ProposeAsync(command, Patience, token))
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

    // The log was recovered from a copy that did not have it. What has gone to another meanwhile cannot stay here.
    private async Task AdoptAsync(AttachmentRecord record, CancellationToken token)
    {
        try
        {
            var command = new ReplicatedCommand.AdoptLost(
                new AttachmentId(Uid.ToGuid(record.Id)),
                new NetworkUid(Uid.ToGuid(record.Network)),
                record.Name,
                record.Mac,
                Uid.ToGuid(catalog.Current.Current.Gossip.Members.Self.Value),
                record.Address!);
            switch (await proposals.ProposeAsync(command, Patience, token))
            {
                case ReplicatedResult.Granted:
                    events.Add("AddressAdopted", $"{record.Address} of NIC {record.Name} was not in the recovered log and is now", self.Id.ToString(), record.NetworkName, ("attachment", record.Key));
                    await Task.Delay(RetryPause, time, token);
                    break;
                case ReplicatedResult.Refused { Code: RefusalCode.NotFound }:
                    await PoolOrPauseAsync(record.Network, token);
                    break;
                case ReplicatedResult.Refused refused:
                    events.Add("AddressLost", $"NIC {record.Name} gives {record.Address} up and asks for another: {refused.Text}", self.Id.ToString(), record.NetworkName, ("attachment", record.Key));
                    Log.Lost(logger, record.Name, record.NetworkName, record.Address!, refused.Text);
                    table.Change(now => now.Records.TryGetValue(record.Id, out AttachmentRecord? present) && !present.Releasing
                        ? present with { Address = null }
                        : null);
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
            var command = new ReplicatedCommand.Release(
                new AttachmentId(Uid.ToGuid(record.Id)), Uid.ToGuid(catalog.Current.Current.Gossip.Members.Self.Value), new NetworkUid(Uid.ToGuid(record.Network)));
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
        [LoggerMessage(1213, LogLevel.Error, "NIC {Nic} on {Network} gives {Address} up and asks for another: {Cause}")]
        public static partial void Lost(ILogger logger, string nic, string network, System.Net.IPAddress address, string cause);

        [LoggerMessage(1210, LogLevel.Warning, "NIC {Nic} on {Network} gets no address: {Cause}")]
        public static partial void Refused(ILogger logger, string nic, string network, string cause);

        [LoggerMessage(1211, LogLevel.Warning, "NIC {Nic} on {Network} waits: {Cause}")]
        public static partial void Waiting(ILogger logger, string nic, string network, string cause);

        [LoggerMessage(1212, LogLevel.Warning, "The lease of NIC {Nic} on {Network} was already gone: {Cause}")]
        public static partial void NotReleased(ILogger logger, string nic, string network, string cause);
    }
}

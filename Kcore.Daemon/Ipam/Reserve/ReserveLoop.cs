using Kcore.Daemon.Catalog;
using Kcore.Daemon.Catalog.Facts;
using Kcore.Daemon.Cluster;
using Kcore.Daemon.Ipam.Attachments;
using Kcore.Daemon.Ipam.Ledger;
using Kcore.Daemon.Storage;
using Kcore.Daemon.Storage.Events;
using Microsoft.Extensions.Logging;

namespace Kcore.Daemon.Ipam.Reserve;

/// <summary>
/// Keeps the emergency reserves of this node as large as its networks say, and tells the log what became of what is in
/// them. It alone asks and settles, one after the other: an answer that was computed before an end can never be heard after it.
/// </summary>
internal sealed partial class ReserveLoop(
    LocalNode self, NodeIdentity identity, CatalogHub catalog, AttachmentTable attachments, ReserveStore store, ProposalClient proposals, QuorumSight quorum, EventLog events, TimeProvider time, ILogger logger)
{
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    /// <summary>After an answer that did not fill it: every question is an entry of the log.</summary>
    private static readonly TimeSpan Again = TimeSpan.FromSeconds(60);

    private readonly HashSet<UInt128> _confirmed = [];
    private readonly Dictionary<UInt128, TimeSpan> _notBefore = [];
    private readonly long _started = time.GetTimestamp();

    private Guid NodeUid => Uid.ToGuid(self.Id.Value);

    public async Task RunAsync(CancellationToken stoppingToken)
    {
        using var turns = new PeriodicTimer(Pause, time);
        while (await turns.WaitForNextTickAsync(stoppingToken))
        {
            try
            {
                await DoAsync(stoppingToken);
            }
            catch (Exception e) when (e is RefusedException or StorageException)
            {
                Log.Waiting(logger, e.Message);
            }
        }
    }

    private async Task DoAsync(CancellationToken token)
    {
        CatalogSnapshot now = catalog.Current.Current;
        bool isServing = identity is { Duty: Duty.Serving, Departure: Departure.None } && !self.VxlanDisabled;
        Dictionary<UInt128, int> wanted = now.View.Networks.Values
            .Where(n => n is { Conflict: null, Spec.EmergencyReserve: > 0 } && now.View.Pools.ContainsKey(n.Uid))
            .ToDictionary(n => n.Uid, n => isServing ? n.Spec.EmergencyReserve : 0);
        if (!isServing)
        {
            // A node that takes no NICs has no use for it, and one that leaves takes it along.
            store.Change(book => book.Rows.Values.Select(r => r.Network).Distinct().Aggregate(book, (b, n) => b.GivenUp(n)));
        }

        if (!quorum.Current.HasQuorum || !now.View.Admissions.Any(a => a.Node == self.Id))
        {
            return;
        }

        // The book before the NICs: who is in it as using an address is among them then, or is gone.
        TimeSpan at = time.GetElapsedTime(_started);
        foreach (ReserveStep step in ReserveUpkeep.Due(store.Current.Current, wanted, attachments.Current.Current, _confirmed, n => at >= _notBefore.GetValueOrDefault(n)))
        {
            switch (step)
            {
                case ReserveStep.Ask ask:
                    await AskAsync(ask.Network, wanted.GetValueOrDefault(ask.Network), token);
                    break;
                case ReserveStep.Return { Row: var row }:
                    await proposals.ProposeAsync(
                        new ReplicatedCommand.ReturnReserve(
                            new NetworkUid(Uid.ToGuid(row.Network)), NodeUid, AddressSequence.ToAddress(row.Address), row.GrantIndex, row.Use == ReserveUse.Used),
                        Patience,
                        token);
                    store.Change(book => book.Settled(row));
                    break;
                case ReserveStep.Settle { Row: var row }:
                    store.Change(book => book.Settled(row));
                    _notBefore.Remove(row.Network);
                    break;
                default:
                    throw new InvalidOperationException($"a step nobody takes: {step.GetType().Name}");
            }
        }
    }

    private async Task AskAsync(UInt128 network, int wanted, CancellationToken token)
    {
        Guid holder = store.Current.Current.Holder;
        ReplicatedResult result = await GrantAsync(network, holder, Guid.Empty, token);
        if (result is ReplicatedResult.Parked { Addresses.IsEmpty: true } other && other.Holder != holder)
        {
            // The record of this node was lost: what was granted under its name before is nobody's from now on.
            Log.Followed(logger, other.Holder, holder);
            result = await GrantAsync(network, holder, other.Holder, token);
        }

        switch (result)
        {
            case ReplicatedResult.Parked parked when parked.Holder == holder:
                int before = store.Current.Current.CountOf(network);
                store.Change(book => book.Told(network, parked.Addresses));
                _confirmed.Add(network);
                Tell(network, store.Current.Current.CountOf(network) - before);
                break;

            // The network is gone.
            case ReplicatedResult.Refused { Code: RefusalCode.NotFound }:
                store.Change(book => book.Told(network, []));
                break;
            case ReplicatedResult.Refused refused:
                Log.Refused(logger, FactKeys.Hex(network), refused.Text);
                break;
            default:
                break;
        }

        bool isFull = _confirmed.Contains(network) && store.Current.Current.CountOf(network) >= wanted;
        _notBefore[network] = isFull ? TimeSpan.Zero : time.GetElapsedTime(_started) + Again;
    }

    private Task<ReplicatedResult> GrantAsync(UInt128 network, Guid holder, Guid instead, CancellationToken token) =>
        proposals.ProposeAsync(new ReplicatedCommand.GrantReserve(new NetworkUid(Uid.ToGuid(network)), NodeUid, holder, instead), Patience, token);

    private void Tell(UInt128 network, int more)
    {
        if (more > 0 && catalog.Current.Current.View.NetworksByUid.TryGetValue(network, out Catalog.View.Network? known))
        {
            events.Add("ReserveFilled", $"node {self.Name} has {more} more address{(more == 1 ? "" : "es")} of {known.Name} in its emergency reserve", self.Id.ToString(), known.Name);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1270, LogLevel.Warning, "The emergency reserve waits: {Cause}")]
        public static partial void Waiting(ILogger logger, string cause);

        [LoggerMessage(1271, LogLevel.Warning, "The emergency reserve of network {Network} was refused: {Cause}")]
        public static partial void Refused(ILogger logger, string network, string cause);

        [LoggerMessage(1272, LogLevel.Warning, "The record of this node's emergency reserves ({Before}) was lost and is followed by {Now}; what was in them is not given out again")]
        public static partial void Followed(ILogger logger, Guid before, Guid now);
    }
}

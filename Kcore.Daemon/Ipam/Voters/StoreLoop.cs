using Kcore.Daemon.Catalog;
using Kcore.Daemon.Cluster;
using Kcore.Daemon.Cluster.Consensus;
using Kcore.Daemon.Cluster.Founding;
using Kcore.Daemon.Cluster.Streams;
using Kcore.Daemon.Ipam.Ledger;
using Kcore.Daemon.Reconciliation;
using Kcore.Raft;
using Microsoft.Extensions.Logging;

namespace Kcore.Daemon.Ipam.Voters;

/// <summary>
/// Keeps this node able to receive the log: opens its store again after the disk failed, and has a new store registered
/// with the cluster, and asks the others who leads when nobody tells. Level-triggered, so it also brings nodes forward that
/// joined before they had a store.
/// </summary>
internal sealed partial class StoreLoop(
    LocalNode self, ClusterLoop cluster, CatalogHub catalog, ClusterLedger ledger, LeaderRoute route, ProposalClient proposals, TimeProvider time, Random random, ILogger logger)
{
    private static readonly TimeSpan Pace = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    /// <summary>An election that succeeds is over by then.</summary>
    private static readonly TimeSpan LeaderlessMax = TimeSpan.FromSeconds(3);

    private readonly Backoff _backoff = new(TimeSpan.FromSeconds(2), TimeSpan.FromMinutes(1), random);
    private TimeSpan _mendAt;
    private string? _refusal;

    public async Task RunAsync(CancellationToken stoppingToken)
    {
        long started = time.GetTimestamp();
        while (true)
        {
            if (cluster.State.Current is { Phase: ClusterPhase.Member, Cluster: { } here })
            {
                await MendAsync(here, time.GetElapsedTime(started), stoppingToken);
                await RegisterAsync(stoppingToken);
                await LookForLeaderAsync(stoppingToken);
            }

            await Task.Delay(Pace, time, stoppingToken);
        }
    }

    private async Task MendAsync(ClusterRef here, TimeSpan now, CancellationToken token)
    {
        if (ledger.Damage is null)
        {
            _backoff.Reset();
            _mendAt = now;
        }
        else if (now >= _mendAt)
        {
            bool others = catalog.Current.Current.View.Voters.Any(v => v != self.Id);
            await ledger.MendAsync(here, others, token);
            _mendAt = now + _backoff.Next();
        }
    }

    // Who was removed is not on the list and does not put itself back there.
    private async Task RegisterAsync(CancellationToken token)
    {
        if (ledger.Status is not { Fault: ConsensusFault.None } status
            || catalog.Current.Current.View.Admissions.FirstOrDefault(a => a.Node == self.Id) is not { } admission
            || admission.Store == ledger.Store)
        {
            return;
        }

        try
        {
            ReplicatedResult result = await proposals.ProposeAsync(new ReplicatedCommand.NodeAdd(status.Self, self.Name), Patience, token);
            string? refusal = (result as ReplicatedResult.Refused)?.Text;
            if (refusal is not null && refusal != _refusal)
            {
                Log.Refused(logger, refusal);
            }

            _refusal = refusal;
            if (refusal is null)
            {
                Log.Registered(logger, status.Self);
                await WaitForCopyAsync(token);
            }
        }
        catch (RefusedException)
        {
            // No quorum now; the next turn tries again.
        }
    }

    // What comes of it is the route's to remember.
    private async Task LookForLeaderAsync(CancellationToken token)
    {
        if (ledger.Status is { Fault: ConsensusFault.None, IsMember: true, LeaderlessSince: { } since } && time.GetUtcNow() - since >= LeaderlessMax)
        {
            await route.AskAsync(StreamKind.LogReport, default, token);
        }
    }

    // The answer may come before the catalog's copy of it, and asking again would be one more entry of the log.
    private async Task WaitForCopyAsync(CancellationToken token)
    {
        using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(token);
        await Task.WhenAny(
            catalog.Current.WhenAsync(s => s.View.Admissions.Any(a => a.Node == self.Id && a.Store == ledger.Store), either.Token),
            Task.Delay(Patience, time, either.Token));
        await either.CancelAsync();
    }

    private static partial class Log
    {
        [LoggerMessage(1230, LogLevel.Information, "Registered as {Member} with the cluster's log")]
        public static partial void Registered(ILogger logger, MemberId member);

        [LoggerMessage(1231, LogLevel.Error, "The cluster does not take this node's store: {Cause}")]
        public static partial void Refused(ILogger logger, string cause);
    }
}

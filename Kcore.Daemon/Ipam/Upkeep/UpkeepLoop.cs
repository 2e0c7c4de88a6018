using Kcore.Daemon.Catalog;
using Kcore.Daemon.Catalog.Facts;
using Kcore.Daemon.Cluster;
using Kcore.Daemon.Ipam.Ledger;
using Kcore.Daemon.Storage.Events;
using Microsoft.Extensions.Logging;

namespace Kcore.Daemon.Ipam.Upkeep;

/// <summary>
/// What the leader does for the replicated state by itself: moves its clock, marks leases that lost their NIC, gives up moves
/// that nobody completes, has the members compare their states.
/// </summary>
internal sealed partial class UpkeepLoop(ClusterLedger ledger, CatalogHub catalog, ProposalClient proposals, EventLog events, TimeProvider time, ILogger logger)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);

    // In one turn; the others follow in the next.
    private const int MarksMax = 64;

    private readonly ClockKeeper _clock = new();
    private readonly OrphanWatch _orphans = new();
    private readonly MoveWatch _moves = new();
    private readonly StateChecks _checks = new();
    private readonly long _started = time.GetTimestamp();

    private TimeSpan Now => time.GetElapsedTime(_started);

    public async Task RunAsync(CancellationToken stoppingToken)
    {
        using var turns = new PeriodicTimer(Pause, time);
        while (await turns.WaitForNextTickAsync(stoppingToken))
        {
            if (ledger.Open is not { } open)
            {
                continue;
            }

            // In this order: the clock may say of what was applied only that it was before now.
            ulong seen = open.State.AppliedIndex;
            _clock.Hear(open, open.State.Clock, Now);
            if (!ledger.Leads)
            {
                _orphans.Forget();
                _moves.Forget();
                _checks.Forget();
                continue;
            }

            try
            {
                await DoAsync(open, seen, stoppingToken);
            }
            catch (RefusedException e)
            {
                Log.Waiting(logger, e.Problem.Message);
            }
        }
    }

    private async Task DoAsync(OpenLedger open, ulong seen, CancellationToken token)
    {
        CatalogSnapshot facts = catalog.Current.Current;
        if (_clock.Due(facts.View.Pools.Values.Any(p => p.Resting > 0), seen, Now) is { } advance)
        {
            await ProposeAsync(advance, token);
        }

        foreach (ReplicatedCommand mark in _orphans.Due(facts, Now).Take(MarksMax))
        {
            await MarkAsync(mark, facts, token);
        }

        foreach (ReplicatedCommand.AbortMove abort in _moves.Due(facts.View, Now).Take(MarksMax))
        {
            if (await ProposeAsync(abort, token) && facts.View.Moves.FirstOrDefault(m => m.Move == Uid.FromGuid(abort.Move)) is { } move)
            {
                string? network = facts.View.NetworksByUid.TryGetValue(move.Network, out Catalog.View.Network? known) ? known.Name : null;
                events.Add("MoveAborted", $"the move of NIC {move.Name} to node {facts.NameOf(move.To)} was not completed within {MoveWatch.Limit.TotalMinutes:0} minutes and is given up", move.From.ToString(), network);
            }
        }

        if (_checks.IsDue(open.State.AppliedIndex, Now))
        {
            await CheckAsync(token);
            _checks.Done(open.State.AppliedIndex, Now);
        }
    }

    private async Task MarkAsync(ReplicatedCommand mark, CatalogSnapshot facts, CancellationToken token)
    {
        if (!await ProposeAsync(mark, token))
        {
            return;
        }

        (string type, string what, AttachmentId attachment) = mark switch
        {
            ReplicatedCommand.MarkOrphaned orphaned => ("AddressOrphaned", "has lost its NIC and stays held; see kctl get ips", orphaned.Attachment),
            ReplicatedCommand.Adopt adopted => ("AddressAdopted", "has its NIC again", adopted.Attachment),
            _ => throw new ArgumentOutOfRangeException(nameof(mark), mark.GetType().Name, "no mark"),
        };
        if (facts.View.Leases.TryGetValue(Uid.FromGuid(attachment.Value), out LeaseFact? lease))
        {
            string? network = facts.View.NetworksByUid.TryGetValue(lease.Network, out Catalog.View.Network? known) ? known.Name : null;
            events.Add(type, $"{lease.Address} of NIC {lease.NicName} {what}", lease.Node.ToString(), network, ("attachment", attachment.ToString()));
        }
    }

    private async Task CheckAsync(CancellationToken token)
    {
        if (await proposals.ProposeAsync(new ReplicatedCommand.HashState(), Patience, token) is ReplicatedResult.Hashed hashed)
        {
            await ProposeAsync(new ReplicatedCommand.CompareState(hashed.Index, hashed.Hash), token);
        }
    }

    private async Task<bool> ProposeAsync(ReplicatedCommand command, CancellationToken token)
    {
        if (await proposals.ProposeAsync(command, Patience, token) is ReplicatedResult.Refused refused)
        {
            Log.Refused(logger, command.GetType().Name, refused.Text);
            return false;
        }

        return true;
    }

    private static partial class Log
    {
        [LoggerMessage(1260, LogLevel.Warning, "Upkeep of the addresses waits: {Cause}")]
        public static partial void Waiting(ILogger logger, string cause);

        [LoggerMessage(1261, LogLevel.Information, "{Command} was refused: {Cause}")]
        public static partial void Refused(ILogger logger, string command, string cause);
    }
}

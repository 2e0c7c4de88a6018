using System.Collections.Immutable;
using System.Globalization;
using Kcore.Daemon.Catalog;
using Kcore.Daemon.Dataplane.Desired;
using Kcore.Daemon.Dataplane.Observed;
using Kcore.Daemon.Reconciliation;
using Kcore.Daemon.Storage.Events;
using Microsoft.Extensions.Logging;

namespace Kcore.Daemon.Dataplane.Facts;

/// <summary>Publishes what the data plane did, and turns it into events.</summary>
internal sealed partial class DataplaneReports(LocalNode self, EventLog events, TimeProvider time, ILogger logger) : IDataplaneObserver
{
    private readonly SpoofingEvents _spoofing = new();
    private readonly FightBook _fights = new();
    private long _repairs;

    public Published<ReconcileStatus> Status { get; } = new(ReconcileStatus.None);

    /// <summary>Objects put back since the start.</summary>
    public long Repairs => Volatile.Read(ref _repairs);

    /// <summary>Objects that somebody keeps changing back at this moment.</summary>
    public ImmutableArray<Fight> Fights => _fights.At(time.GetUtcNow());

    public void DriftRepaired(DriftRepair repair)
    {
        Interlocked.Increment(ref _repairs);
        double? milliseconds = repair.SinceNotification?.TotalMilliseconds;
        string took = milliseconds is { } ms ? $"{ms:0.0}" : "";
        Log.Repaired(logger, repair.Object, took, repair.Count);
        Fight? fight = repair.IsFight ? _fights.Note(repair, time.GetUtcNow(), repair.Object.StartsWith("nft", StringComparison.Ordinal) ? () => null : NetworkPrograms.Running) : null;
        if (repair.IsFight && fight is null)
        {
            // It was told, and the status goes on showing it.
            return;
        }

        events.Add(
            fight is null ? "DriftRepaired" : "DriftFight",
            fight is null
                ? $"{repair.Object} was changed by {repair.By ?? "somebody else"} and put back"
                : $"{fight}; repaired at most once a second",
            self.Id.ToString(),
            repair.Network.Length == 0 ? null : repair.Network,
            ("object", repair.Object),
            ("milliseconds", took),
            ("by", fight?.By ?? repair.By ?? ""));
    }

    public void Reconciled(ReconcileStatus status)
    {
        ReconcileStatus before = Status.Current;
        foreach ((string network, NetworkHealth health) in status.Networks)
        {
            bool known = before.Networks.TryGetValue(network, out NetworkHealth? last);
            if (health.Failure is { } failure && (!known || last!.Failure != failure))
            {
                events.Add("NetworkFailed", $"network '{network}': {failure}", self.Id.ToString(), network);
            }
            else if (health.IsReady && (!known || !last!.IsReady))
            {
                events.Add("NetworkReady", $"network '{network}' is ready on node {self.Name}", self.Id.ToString(), network);
            }
        }

        foreach (FirewallBlock block in status.Blocks.Except(before.Blocks))
        {
            events.Add("FirewallBlocks", block.ToString(), self.Id.ToString(), null, ("table", $"{block.Family} {block.Table}"), ("chain", block.Chain), ("hook", block.Hook), ("rule", block.Rule));
        }

        foreach (FirewallBlock block in before.Blocks.Except(status.Blocks))
        {
            events.Add("FirewallCleared", $"{block.Traffic}: no longer dropped by {block.Rule} of chain {block.Chain} in table {block.Family} {block.Table}", self.Id.ToString(), null, ("table", $"{block.Family} {block.Table}"), ("chain", block.Chain), ("hook", block.Hook), ("rule", block.Rule));
        }

        foreach (GuestDrop drop in _spoofing.New(status))
        {
            Log.Dropped(logger, drop.Nic, drop.Network, drop.Reason, drop.Count.Packets);
            events.Add(
                "SpoofingDropped",
                $"NIC '{drop.Nic}' sends {SpoofingEvents.Describe(drop.Reason)}; {drop.Count.Packets} frames were dropped at its port since it was attached",
                self.Id.ToString(),
                drop.Network,
                ("nic", drop.Nic),
                ("device", drop.Device),
                ("reason", drop.Reason.ToString().ToLowerInvariant()),
                ("packets", drop.Count.Packets.ToString(CultureInfo.InvariantCulture)));
        }

        Status.Replace(status);
    }

    private static partial class Log
    {
        [LoggerMessage(1410, LogLevel.Warning, "DriftRepaired: {Object} put back after {Milliseconds} ms (time {Count} within 10 s)")]
        public static partial void Repaired(ILogger logger, string @object, string milliseconds, int count);

        [LoggerMessage(1411, LogLevel.Warning, "SpoofingDropped: NIC {Nic} of {Network}, {Reason}: {Packets} frames so far")]
        public static partial void Dropped(ILogger logger, string nic, string network, DropReason reason, ulong packets);
    }
}

using System.Collections.Immutable;
using Kcore.Daemon.Catalog;
using Kcore.Daemon.Catalog.Facts;
using Kcore.Daemon.Catalog.Networks;
using Kcore.Daemon.Catalog.View;
using Kcore.Daemon.Cluster.Founding;
using Kcore.Daemon.Ipam.Ledger;
using Kcore.Daemon.Storage;
using Kcore.Gossip;
using Microsoft.Extensions.Logging;

namespace Kcore.Daemon.Ipam.Removal;

/// <summary>
/// Buries what a removed node has stated, on every node for itself. What it decided about overlays outlives it: another
/// node repeats it first, and only then is the origin dropped. Level-triggered on the catalog, so that nodes which were
/// away, or start again, catch up.
/// </summary>
internal sealed partial class RemovalLoop(
    LocalNode self, ClusterLoop cluster, CatalogHub catalog, ClusterLedger ledger, TimeProvider time, ILogger logger)
{
    private static readonly TimeSpan Recheck = TimeSpan.FromSeconds(1);

    /// <summary>The leader repeats at once. After this long every node that still misses it does: there may be no leader.</summary>
    private static readonly TimeSpan LeaderPatience = TimeSpan.FromSeconds(10);

    /// <summary>How long a removed node is still listened to, so that it hears of its removal from us.</summary>
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(2);

    private readonly Dictionary<NodeId, TimeSpan> _since = [];
    private readonly HashSet<NodeId> _buried = [];
    private readonly long _started = time.GetTimestamp();

    public async Task RunAsync(CancellationToken stoppingToken)
    {
        while (true)
        {
            (CatalogSnapshot facts, long revision) = catalog.Current.Read();
            TimeSpan now = time.GetElapsedTime(_started);
            bool waits = false;
            foreach (NodeId node in facts.View.Removals.Keys.Where(n => n != self.Id).Order())
            {
                _since.TryAdd(node, now);
                waits |= !await BuryAsync(node, facts, now - _since[node], stoppingToken);
            }

            // What did not happen must not stay registered: this comes by again and again for as long as the daemon lives.
            using CancellationTokenSource woken = CancellationTokenSource.CreateLinkedTokenSource(stoppingToken);
            Task change = catalog.Current.ChangedSince(revision, woken.Token);
            await (waits ? Task.WhenAny(change, Task.Delay(Recheck, time, woken.Token)) : change);
            await woken.CancelAsync();
            stoppingToken.ThrowIfCancellationRequested();
        }
    }

    /// <summary>What a removed node said last about overlays, deletions included, in the words of another one.</summary>
    internal static ImmutableArray<ClaimFact> Inherited(CatalogView view, NodeId removed, NodeId heir) =>
    [
        .. view.Verdicts.Where(v => v.Stamp.Node == removed).Select(v => Claims.Stamped(v, v.Stamp.Counter + 1, heir)),
    ];

    /// <summary>True when nothing is left to do.</summary>
    private async Task<bool> BuryAsync(NodeId node, CatalogSnapshot facts, TimeSpan known, CancellationToken token)
    {
        Member? member = facts.Gossip.Members.Find(node);
        if (_buried.Contains(node) && member is null)
        {
            return true;
        }

        try
        {
            ImmutableArray<ClaimFact> inherited = Inherited(facts.View, node, self.Id);
            if (!inherited.IsEmpty)
            {
                if (ledger.Leads || known >= LeaderPatience)
                {
                    await cluster.PutAsync([.. inherited.Select(c => new LocalWrite(FactKeys.Claim(c.Name, c.Home), (ushort)FactKind.Claim, FactCodec.Encode(c)))], token);
                }

                return false;
            }

            if (member is { IsActive: true } && known < Grace)
            {
                return false;
            }

            await cluster.ForgetAsync(node, token);
            _buried.Add(node);
            Log.Buried(logger, node.Short, facts.View.Removals[node].Name);
            return true;
        }
        catch (Exception e) when (e is InvalidOperationException or StorageException)
        {
            // Between two clusters, or the disk is full; the next turn tries again.
            Log.NotNow(logger, node.Short, e.Message);
            return false;
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1250, LogLevel.Information, "Node {Node} ({Name}) was removed from the cluster; what it stated is forgotten")]
        public static partial void Buried(ILogger logger, string node, string name);

        [LoggerMessage(1251, LogLevel.Debug, "Removed node {Node} is not forgotten yet: {Cause}")]
        public static partial void NotNow(ILogger logger, string node, string cause);
    }
}

using System.Collections.Immutable;
using System.Globalization;
using Kcore.Daemon.Catalog.Facts;
using Kcore.Daemon.Catalog.View;
using Kcore.Daemon.Cluster.Founding;
using Kcore.Daemon.Cluster.Members;
using Kcore.Daemon.Reconciliation;
using Kcore.Gossip;
using Microsoft.Extensions.Logging;

namespace Kcore.Daemon.Catalog;

/// <summary>The facts, what they mean, and the members they come from, at one moment.</summary>
internal sealed record CatalogSnapshot(GossipView Gossip, CatalogView View)
{
    public string Digest => Gossip.Digest.ToString("x16", CultureInfo.InvariantCulture);

    public string NameOf(NodeId node) =>
        Gossip.Members.Find(node)?.Name ?? (View.Nodes.TryGetValue(node, out NodeFact? fact) ? fact.Name : node.Short);

    /// <summary>By name or by id.</summary>
    public NodeId? FindNode(string nameOrId)
    {
        Member? member = NodeId.TryParse(nameOrId, out NodeId id)
            ? Gossip.Members.Find(id)
            : Gossip.Members.Members.FirstOrDefault(m => string.Equals(m.Name, nameOrId, StringComparison.Ordinal));
        return member?.Id;
    }
}

/// <summary>Turns every new state of gossip into its meaning and publishes both together.</summary>
internal sealed partial class CatalogHub(ClusterLoop cluster, TimeProvider time, ILogger logger)
{
    // The whole meaning is made anew each time. With many facts in a rush that is most of what this node would do, so
    // after each time it rests for as many times as long, which nobody notices where there are few.
    private const int RestFactor = 9;
    private static readonly TimeSpan RestMax = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan RestMin = TimeSpan.FromMilliseconds(5);

    public Published<CatalogSnapshot> Current { get; } = new(new CatalogSnapshot(cluster.View.Current, CatalogView.Empty));

    private readonly FactMemory _facts = new();

    public async Task RunAsync(CancellationToken stoppingToken)
    {
        while (true)
        {
            (GossipView gossip, long revision) = cluster.View.Read();
            CatalogSnapshot last = Current.Current;

            // Members change far more often than facts; as long as these do not, gossip hands on the very same list.
            long begun = time.GetTimestamp();
            CatalogView view = gossip.Entries == last.Gossip.Entries ? last.View : Build(gossip.Entries);
            TimeSpan rest = time.GetElapsedTime(begun) * RestFactor;
            Current.Replace(new CatalogSnapshot(gossip, view));
            if (gossip.Digest != last.Gossip.Digest)
            {
                // Not where it is learnt: that thread has the next node to tell.
                Log.Learnt(logger, gossip.Since, gossip.Digest);
            }

            if (rest >= RestMin)
            {
                await Task.Delay(rest < RestMax ? rest : RestMax, time, stoppingToken);
            }

            await cluster.View.ChangedSince(revision, stoppingToken);
        }
    }

    private CatalogView Build(ImmutableArray<CatalogEntry> entries)
    {
        CatalogView view = CatalogViewBuilder.Build(entries, _facts.Read);
        _facts.Trim(entries);
        return view;
    }

    private static partial class Log
    {
        [LoggerMessage(1126, LogLevel.Debug, "Since {Since:O} the catalog's digest is {Digest:x16}")]
        public static partial void Learnt(ILogger logger, DateTimeOffset since, ulong digest);
    }
}

using System.Text;
using Kcore.Gossip;
using Kcore.Simulation.Engine;
using Kcore.Simulation.Engine.Checks;

namespace Kcore.Simulation.Gossip;

/// <summary>Facts above a gap that nobody can fill any more: the owner is gone for good, and some saw more of it than others.</summary>
public sealed class OrphanedFactsTests
{
    private static readonly byte[] s_gap = Encoding.UTF8.GetBytes("the gap");

    private static LocalWrite Write(string key, string value) => new(key, 1, Encoding.UTF8.GetBytes(value));

    private static GossipCluster Started(ulong seed, int count)
    {
        var cluster = new GossipCluster(seed, count);
        cluster.Checks.AddRange([new ProgressCheck(cluster), new VisibilityCheck(cluster), new BoundsCheck(cluster)]);
        cluster.StartAll();
        cluster.RunUntil(() => cluster.AllSeeAll() && cluster.InSync(), TimeSpan.FromSeconds(30), "everybody knows everybody");
        return cluster;
    }

    /// <summary>What a node shows of an owner, oldest first.</summary>
    private static List<string> Shown(SimulatedNode node, NodeId owner) =>
        [.. node.Core!.Catalog.Find(owner)?.Entries.Where(e => !e.IsTombstone).Select(e => e.Key).Order(StringComparer.Ordinal) ?? Enumerable.Empty<string>()];

    private static void Isolate(GossipCluster cluster, SimulatedNode owner, params int[] witnesses)
    {
        foreach (SimulatedNode node in cluster.Nodes.Where(n => n != owner))
        {
            foreach (SimulatedNode other in cluster.Nodes.Where(n => n != node && (n != owner || !witnesses.Contains(node.Index))))
            {
                cluster.Network.Cut(node.Index, other.Index);
                cluster.Network.Cut(other.Index, node.Index);
            }
        }
    }

    /// <summary>The owner writes one fact that nobody gets and the given ones, which only the witness gets.</summary>
    private static void Tell(GossipCluster cluster, SimulatedNode owner, int witness, params string[] keys)
    {
        cluster.Network.Mend();
        Isolate(cluster, owner, witness);
        cluster.Network.Swallow = payload => payload.Span.IndexOf(s_gap) >= 0;
        cluster.Put(owner, Write($"gap-{witness}", "the gap"));
        cluster.RunFor(TimeSpan.FromMilliseconds(20));
        foreach (string key in keys)
        {
            cluster.Put(owner, Write(key, "above it"));
        }

        cluster.RunFor(TimeSpan.FromMilliseconds(3));
        cluster.Network.Mend();
        Isolate(cluster, owner);
        cluster.RunFor(TimeSpan.FromMilliseconds(10));
        cluster.Network.Swallow = null;
    }

    [Theory]
    [InlineData(3)]
    [InlineData(7)]
    public void Nodes_that_saw_different_facts_of_an_owner_that_is_gone_end_up_showing_the_same(int count)
    {
        for (ulong seed = 1; seed <= 10; seed++)
        {
            GossipCluster cluster = Started(seed, count);
            SimulatedNode owner = cluster.Nodes[count - 1];
            cluster.Put(owner, Write("known", "to all"));
            cluster.RunUntil(cluster.InSync, TimeSpan.FromSeconds(5), "the first fact is everywhere");
            Tell(cluster, owner, 0, "seen-by-first");
            Tell(cluster, owner, 1, "seen-by-second", "too");
            cluster.Crash(owner, loseWriteBehind: false, hostIsUp: false);
            Assert.Equal(["known", "seen-by-first"], Shown(cluster.Nodes[0], owner.Id));
            Assert.Equal(["known", "seen-by-second", "too"], Shown(cluster.Nodes[1], owner.Id));
            // Whatever rumors there were have ended before the survivors meet again.
            cluster.RunFor(TimeSpan.FromSeconds(2));
            Assert.NotEqual(cluster.Nodes[0].Core!.CatalogDigest, cluster.Nodes[1].Core!.CatalogDigest);
            cluster.Network.Mend();
            cluster.RunUntil(
                () => cluster.Running.Select(n => n.Core!.CatalogDigest).Distinct().Count() == 1, TimeSpan.FromSeconds(5), "equal catalogs");
            Assert.All(cluster.Running, n => Assert.Equal(["known", "seen-by-first", "seen-by-second", "too"], Shown(n, owner.Id)));
            // The owner was not gone for good after all: it alone knows what the gap was.
            cluster.Start(owner, [cluster.Nodes[0].Endpoint]);
            cluster.RunUntil(() => cluster.InSync() && cluster.AllSeeAll(), TimeSpan.FromSeconds(10), "the owner is back");
            Assert.All(cluster.Running, n => Assert.Equal(6, Shown(n, owner.Id).Count));
        }
    }

    [Fact]
    public void A_fact_of_an_owner_of_whom_nothing_else_was_ever_heard_is_shown_by_all_or_none()
    {
        for (ulong seed = 1; seed <= 10; seed++)
        {
            GossipCluster cluster = Started(seed, 4);
            SimulatedNode owner = cluster.Nodes[3];
            Tell(cluster, owner, 0, "seen-by-first");
            cluster.Crash(owner, loseWriteBehind: false, hostIsUp: false);
            Assert.Equal(["seen-by-first"], Shown(cluster.Nodes[0], owner.Id));
            cluster.RunFor(TimeSpan.FromSeconds(2));
            cluster.Network.Mend();
            cluster.RunFor(TimeSpan.FromSeconds(5));
            Assert.True(cluster.Running.Select(n => n.Core!.CatalogDigest).Distinct().Count() == 1, $"seed {seed}: catalogs differ");
            Assert.All(cluster.Running, n => Assert.Equal(["seen-by-first"], Shown(n, owner.Id)));
        }
    }

    [Fact]
    public void Who_restarts_gets_what_floats_from_the_others()
    {
        GossipCluster cluster = Started(5, 3);
        SimulatedNode owner = cluster.Nodes[2];
        Tell(cluster, owner, 0, "seen-by-first", "large");
        cluster.Crash(owner, loseWriteBehind: false, hostIsUp: false);
        cluster.Network.Mend();
        cluster.RunFor(TimeSpan.FromSeconds(5));
        cluster.Crash(cluster.Nodes[1], loseWriteBehind: false);
        cluster.Start(cluster.Nodes[1], [cluster.Nodes[0].Endpoint]);
        cluster.RunUntil(cluster.InSync, TimeSpan.FromSeconds(10), "equal again");
        Assert.Equal(["large", "seen-by-first"], Shown(cluster.Nodes[1], owner.Id));
    }

    [Fact]
    public void An_owner_that_lost_its_last_facts_hears_of_them_and_starts_over()
    {
        for (ulong seed = 1; seed <= 10; seed++)
        {
            GossipCluster cluster = Started(seed, 4);
            SimulatedNode owner = cluster.Nodes[3];
            cluster.Put(owner, Write("known", "to all"));
            cluster.RunUntil(cluster.InSync, TimeSpan.FromSeconds(5), "the first fact is everywhere");
            cluster.Crash(owner, loseWriteBehind: false);
            SimulatedDisk backup = owner.Disk.Copy();
            cluster.Start(owner, [cluster.Nodes[0].Endpoint]);
            cluster.RunUntil(() => cluster.InSync() && cluster.AllSeeAll(), TimeSpan.FromSeconds(10), "back");
            Tell(cluster, owner, 0, "seen-by-first");
            cluster.Crash(owner, loseWriteBehind: false);
            cluster.Truth.Forsake(owner.Id);
            owner.Disk = backup;
            cluster.RunFor(TimeSpan.FromSeconds(2));
            cluster.Network.Mend();
            cluster.Start(owner, [cluster.Nodes[1].Endpoint]);
            cluster.RunUntil(() => cluster.InSync() && cluster.AllSeeAll(), TimeSpan.FromSeconds(20), "one content");
            Assert.All(cluster.Running, n => Assert.Equal(["known"], Shown(n, owner.Id)));
        }
    }
}

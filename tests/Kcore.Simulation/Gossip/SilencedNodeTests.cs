using System.Text;
using Kcore.Gossip;
using Kcore.Simulation.Engine;
using Kcore.Simulation.Engine.Checks;

namespace Kcore.Simulation.Gossip;

/// <summary>A filter drops every datagram of one node; its streams work in both directions.</summary>
public sealed class SilencedNodeTests
{
    [Theory]
    [InlineData(3)]
    [InlineData(8)]
    [InlineData(33)]
    public void Facts_of_a_node_whose_datagrams_are_all_dropped_arrive_by_streams_within_seconds(int count)
    {
        for (ulong seed = 1; seed <= 5; seed++)
        {
            var cluster = new GossipCluster(seed, count);
            cluster.Checks.AddRange([new ProgressCheck(cluster), new VisibilityCheck(cluster), new BoundsCheck(cluster)]);
            cluster.StartAll();
            cluster.RunUntil(() => cluster.AllSeeAll() && cluster.InSync(), TimeSpan.FromSeconds(30), "everybody knows everybody");
            cluster.RunFor(TimeSpan.FromSeconds(5));
            SimulatedNode silent = cluster.Nodes[count - 1];
            cluster.Network.Silence(silent.Index);
            cluster.RunFor(TimeSpan.FromSeconds(2));
            for (int i = 0; i < 5; i++)
            {
                string key = $"fact-{i}";
                cluster.Put(silent, new LocalWrite(key, 1, Encoding.UTF8.GetBytes("unheard")));
                cluster.RunUntil(
                    () => cluster.Running.All(n => n.Core!.Catalog.Find(silent.Id)?.Find(key) is not null), TimeSpan.FromSeconds(4), $"fact {i} by streams");
                cluster.RunFor(TimeSpan.FromSeconds(1.7));
            }

            // And what the others write reaches it as it always did.
            cluster.Put(cluster.Nodes[0], new LocalWrite("answer", 1, Encoding.UTF8.GetBytes("heard")));
            cluster.RunUntil(() => silent.Core!.Catalog.Find(cluster.Nodes[0].Id)?.Find("answer") is not null, TimeSpan.FromSeconds(1), "the answer");
        }
    }
}

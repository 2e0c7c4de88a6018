using Kcore.SystemTests.Lab;
using Kcore.TestKit;
using Kcore.TestKit.Lan;
using Xunit.Abstractions;

namespace Kcore.SystemTests.Cluster;

/// <summary>Three nodes and one more, with a clock in hand.</summary>
[Collection(Alone.Name)]
public sealed class GrowthTests(ITestOutputHelper output)
{
    [SkippableFact]
    public Task B014_B108_Three_nodes_find_each_other_by_mDNS_and_a_fourth_is_programmed_within_two_seconds() => OwnLan.OnAsync(4, output, async lan =>
    {
        LanNode[] three = [.. lan.Nodes.Take(3)];
        LanNode fourth = lan.Nodes[3];
        foreach (LanNode node in three)
        {
            node.Start(new DaemonSettings { Mdns = true });
        }

        TimeSpan formed = await NodeLan.OneClusterAsync(three, TimeSpan.FromSeconds(20));
        output.WriteLine($"three nodes, one cluster after {formed.TotalSeconds:0.0} s");
        await using TestNetwork network = await TestNetwork.CreateAsync(lan, three, "growing", "10.60.0");
        await network.AttachAsync(three[0], "g1");
        await network.AttachAsync(three[1], "g2");
        await network.ForwardingIsExactAsync(TimeSpan.FromSeconds(2));
        string indexes = await network.IndexesAsync();

        fourth.Start(new DaemonSettings { Mdns = true });
        await Until.SeenAsync(TimeSpan.FromSeconds(20), "the fourth node is a member", async () =>
            (await three[0].StatusAsync()).Members.Any(m => m.Name == fourth.Name && m.Status == "alive") ? null : "not yet");
        TimeSpan took = await Until.SeenAsync(TimeSpan.FromSeconds(2), "it has its entry on the other three, and they on it", async () =>
        {
            foreach (LanNode node in lan.Nodes)
            {
                if (await Link.FindAsync(node.Namespace, network.Vxlan) is null)
                {
                    return $"{node.Name} has no {network.Vxlan}";
                }

                string[] floods = [.. (await FdbEntry.OfAsync(node.Namespace, network.Vxlan)).Where(e => e.IsFlood).Select(e => e.Destination).Order(StringComparer.Ordinal)];
                string[] peers = [.. lan.Nodes.Where(n => n != node).Select(n => n.Address).Order(StringComparer.Ordinal)];
                if (!floods.SequenceEqual(peers))
                {
                    return $"{node.Name} floods to [{string.Join(' ', floods)}], expected [{string.Join(' ', peers)}]";
                }
            }

            return null;
        });
        output.WriteLine($"fourth node programmed everywhere {took.TotalMilliseconds:0} ms after it was a member");
        Assert.Equal(indexes, await network.IndexesAsync());
    });
}

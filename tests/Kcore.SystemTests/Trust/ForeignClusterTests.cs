using System.Security.Cryptography;
using Kcore.Contracts;
using Kcore.SystemTests.Lab;
using Kcore.TestKit;
using Kcore.TestKit.Lan;
using Xunit.Abstractions;

namespace Kcore.SystemTests.Trust;

/// <summary>Clusters that share a LAN and nothing else.</summary>
public sealed class ForeignClusterTests(ITestOutputHelper output)
{
    private static readonly TimeSpan Watched = TimeSpan.FromSeconds(30);

    [SkippableFact]
    public Task Clusters_with_other_keys_and_one_with_the_same_key_never_mix() => OwnLan.OnAsync(5, output, async lan =>
    {
        LanNode[] red = [lan.Nodes[0], lan.Nodes[1]];
        LanNode[] blue = [lan.Nodes[2], lan.Nodes[3]];
        LanNode[] green = [lan.Nodes[4]];
        string foreign = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(32));

        // The third has the key of the first, but was founded, and used, apart.
        await lan.PartitionAsync(green[0]);
        foreach (LanNode node in red.Concat(green))
        {
            node.Start();
        }

        foreach (LanNode node in blue)
        {
            node.Start(new DaemonSettings { Key = foreign });
        }

        LanNode[][] clusters = [red, blue, green];
        string[] names = ["red", "blue", "green"];
        for (int i = 0; i < clusters.Length; i++)
        {
            await NodeLan.OneClusterAsync(clusters[i], TimeSpan.FromSeconds(60));
            (await clusters[i][0].KctlAsync("create", "network", names[i], "--type", "vxlan", "--gateway-ip", $"10.7{i}.0.1")).OrThrow();
        }

        for (int i = 0; i < clusters.Length; i++)
        {
            string name = names[i];
            LanNode first = clusters[i][0];
            await Until.SeenAsync(TimeSpan.FromSeconds(30), $"{name} has addresses", async () =>
                (await first.DescribeNetworkAsync(name)).Addresses is null ? "no pool" : null);
            await NodeLan.OneClusterAsync(clusters[i], TimeSpan.FromSeconds(60));
        }

        string[] ids = [.. await Task.WhenAll(clusters.Select(async c => (await c[0].StatusAsync()).ClusterId!))];
        Assert.Equal(3, ids.Distinct(StringComparer.Ordinal).Count());
        await lan.HealAsync();
        TimeSpan clash = await Until.SeenAsync(TimeSpan.FromSeconds(60), "both clusters with one key report it", async () =>
        {
            StatusReport one = await red[0].StatusAsync(), other = await green[0].StatusAsync();
            return one.Degraded.Any(d => d.StartsWith("ClusterConflict", StringComparison.Ordinal)) && other.Degraded.Any(d => d.StartsWith("ClusterConflict", StringComparison.Ordinal))
                ? null
                : $"red: {string.Join("; ", one.Degraded)} green: {string.Join("; ", other.Degraded)}";
        });
        output.WriteLine($"conflict seen after {clash.TotalSeconds:0.0} s");

        DateTimeOffset end = TimeProvider.System.GetUtcNow() + Watched;
        while (TimeProvider.System.GetUtcNow() < end)
        {
            for (int i = 0; i < clusters.Length; i++)
            {
                foreach (LanNode node in clusters[i])
                {
                    await IsAmongItselfAsync(node, clusters[i], lan.Nodes, ids[i], names[i]);
                }
            }
        }

        Assert.All(await Task.WhenAll(blue.Select(b => b.StatusAsync())), s => Assert.Empty(s.Degraded));
    });

    private static async Task IsAmongItselfAsync(LanNode node, LanNode[] own, IEnumerable<LanNode> all, string cluster, string network)
    {
        StatusReport status = await node.StatusAsync();
        Assert.Equal(cluster, status.ClusterId);
        Assert.Equal(own.Select(n => n.Name).Order(StringComparer.Ordinal), status.Members.Select(m => m.Name).Order(StringComparer.Ordinal));
        NetworkSummary[] networks = [.. (await node.KctlAsync("get", "networks", "-o", "json")).OrThrow().Read(ApiJson.Default.ImmutableArrayNetworkSummary)];
        Assert.Equal(network, Assert.Single(networks).Name);
        string filter = (await Netns.ExecAsync(node.Namespace, "nft", "list", "table", "inet", "kcore")).OrThrow().Stdout;
        foreach (LanNode other in all)
        {
            // As a whole address: .1 is also the beginning of .10.
            bool listed = System.Text.RegularExpressions.Regex.IsMatch(filter, $@"\b{System.Text.RegularExpressions.Regex.Escape(other.Address)}\b(?!\.)", System.Text.RegularExpressions.RegexOptions.None, TimeSpan.FromSeconds(1));
            Assert.True(!listed || own.Contains(other), $"{node.Name} lets {other.Name} of another cluster in:\n{filter}");
        }
    }
}

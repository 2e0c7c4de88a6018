using System.Diagnostics;
using Kcore.Contracts;
using Kcore.SystemTests.Lab;
using Kcore.TestKit;
using Kcore.TestKit.Lan;
using Xunit.Abstractions;

namespace Kcore.SystemTests.Cluster;

/// <summary>How nodes become one cluster. Every test has a LAN of its own.</summary>
public sealed class FormationTests(ITestOutputHelper output)
{
    [SkippableFact]
    public Task B014_B108_Three_nodes_find_each_other_by_mDNS_and_a_fourth_is_programmed_within_two_seconds() => OnLanAsync(4, async lan =>
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
        long? joined = null;
        await Until.SeenAsync(TimeSpan.FromSeconds(20), "the fourth node is a member and has its entry on the other three", async () =>
        {
            if (joined is null && (await three[0].StatusAsync()).Members.Any(m => m.Name == fourth.Name && m.Status == "alive"))
            {
                joined = Stopwatch.GetTimestamp();
            }

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
        TimeSpan took = joined is { } since ? Stopwatch.GetElapsedTime(since) : TimeSpan.Zero;
        output.WriteLine($"fourth node programmed everywhere {took.TotalMilliseconds:0} ms after it was a member");
        Assert.True(took < TimeSpan.FromSeconds(2), $"Expected 2 s from member to programmed on all; it took {took.TotalSeconds:0.0} s");
        Assert.Equal(indexes, await network.IndexesAsync());
    });

    [SkippableFact]
    public Task Nodes_with_discovery_off_become_one_cluster_by_join() => OnLanAsync(3, async lan =>
    {
        foreach (LanNode node in lan.Nodes)
        {
            node.Start(new DaemonSettings { Mdns = false, Join = [lan.Nodes[0].Address] });
        }

        await NodeLan.OneClusterAsync(lan.Nodes, TimeSpan.FromSeconds(20));
    });

    [SkippableFact]
    public Task A_node_without_key_founds_a_cluster_of_one_and_works_at_once() => OnLanAsync(1, async lan =>
    {
        LanNode node = lan.Nodes[0];
        node.Start(new DaemonSettings { SharedKey = false });
        TimeSpan ready = await node.AnswersAsync(TimeSpan.FromSeconds(8));
        await using TestNetwork network = await TestNetwork.CreateAsync(lan, [node], "alone", "10.61.0");
        Guest guest = await network.AttachAsync(node, "only");
        output.WriteLine($"member after {ready.TotalSeconds:0.0} s");
        Assert.Equal("10.61.0.2", guest.Address);
        await guest.PingAsync(network.Gateway);
    });

    [SkippableFact]
    public Task B054_VXLAN_is_not_disabled_under_a_guest() => OnLanAsync(1, async lan =>
    {
        LanNode node = lan.Nodes[0];
        node.Start(new DaemonSettings { SharedKey = false });
        await node.AnswersAsync(TimeSpan.FromSeconds(8));
        await using TestNetwork network = await TestNetwork.CreateAsync(lan, [node], "inuse", "10.64.0");
        Guest guest = await network.AttachAsync(node, "only");
        await node.TerminateAsync();

        node.Start(new DaemonSettings { SharedKey = false, Extra = ["--disable-vxlan"] });
        await node.AnswersAsync(TimeSpan.FromSeconds(8));

        await guest.PingAsync(network.Gateway);
        NodeSummary self = (await node.KctlAsync("get", "nodes", "-o", "json")).OrThrow()
            .Read(ApiJson.Default.ImmutableArrayNodeSummary).Single();
        Assert.False(self.VxlanDisabled);
        Assert.Contains("VXLAN stays enabled", node.LogTail(200), StringComparison.Ordinal);
    });

    [SkippableFact]
    public Task B050_B051_B053_B088_A_node_with_VXLAN_disabled_refuses_overlays_and_takes_no_part() => OnLanAsync(2, async lan =>
    {
        LanNode able = lan.Nodes[0];
        LanNode disabled = lan.Nodes[1];
        able.Start(new DaemonSettings { Mdns = true });
        disabled.Start(new DaemonSettings { Mdns = true, Extra = ["--disable-vxlan"] });
        await NodeLan.OneClusterAsync(lan.Nodes, TimeSpan.FromSeconds(20));
        string digest = await NodeLan.SettledAsync(lan.Nodes);
        await RefusedAsync(disabled, disabled, "create", "network", "nope", "--type", "vxlan", "--gateway-ip", "10.62.0.1");
        await RefusedAsync(able, disabled, "create", "network", "nope", "--type", "vxlan", "--gateway-ip", "10.62.0.1", "--target-node", disabled.Name);
        Assert.Equal(digest, (await able.StatusAsync()).Digest);

        await using TestNetwork network = await TestNetwork.CreateAsync(lan, [able], "partial", "10.63.0");
        KctlResult list = (await able.KctlAsync("get", "networks", "-o", "json")).OrThrow();
        NetworkSummary row = Assert.Single(list.Read(ApiJson.Default.ImmutableArrayNetworkSummary));
        Assert.Equal(1, row.Nodes);
        Assert.DoesNotContain(await Link.AllAsync(disabled.Namespace), l => l.Name.StartsWith("vxlan", StringComparison.Ordinal));
        NodeSummary flagged = (await able.KctlAsync("get", "nodes", "-o", "json")).OrThrow()
            .Read(ApiJson.Default.ImmutableArrayNodeSummary).Single(n => n.Name == disabled.Name);
        Assert.True(flagged.VxlanDisabled);
    });

    private static async Task RefusedAsync(LanNode asked, LanNode disabled, params string[] command)
    {
        KctlResult result = await asked.KctlAsync(command);
        Assert.True(result.ExitCode == 4 && result.Stderr.Contains("Error: FailedPrecondition: ", StringComparison.Ordinal), result.ToString());
        Assert.True(result.Stderr.Contains("VXLAN is disabled", StringComparison.Ordinal), result.ToString());
        string id = (await disabled.StatusAsync()).NodeId;
        Assert.True(
            result.Stderr.Contains(disabled.Name, StringComparison.Ordinal) || result.Stderr.Contains(id, StringComparison.Ordinal),
            $"Expected the text to name {disabled.Name} or {id}: {result}");
    }

    // The daemons' last words go to the output, which is shown when the test fails.
    private async Task OnLanAsync(int nodes, Func<NodeLan, Task> test)
    {
        Requires.Kernel();
        await using NodeLan lan = await NodeLan.CreateAsync(nodes);
        try
        {
            await test(lan);
        }
        finally
        {
            foreach (LanNode node in lan.Nodes)
            {
                output.WriteLine($"--- {node.Name}\n{node.LogTail(60)}");
            }
        }
    }
}

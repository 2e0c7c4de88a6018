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
    public Task Nodes_with_discovery_off_become_one_cluster_by_join() => OwnLan.OnAsync(3, output, async lan =>
    {
        foreach (LanNode node in lan.Nodes)
        {
            node.Start(new DaemonSettings { Mdns = false, Join = [lan.Nodes[0].Address] });
        }

        await NodeLan.OneClusterAsync(lan.Nodes, TimeSpan.FromSeconds(60));
    });

    [SkippableFact]
    public Task A_node_without_key_founds_a_cluster_of_one_and_works_at_once() => OwnLan.OnAsync(1, output, async lan =>
    {
        LanNode node = lan.Nodes[0];
        node.Start(new DaemonSettings { SharedKey = false });
        TimeSpan ready = await node.AnswersAsync(TimeSpan.FromSeconds(30));
        await using TestNetwork network = await TestNetwork.CreateAsync(lan, [node], "alone", "10.61.0");
        Guest guest = await network.AttachAsync(node, "only");
        output.WriteLine($"member after {ready.TotalSeconds:0.0} s");
        Assert.Equal("10.61.0.2", guest.Address);
        await guest.PingAsync(network.Gateway);
    });

    [SkippableFact]
    public Task B054_VXLAN_is_not_disabled_under_a_guest() => OwnLan.OnAsync(1, output, async lan =>
    {
        LanNode node = lan.Nodes[0];
        node.Start(new DaemonSettings { SharedKey = false });
        await node.AnswersAsync(TimeSpan.FromSeconds(30));
        await using TestNetwork network = await TestNetwork.CreateAsync(lan, [node], "inuse", "10.64.0");
        Guest guest = await network.AttachAsync(node, "only");
        await node.TerminateAsync();

        node.Start(new DaemonSettings { SharedKey = false, Extra = ["--disable-vxlan"] });
        await node.AnswersAsync(TimeSpan.FromSeconds(30));

        await guest.PingAsync(network.Gateway);
        NodeSummary self = (await node.KctlAsync("get", "nodes", "-o", "json")).OrThrow()
            .Read(ApiJson.Default.ImmutableArrayNodeSummary).Single();
        Assert.False(self.VxlanDisabled);
        Assert.Contains("VXLAN stays enabled", node.LogTail(200), StringComparison.Ordinal);
    });

    [SkippableFact]
    public Task B050_B051_B053_B055_B088_A_node_with_VXLAN_disabled_refuses_overlays_and_takes_no_part() => OwnLan.OnAsync(2, output, async lan =>
    {
        LanNode able = lan.Nodes[0];
        LanNode disabled = lan.Nodes[1];
        able.Start(new DaemonSettings { Mdns = true });
        disabled.Start(new DaemonSettings { Mdns = true, Extra = ["--disable-vxlan"] });
        await NodeLan.OneClusterAsync(lan.Nodes, TimeSpan.FromSeconds(60));
        string digest = await NodeLan.SettledAsync(lan.Nodes);
        await RefusedAsync(disabled, disabled, "create", "network", "nope", "--type", "vxlan", "--gateway-ip", "10.62.0.1");
        await RefusedAsync(able, disabled, "create", "network", "nope", "--type", "vxlan", "--gateway-ip", "10.62.0.1", "--target-node", disabled.Name);
        Assert.Equal(digest, (await able.StatusAsync()).Digest);

        await using TestNetwork network = await TestNetwork.CreateAsync(lan, [able], "partial", "10.63.0");
        // A node is counted once it has said how it takes part, which is after its devices are there.
        await Until.SeenAsync(TimeSpan.FromSeconds(5), "partial is on one node", async () =>
        {
            KctlResult list = (await able.KctlAsync("get", "networks", "-o", "json")).OrThrow();
            NetworkSummary row = Assert.Single(list.Read(ApiJson.Default.ImmutableArrayNetworkSummary));
            return row.Nodes == 1 ? null : $"it is on {row.Nodes}";
        });
        Assert.DoesNotContain(await Link.AllAsync(disabled.Namespace), l => l.Name.StartsWith("vxlan", StringComparison.Ordinal));

        // Nobody is placed there, neither at once nor by a move.
        await RefusedAsync(disabled, disabled, "attach", "nic", "vm", "--network", network.Name);
        Guest guest = await network.AttachAsync(able, "vm");
        await RefusedAsync(able, disabled, "move", "nic", guest.Name, "--network", network.Name, "--to", disabled.Name);
        await guest.PingAsync(network.Gateway);
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
}

using Kcore.Contracts;
using Kcore.SystemTests.Lab;
using Kcore.TestKit;
using Kcore.TestKit.Lan;

namespace Kcore.SystemTests.Nat;

/// <summary>The network every node has of its own (A7).</summary>
public sealed class DefaultNetworkTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    [SkippableFact]
    public async Task B052_B078_B079_A7_Every_node_has_a_network_default_that_is_hidden_and_cannot_be_made_or_deleted()
    {
        Requires.Kernel();
        await using NodeLan lan = await NodeLan.CreateAsync(2);
        lan.Nodes[0].Start(new DaemonSettings { DefaultNetwork = true });
        lan.Nodes[1].Start(new DaemonSettings { DefaultNetwork = true, Extra = ["--disable-vxlan"] });
        await NodeLan.OneClusterAsync(lan.Nodes, TimeSpan.FromSeconds(60));
        foreach (LanNode node in lan.Nodes)
        {
            await Until.SeenAsync(Patience, $"default is ready on {node.Name}", async () =>
                (await node.DescribeNetworkAsync("default")).Nodes.FirstOrDefault(n => n.Node == node.Name) is { State: "Ready" } ? null : "it is not");
            Assert.NotNull(await Link.FindAsync(node.Namespace, "kbr-default"));
            Assert.Contains("no custom networks", (await node.KctlAsync("get", "networks")).OrThrow().Stdout, StringComparison.Ordinal);
            await Until.SeenAsync(Patience, "one row counts both", async () =>
                (await node.KctlAsync("get", "networks", "--all", "-o", "json")).OrThrow().Read(ApiJson.Default.ImmutableArrayNetworkSummary) is [{ Name: "default", Nodes: 2 }] ? null : "not yet");
            KctlResult create = await node.KctlAsync("create", "network", "default", "--gateway-ip", "10.9.9.1");
            Assert.True(create.ExitCode == 2 && create.Stderr.Contains("reserved", StringComparison.Ordinal), create.ToString());
            KctlResult delete = await node.KctlAsync("delete", "network", "default");
            Assert.True(delete.ExitCode == 2 && delete.Stderr.Contains("default", StringComparison.Ordinal), delete.ToString());
        }

        Guest guest = await lan.AttachAsync(lan.Nodes[1], "default", "vm");
        await guest.PingAsync(NodeLan.Outside);
        DhcpLease? lease = await DhcpExchange.RunAsync(guest.Namespace, "eth0", TimeSpan.FromSeconds(10));
        Assert.Equal(guest.Address, lease?.Address.ToString());
        await lan.DetachAsync(guest);
    }
}

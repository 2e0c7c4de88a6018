using System.Security.Cryptography;
using Kcore.Contracts;
using Kcore.SystemTests.Lab;
using Kcore.TestKit;
using Kcore.TestKit.Lan;
using Xunit.Abstractions;

namespace Kcore.SystemTests.Trust;

/// <summary>What users do first: a node that started without a key is brought into a cluster with one pasted line.</summary>
public sealed class TokenTests(ITestOutputHelper output)
{
    [SkippableFact]
    public Task A_node_with_a_key_of_its_own_joins_by_token_and_one_that_is_in_use_refuses() => OwnLan.OnAsync(3, output, async lan =>
    {
        LanNode first = lan.Nodes[0], late = lan.Nodes[1], busy = lan.Nodes[2];
        first.Start(new DaemonSettings { SharedKey = false });
        await first.AnswersAsync(TimeSpan.FromSeconds(30));
        late.Start(new DaemonSettings { SharedKey = false });
        busy.Start(new DaemonSettings { Key = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(32)) });
        await late.AnswersAsync(TimeSpan.FromSeconds(30));
        await busy.AnswersAsync(TimeSpan.FromSeconds(30));
        foreach ((LanNode node, string subnet) in ((LanNode, string)[])[(first, "10.91.0.1"), (busy, "10.92.0.1")])
        {
            (await node.KctlAsync("create", "network", "used", "--type", "vxlan", "--gateway-ip", subnet)).OrThrow();
            await Until.SeenAsync(TimeSpan.FromSeconds(20), "it has addresses", async () => (await node.DescribeNetworkAsync("used")).Addresses is null ? "no pool" : null);
        }

        await Until.SeenAsync(TimeSpan.FromSeconds(70), "the strangers are discovered as such", async () =>
        {
            LanNeighbour[] heard = [.. (await first.KctlAsync("discover", "-o", "json")).OrThrow().Read(ApiJson.Default.ImmutableArrayLanNeighbour)];
            return heard.Length == 2 && heard.All(h => !h.SharesKey && !h.SameCluster) ? null : string.Join("; ", heard.Select(h => h.ToString()));
        });
        string token = (await first.KctlAsync("cluster", "token")).OrThrow().Stdout.Trim();
        KctlResult refused = await busy.KctlAsync("cluster", "join", token);
        Assert.True(refused.ExitCode == 4 && refused.Stderr.Contains("at home in cluster", StringComparison.Ordinal), refused.ToString());
        KctlResult slip = await late.KctlAsync("cluster", "join", token[..^1]);
        Assert.True(slip.ExitCode == 2, slip.ToString());

        (await late.KctlAsync("cluster", "join", token)).OrThrow();
        TimeSpan took = await NodeLan.OneClusterAsync([first, late], TimeSpan.FromSeconds(60));
        output.WriteLine($"one cluster {took.TotalSeconds:0.0} s after the token was given");
        Assert.Equal("used", Assert.Single((await late.KctlAsync("get", "networks", "-o", "json")).OrThrow().Read(ApiJson.Default.ImmutableArrayNetworkSummary)).Name);
        Assert.Single((await busy.StatusAsync()).Members);
    });
}

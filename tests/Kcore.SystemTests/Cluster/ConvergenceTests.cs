using Kcore.Contracts;
using Kcore.SystemTests.Lab;
using Kcore.TestKit;
using Kcore.TestKit.Lan;
using Xunit.Abstractions;

namespace Kcore.SystemTests.Cluster;

/// <summary>Nodes in contact hold the same catalog within two seconds, whatever was lost before.</summary>
public sealed class ConvergenceTests(ITestOutputHelper output)
{
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(2);

    /// <summary>Largest IP packet that is let through.</summary>
    private const int ProbeBytes = 230;

    [SkippableFact]
    public async Task B110_Two_halves_that_both_wrote_agree_within_two_seconds_of_their_reunion()
    {
        Requires.Kernel();
        await using NodeLan lan = await FormAsync(4);
        LanNode a = lan.Nodes[0], c = lan.Nodes[2];
        await lan.SplitAsync([.. lan.Nodes.Take(2)], [.. lan.Nodes.Skip(2)]);
        await CreateAsync(a, "left", "10.231.0.1");
        await CreateAsync(c, "right", "10.232.0.1");

        // Long enough that each half takes the other for dead.
        await Until.SeenAsync(TimeSpan.FromSeconds(20), "each half takes the other for dead", async () =>
        {
            string[] alive = await Task.WhenAll(lan.Nodes.Select(async n => $"{n.Name} sees {(await n.StatusAsync()).Members.Count(m => m.Status == "alive")} alive"));
            return alive.All(l => l.EndsWith(" 2 alive", StringComparison.Ordinal)) ? null : string.Join(", ", alive);
        });
        await CreateAsync(a, "left2", "10.233.0.1");
        await CreateAsync(c, "right2", "10.234.0.1");

        await lan.HealAsync();
        output.WriteLine($"one digest and all four networks {await AgreeAsync(lan, "left", "left2", "right", "right2")} after the reunion");
    }

    [SkippableFact]
    public async Task B002_B110_B111_Both_halves_keep_forwarding_and_of_two_networks_of_one_name_all_nodes_keep_the_same()
    {
        Requires.Kernel();
        await using NodeLan lan = await FormAsync(4);
        LanNode[] left = [.. lan.Nodes.Take(2)], right = [.. lan.Nodes.Skip(2)];
        await using TestNetwork both = await TestNetwork.CreateAsync(lan, lan.Nodes, "both", "10.240.0");
        Guest[] guests = [.. await Task.WhenAll(lan.Nodes.Select((n, i) => both.AttachAsync(n, $"p{i}")))];
        await both.ForwardingIsExactAsync(Bound);

        await lan.SplitAsync(left, right);
        await using ContinuousPing inLeft = await ContinuousPing.StartAsync(guests[0].Namespace, guests[1].Address, Path.Combine(lan.Directory, "left.log"));
        await using ContinuousPing inRight = await ContinuousPing.StartAsync(guests[2].Namespace, guests[3].Address, Path.Combine(lan.Directory, "right.log"));
        (await left[0].KctlAsync("create", "network", "contested", "--type", "vxlan", "--gateway-ip", "10.241.0.1", "--wait", "--timeout", "15s")).OrThrow();
        (await right[0].KctlAsync("create", "network", "contested", "--type", "vxlan", "--gateway-ip", "10.242.0.1", "--wait", "--timeout", "15s")).OrThrow();
        Assert.Contains("10.241.0.1/24", await AddressesAsync(left[1]), StringComparison.Ordinal);
        Assert.Contains("10.242.0.1/24", await AddressesAsync(right[1]), StringComparison.Ordinal);
        await lan.HealAsync();

        await AgreeAsync(lan, "both", "contested");
        string gateway = (await left[0].DescribeNetworkAsync("contested")).GatewayIp;
        await Until.SeenAsync(TimeSpan.FromSeconds(5), "every node has the winner's bridge alone and tells of the loser", async () =>
        {
            foreach (LanNode node in lan.Nodes)
            {
                NetworkDetail detail = await node.DescribeNetworkAsync("contested");
                string[] addresses = [.. (await AddressesAsync(node)).Split('\n').Where(l => l.Contains("kbr-contested", StringComparison.Ordinal))];
                if (detail.GatewayIp != gateway || detail.Conflicts.Length == 0 || addresses is not [var only] || !only.Contains($" {gateway}/24 ", StringComparison.Ordinal))
                {
                    return $"{node.Name}: gateway {detail.GatewayIp}, conflicts [{string.Join("; ", detail.Conflicts)}], {string.Join('|', addresses)}";
                }
            }

            return null;
        });
        await both.ForwardingIsExactAsync(TimeSpan.FromSeconds(10));
        foreach (ContinuousPing ping in (ContinuousPing[])[inLeft, inRight])
        {
            PingReport report = await ping.StopAsync();
            Assert.True(report is { Lost.Count: 0, Duplicates: 0 }, report.ToString());
        }

        output.WriteLine($"both halves kept forwarding; {gateway} won: {string.Join("; ", (await right[1].DescribeNetworkAsync("contested")).Conflicts)}");
        (await left[0].KctlAsync("delete", "network", "contested")).OrThrow();
    }

    private static Task<string> AddressesAsync(LanNode node) =>
        Kcore.TestKit.Processes.Command.OutputAsync("ip", "-n", node.Namespace, "-o", "-4", "addr", "show");

    [SkippableFact]
    public async Task A_fact_all_of_whose_datagrams_are_dropped_is_known_by_all_within_two_seconds()
    {
        Requires.Kernel();
        await using NodeLan lan = await FormAsync(3);
        LanNode a = lan.Nodes[0];

        // Probes with their digests are smaller; whatever carries a fact is larger, and is lost for as long as the test goes on.
        await lan.DropDatagramsFromAsync([a], largerThan: ProbeBytes);
        await CreateAsync(a, "unheard-because-its-datagrams-are-all-lost", "10.235.0.1");
        TimeSpan agreed = await AgreeAsync(lan, "unheard-because-its-datagrams-are-all-lost");
        long dropped = await lan.DroppedAsync();
        output.WriteLine($"one digest {agreed} after the answer to the create; {dropped} datagrams were dropped");
        Assert.True(dropped > 0, "nothing was dropped: that proves nothing");
    }

    [SkippableFact]
    public async Task A_fact_written_in_a_short_one_way_outage_is_known_by_all_within_two_seconds_of_its_end()
    {
        Requires.Kernel();
        await using NodeLan lan = await FormAsync(3);
        LanNode b = lan.Nodes[1];
        await lan.DropDatagramsFromAsync([b]);
        await CreateAsync(b, "shortly", "10.236.0.1");
        await Task.Delay(TimeSpan.FromSeconds(0.5));
        await lan.HealAsync();
        output.WriteLine($"one digest {await AgreeAsync(lan, "shortly")} after the outage");
    }

    private static async Task<NodeLan> FormAsync(int nodes)
    {
        NodeLan lan = await NodeLan.CreateAsync(nodes);
        foreach (LanNode node in lan.Nodes)
        {
            node.Start(new DaemonSettings { Join = node == lan.Nodes[0] ? [] : [lan.Nodes[0].Address] });
        }

        await NodeLan.OneClusterAsync(lan.Nodes, TimeSpan.FromSeconds(60));
        return lan;
    }

    private static async Task CreateAsync(LanNode node, string name, string gateway) =>
        (await node.KctlAsync("create", "network", name, "--type", "vxlan", "--gateway-ip", gateway)).OrThrow();

    private static Task<TimeSpan> AgreeAsync(NodeLan lan, params string[] networks) => Until.SeenAsync(
        Bound,
        $"all nodes have one digest and know {string.Join(", ", networks)}",
        async () =>
        {
            // All at once: what one of them says a second later proves nothing.
            (string Digest, string Names)[] seen = await Task.WhenAll(lan.Nodes.Select(async n => (
                (await n.StatusAsync()).Digest,
                string.Join(',', (await n.KctlAsync("get", "networks", "-o", "json")).OrThrow().Read(ApiJson.Default.ImmutableArrayNetworkSummary).Select(s => s.Name)))));
            bool same = seen.Select(s => s.Digest).Distinct(StringComparer.Ordinal).Count() == 1
                && seen.All(s => networks.All(n => s.Names.Split(',').Contains(n)));
            return same ? null : string.Join("; ", lan.Nodes.Zip(seen, (n, s) => $"{n.Name}: {s.Digest} [{s.Names}]"));
        });
}

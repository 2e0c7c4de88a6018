using System.Text.Json.Nodes;
using Kcore.Contracts;
using Kcore.SystemTests.Lab;
using Kcore.TestKit;
using Kcore.TestKit.Lan;
using Kcore.TestKit.Processes;
using Xunit.Abstractions;

namespace Kcore.SystemTests.Overlay;

/// <summary>Behaviours 119 and 16: the pair that UDP 4789, or a packet of full size, does not pass between is named.</summary>
public sealed class PathTests(ThreeNodes three, ITestOutputHelper output) : SharedLanTest(three, output)
{
    private const string Rule = "table inet stranger";

    [SkippableFact]
    public async Task B119_B016_A_cut_path_and_one_that_is_too_small_are_named_by_the_node_that_suffers_and_healed_ones_are_forgotten()
    {
        await ReadyAsync();
        long before = await A.LastEventAsync();
        string port = "p" + B.Address.Split('.')[^1];

        // A switch that carries less than the cards of its hosts say: what is longer is gone without a word.
        await NftAsync(Lan.Switch, $"table bridge fault {{\n chain forward {{\n type filter hook forward priority 0; policy accept;\n oifname {port} meta length > 1400 drop\n }}\n}}\n");
        try
        {
            await NftAsync(C.Namespace, $"{Rule} {{\n chain input {{\n type filter hook input priority 0; policy accept;\n ip saddr {A.Address} udp dport 4789 drop\n }}\n}}\n");
            await using TestNetwork network = await TestNetwork.CreateAsync(Lan, Lan.Nodes, "path", Three.NextSubnet());
            TimeSpan took = await Until.SeenAsync(TimeSpan.FromSeconds(20), "both paths are named by kctl doctor", async () =>
            {
                string[] findings = await FindingsAsync(A);
                return findings.Any(f => f.Contains($"UDP 4789 to node {C.Name} ({C.Address})", StringComparison.Ordinal))
                    && findings.Any(f => f.Contains($"to node {B.Name} ({B.Address}) carries packets of at most 1400 bytes", StringComparison.Ordinal)) ? null : string.Join('\n', findings);
            });
            Output.WriteLine($"both named after {took.TotalSeconds:0.0} s");

            Assert.Equal("broken", await PathAsync(A, C));
            Assert.Equal("too-small", await PathAsync(A, B));
            Assert.Equal("works", await PathAsync(B, A));
            NetworkDetail seen = await A.DescribeNetworkAsync("path");
            Assert.Equal([false, true, true], new[] { A, B, C }.Select(n => seen.Nodes.Single(s => s.Node == n.Name).Warning is not null));
            EventInfo[] events = [.. await A.EventsAsync(before)];
            Assert.Contains(events, e => e.Type == "PathBroken" && e.Message.Contains(C.Name, StringComparison.Ordinal));
            Assert.Contains(events, e => e.Type == "PathTooSmall" && e.Message.Contains(B.Name, StringComparison.Ordinal));

            await NftAsync(C.Namespace, $"delete {Rule}\n");
            await Until.SeenAsync(
                TimeSpan.FromSeconds(10),
                "the mended path is noticed",
                async () => (await A.EventsAsync(before)).Any(e => e.Type == "PathRestored" && e.Message.Contains(C.Name, StringComparison.Ordinal)) ? null : string.Join('\n', await FindingsAsync(A)));
            Assert.Equal("works", await PathAsync(A, C));
        }
        finally
        {
            await Lan.HealAsync();
            await NftAsync(C.Namespace, $"add {Rule}\ndelete {Rule}\n");
        }
    }

    private static async Task<string[]> FindingsAsync(LanNode node)
    {
        // It exits with 9 while a check fails, so only its output counts.
        string text = (await node.KctlAsync("doctor", "-o", "json")).Stdout;
        return [.. JsonNode.Parse(text)!["checks"]!.AsArray().Single(c => (string)c!["name"]! == "paths")!["findings"]!.AsArray().Select(f => (string)f!)];
    }

    private static async Task<string?> PathAsync(LanNode from, LanNode to) =>
        (string?)JsonNode.Parse((await from.KctlAsync("describe", "node", to.Name, "-o", "json")).OrThrow().Stdout)!["path"]?["state"];

    private static async Task NftAsync(string netns, string commands) =>
        (await Command.RunAsync("ip", ["netns", "exec", netns, "nft", "-f", "-"], input: commands)).OrThrow();
}

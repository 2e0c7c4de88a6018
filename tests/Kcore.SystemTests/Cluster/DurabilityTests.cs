using Kcore.Contracts;
using Kcore.SystemTests.Lab;
using Kcore.TestKit;
using Kcore.TestKit.Lan;
using Xunit.Abstractions;

namespace Kcore.SystemTests.Cluster;

/// <summary>What a node has told others it remembers itself, whenever it is killed.</summary>
[Collection(DisturbedNodes.Name)]
public sealed class DurabilityTests(ThreeNodes three, ITestOutputHelper output) : SharedLanTest(three, output)
{
    private const int Rounds = 4;
    private const int AtOnce = 5;

    [SkippableFact]
    public async Task What_others_know_of_a_node_killed_at_any_moment_it_still_says_afterwards()
    {
        await ReadyAsync();
        Random random = new(20);
        int known = 0;
        for (int round = 0; round < Rounds; round++)
        {
            string[] names = [.. Enumerable.Range(0, AtOnce).Select(i => $"kill{round}x{i}")];
            Task<KctlResult>[] creates =
            [
                .. names.Select((n, i) => B.KctlAsync("create", "network", n, "--type", "vxlan", "--gateway-ip", $"10.{150 + (round * AtOnce) + i}.0.1")),
            ];
            await Task.WhenAny(creates);
            await Task.Delay(random.Next(80));
            await B.KillAsync();
            await Task.WhenAll(creates);

            // What was on its way has arrived, and nobody says anything new of B's.
            await Task.Delay(TimeSpan.FromSeconds(1));
            string[] seen = [];
            await Until.SeenAsync(TimeSpan.FromSeconds(5), "the others know the same", async () =>
            {
                seen = await NamesAsync(A);
                string[] others = await NamesAsync(C);
                return seen.SequenceEqual(others) ? null : $"[{string.Join(' ', seen)}] and [{string.Join(' ', others)}]";
            });
            known += names.Count(seen.Contains);
            B.Start();
            await NodeLan.OneClusterAsync(Lan.Nodes, TimeSpan.FromSeconds(60));
            foreach (LanNode node in Lan.Nodes)
            {
                string[] now = await NamesAsync(node);
                Assert.True(seen.All(now.Contains), $"round {round}: before, the others knew [{string.Join(' ', seen)}]; now {node.Name} knows [{string.Join(' ', now)}]");
            }

            foreach (string name in (await NamesAsync(A)).Where(names.Contains))
            {
                (await A.KctlAsync("delete", "network", name)).OrThrow();
            }

            await NodeLan.OneClusterAsync(Lan.Nodes, TimeSpan.FromSeconds(60));
        }

        Output.WriteLine($"{known} of {Rounds * AtOnce} networks were known to others when their node was killed");
        Assert.True(known > 0, "no network ever got out: the kill came too early to prove anything");
    }

    private static async Task<string[]> NamesAsync(LanNode node) =>
        [.. (await node.KctlAsync("get", "networks", "-o", "json")).OrThrow().Read(ApiJson.Default.ImmutableArrayNetworkSummary).Select(n => n.Name).Order(StringComparer.Ordinal)];
}

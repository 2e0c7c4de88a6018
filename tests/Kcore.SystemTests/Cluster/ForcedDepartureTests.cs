using Kcore.Contracts;
using Kcore.SystemTests.Lab;
using Kcore.TestKit;
using Kcore.TestKit.Lan;
using Kcore.TestKit.Processes;
using Xunit.Abstractions;

namespace Kcore.SystemTests.Cluster;

/// <summary>Nodes that go although guests are on them, and the ways back.</summary>
public sealed class ForcedDepartureTests(ITestOutputHelper output)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(40);

    [SkippableFact]
    public Task B109_A_forced_leave_a_forced_removal_and_a_forgotten_key_leave_nothing_behind_and_a_token_leads_back() => OwnLan.OnAsync(3, output, async lan =>
    {
        LanNode stays = lan.Nodes[0], removed = lan.Nodes[1], leaves = lan.Nodes[2];
        foreach (LanNode node in lan.Nodes)
        {
            node.Start(new DaemonSettings { Mdns = true });
        }

        await NodeLan.OneClusterAsync(lan.Nodes, Patience);
        await NodeLan.SettledAsync(lan.Nodes);
        await using TestNetwork network = await TestNetwork.CreateAsync(lan, lan.Nodes, "forced", "10.68.0");
        Guest home = await lan.AttachAsync(stays, "forced", "home");
        Guest cut = await lan.AttachAsync(removed, "forced", "cut");
        Guest lost = await lan.AttachAsync(leaves, "forced", "lost");

        // Leave, with a guest on it.
        KctlResult refused = await leaves.KctlAsync("node", "leave");
        Assert.True(refused.ExitCode == 4 && refused.Stderr.Contains("NIC lost on network forced", StringComparison.Ordinal) && refused.Stderr.Contains("--force", StringComparison.Ordinal), refused.ToString());
        string left = (await leaves.StatusAsync()).NodeId;
        Assert.Contains("left Node", (await leaves.KctlAsync("node", "leave", "--force")).OrThrow().Stdout, StringComparison.Ordinal);
        await NothingOfOursAsync(leaves);
        await NodeLan.OneClusterAsync([stays, removed], Patience);
        await WithoutAsync(network, leaves, stays, removed);
        Assert.DoesNotContain(await stays.NicsAsync("forced"), n => n.Name == "lost");
        await lan.RemoveGuestAsync(lost);

        // Back by a token, as another node; its guest gets another address.
        string token = (await stays.KctlAsync("cluster", "token")).OrThrow().Stdout.Trim();
        (await leaves.KctlAsync("cluster", "join", token)).OrThrow();
        await NodeLan.OneClusterAsync(lan.Nodes, Patience);
        Assert.NotEqual(left, (await leaves.StatusAsync()).NodeId);
        await network.ReadyAsync(TimeSpan.FromSeconds(10));
        Guest again = await lan.AttachAsync(leaves, "forced", "again");
        Assert.NotEqual(lost.Address, again.Address);
        await Until.SeenAsync(TimeSpan.FromSeconds(5), "the new guest is reached", async () => await AnswersAsync(home, again) ? null : "no answer");
        await NodeLan.SettledAsync(lan.Nodes);

        // Removed while it lives: its guests stay with each other and are cut off from the others.
        string gone = (await removed.StatusAsync()).NodeId;
        KctlResult alive = await stays.KctlAsync("node", "remove", removed.Name);
        Assert.True(alive.ExitCode == 4 && alive.Stderr.Contains("is alive", StringComparison.Ordinal), alive.ToString());
        Assert.Contains("removed Node", (await stays.KctlAsync("node", "remove", removed.Name, "--force")).OrThrow().Stdout, StringComparison.Ordinal);
        await Until.SeenAsync(Patience, "it knows that it was removed", async () => (await removed.StatusAsync()).Phase is var phase && phase == "removed" ? null : phase);
        await NodeLan.OneClusterAsync([stays, leaves], Patience);
        await WithoutAsync(network, removed, stays, leaves);
        Assert.False(await AnswersAsync(home, cut), "A guest of a removed node is still reached");
        Assert.Equal(0, (await cut.ExecAsync("ping", "-n", "-c", "1", "-W", "1", network.Gateway)).ExitCode);
        Assert.DoesNotContain(await stays.NicsAsync("forced"), n => n.Name == "cut");

        // Reset with its key forgotten: a cluster of one with a key of its own, which does not find the others.
        string oldKey = await File.ReadAllTextAsync(removed.KeyPath);
        (await removed.KctlAsync("node", "reset", "--force", "--forget-key")).OrThrow();
        await Until.SeenAsync(Patience, "it is a member of a cluster of its own", async () =>
            (await removed.KctlAsync("status")).ExitCode == 6 ? "no answer" : await removed.StatusAsync() is { Phase: "member", Members.Length: 1 } s && s.NodeId != gone ? null : "not yet");
        Assert.NotEqual(oldKey, await File.ReadAllTextAsync(removed.KeyPath));
        Assert.NotEqual((await stays.StatusAsync()).ClusterId, (await removed.StatusAsync()).ClusterId);
        Assert.Empty((await removed.KctlAsync("get", "networks", "-o", "json")).OrThrow().Read(ApiJson.Default.ImmutableArrayNetworkSummary));
        await NothingOfOursAsync(removed);
        await lan.RemoveGuestAsync(cut);

        (await removed.KctlAsync("cluster", "join", token)).OrThrow();
        await NodeLan.OneClusterAsync(lan.Nodes, Patience);
        await network.ReadyAsync(TimeSpan.FromSeconds(10));
        Guest last = await lan.AttachAsync(removed, "forced", "last");
        Assert.Equal(5, new HashSet<string>([home.Address, cut.Address, lost.Address, again.Address, last.Address], StringComparer.Ordinal).Count);
        await Until.SeenAsync(TimeSpan.FromSeconds(5), "guests reach each other", async () => await AnswersAsync(home, last) && await AnswersAsync(again, last) ? null : "no answer");
        foreach (Guest guest in (Guest[])[home, again, last])
        {
            await lan.DetachAsync(guest);
        }
    });

    private static async Task<bool> AnswersAsync(Guest from, Guest to) =>
        (await from.ExecAsync("ping", "-n", "-c", "1", "-W", "1", to.Address)).ExitCode == 0;

    private static Task WithoutAsync(TestNetwork network, LanNode gone, params LanNode[] others) => Until.SeenAsync(
        TimeSpan.FromSeconds(5),
        $"nobody sends to {gone.Name}",
        async () =>
        {
            foreach (LanNode node in others)
            {
                if ((await FdbEntry.OfAsync(node.Namespace, network.Vxlan)).Any(e => e.Destination == gone.Address))
                {
                    return $"{node.Name} does";
                }
            }

            return null;
        });

    private static async Task NothingOfOursAsync(LanNode node)
    {
        await Until.SeenAsync(TimeSpan.FromSeconds(10), $"no device and no table of ours is on {node.Name}", async () =>
            await Command.OutputAsync("ip", "-n", node.Namespace, "-o", "link", "show", "group", "27491") is { Length: > 0 } devices ? devices
            : (await Netns.ExecAsync(node.Namespace, "nft", "list", "tables")).OrThrow().Stdout is var tables && tables.Contains("kcore", StringComparison.Ordinal) ? tables
            : null);
    }
}

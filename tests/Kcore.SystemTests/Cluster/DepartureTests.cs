using Kcore.Contracts;
using Kcore.SystemTests.Lab;
using Kcore.TestKit;
using Kcore.TestKit.Lan;
using Xunit.Abstractions;

namespace Kcore.SystemTests.Cluster;

/// <summary>A LAN of three nodes that leave it and come back as others.</summary>
[CollectionDefinition(Name)]
public sealed class DepartingNodes : ICollectionFixture<ThreeNodes>
{
    public const string Name = "departing nodes";
}

/// <summary>The life's end of nodes: silent hosts, leaving, being removed, beginning anew.</summary>
[Collection(DepartingNodes.Name)]
public sealed class DepartureTests(ThreeNodes three, ITestOutputHelper output) : SharedLanTest(three, output)
{
    [SkippableFact]
    public async Task B015_B109_A_host_whose_link_is_cut_is_withdrawn_within_ten_seconds_and_back_within_two()
    {
        await ReadyAsync();
        await using TestNetwork network = await TestNetwork.CreateAsync(Lan, Lan.Nodes, "silent", Three.NextSubnet());
        await network.AttachAsync(C, "qc");
        await network.ForwardingIsExactAsync(TimeSpan.FromSeconds(2));
        string indexes = await network.IndexesAsync();

        await Lan.PartitionAsync(C);
        TimeSpan withdrawn = await EntriesToAsync(C, network, present: false, TimeSpan.FromSeconds(10), A, B);
        NodeDetail cut = (await A.KctlAsync("describe", "node", C.Name, "-o", "json")).OrThrow().Read(ApiJson.Default.NodeDetail);
        Assert.Equal(("dead", "silent"), (cut.Summary.Status, cut.Host));
        Assert.Contains(await A.EventsAsync(), e => e.Type == "HostSilent" && e.Node == cut.Summary.Id);

        // The host comes back before its daemon does: that is enough.
        C.Pause();
        try
        {
            await Lan.HealAsync();
            TimeSpan back = await EntriesToAsync(C, network, present: true, TimeSpan.FromSeconds(2), A, B);
            Output.WriteLine($"withdrawn after {withdrawn.TotalSeconds:0.0} s, back after {back.TotalSeconds:0.00} s");
        }
        finally
        {
            C.Resume();
        }

        await NodeLan.OneClusterAsync(Lan.Nodes, TimeSpan.FromSeconds(60));
        await network.ForwardingIsExactAsync(TimeSpan.FromSeconds(2));
        Assert.Equal(indexes, await network.IndexesAsync());
    }

    [SkippableFact]
    public async Task B014_A_node_that_leaves_even_the_leader_is_taken_out_everywhere_and_comes_back_as_a_new_one()
    {
        await ReadyAsync();
        LanNode leaver = await LeaderAsync();
        LanNode[] others = [.. Lan.Nodes.Where(n => n != leaver)];
        string before = (await leaver.StatusAsync()).NodeId;

        // Made by the one that leaves: it outlives its maker.
        await using TestNetwork network = await TestNetwork.CreateAsync(Lan, [leaver, .. others], "parting", Three.NextSubnet());
        Guest guest = await network.AttachAsync(leaver, "pl");
        await network.AttachAsync(others[0], "po");
        await RefusedAsync(leaver, 4, "NIC pl on network parting", "node", "leave");
        await network.DetachAsync(guest);
        await RefusedAsync(leaver, 4, "kctl node leave first", "node", "reset");

        (await leaver.KctlAsync("node", "drain")).OrThrow();
        await RefusedAsync(leaver, 4, "is drained", "attach", "nic", "px", "--network", network.Name);
        Assert.Contains("left Node", (await leaver.KctlAsync("node", "leave")).OrThrow().Stdout, StringComparison.Ordinal);
        Assert.Contains("unchanged Node", (await leaver.KctlAsync("node", "leave")).OrThrow().Stdout, StringComparison.Ordinal);
        Assert.Equal("left", (await leaver.StatusAsync()).Phase);
        await NodeLan.OneClusterAsync(others, TimeSpan.FromSeconds(60));
        await EntriesToAsync(leaver, network, present: false, TimeSpan.FromSeconds(2), others);
        Assert.Equal(["eth0", "lo"], (await Link.AllAsync(leaver.Namespace)).Select(l => l.Name).Order(StringComparer.Ordinal));
        Assert.DoesNotContain("kcore", (await Netns.ExecAsync(leaver.Namespace, "nft", "list", "tables")).OrThrow().Stdout, StringComparison.Ordinal);
        Assert.DoesNotContain((await others[0].StatusAsync()).Members, m => m.Id == before);
        NicInfo next = (await others[1].KctlAsync("attach", "nic", "pn", "--network", network.Name, "-o", "json")).OrThrow().Read(ApiJson.Default.NicInfo);
        Assert.Equal(network.Subnet + ".4/24", next.Address);
        (await others[1].KctlAsync("detach", "nic", "pn", "--network", network.Name)).OrThrow();

        // What it was does not come back with a start of the same disk.
        await leaver.KillAsync();
        leaver.Start();
        await Until.SeenAsync(TimeSpan.FromSeconds(15), "it still knows that it left", async () => (await leaver.KctlAsync("status")).ExitCode == 6 ? "no answer" : (await leaver.StatusAsync()).Phase == "left" ? null : "not left");
        (await leaver.KctlAsync("node", "reset")).OrThrow();
        await NodeLan.OneClusterAsync(Lan.Nodes, TimeSpan.FromSeconds(60));
        Assert.NotEqual(before, (await leaver.StatusAsync()).NodeId);
        await network.ReadyAsync(TimeSpan.FromSeconds(5));
    }

    [SkippableFact]
    public async Task B109_A_host_gone_for_good_is_removed_from_two_nodes_at_once_and_its_old_disk_is_refused()
    {
        await ReadyAsync();
        await LeaderAsync();
        string before = (await C.StatusAsync()).NodeId;
        await using TestNetwork network = await TestNetwork.CreateAsync(Lan, [C, A, B], "forgone", Three.NextSubnet());
        Guest guest = await network.AttachAsync(C, "gc");
        await RefusedAsync(A, 4, "is alive", "node", "remove", C.Name);
        await RefusedAsync(C, 4, "kctl node leave", "node", "remove", C.Name);
        await RefusedAsync(A, 3, "not known", "node", "remove", "node-x");
        await C.KillAsync();
        await Until.SeenAsync(TimeSpan.FromSeconds(15), "it is dead", async () => (await A.StatusAsync()).Members.Single(m => m.Id == before).Status == "dead" ? null : "not yet");
        await RefusedAsync(A, 4, "NIC gc on network forgone", "node", "remove", C.Name);

        KctlResult[] twice = await Task.WhenAll(A.KctlAsync("node", "remove", C.Name, "--force"), B.KctlAsync("node", "remove", C.Name, "--force"));
        Assert.All(twice, r => Assert.Equal(0, r.ExitCode));
        Assert.Contains("unchanged Node", (await B.KctlAsync("node", "remove", C.Name)).OrThrow().Stdout, StringComparison.Ordinal);
        await NodeLan.OneClusterAsync([A, B], TimeSpan.FromSeconds(60));
        await EntriesToAsync(C, network, present: false, TimeSpan.FromSeconds(2), A, B);
        Assert.Contains(await A.EventsAsync(), e => e.Type == "MemberRemoved" && e.Node == before);

        // Its maker and its NIC are gone; the network is there, and nothing keeps it from being deleted.
        Assert.Empty(await A.NicsAsync(network.Name));
        (await B.KctlAsync("delete", "network", network.Name)).OrThrow();

        C.Start();
        await Until.SeenAsync(TimeSpan.FromSeconds(60), "it is told that it was removed", async () =>
            (await C.KctlAsync("status")).ExitCode == 6 ? "no answer" : (await C.StatusAsync()).Phase is "removed" ? null : (await C.StatusAsync()).Phase);
        Assert.Equal(2, (await A.StatusAsync()).Members.Length);
        (await C.KctlAsync("node", "reset", "--force")).OrThrow();
        await NodeLan.OneClusterAsync(Lan.Nodes, TimeSpan.FromSeconds(60));
        Assert.NotEqual(before, (await C.StatusAsync()).NodeId);
        await Lan.RemoveGuestAsync(guest);
    }

    [SkippableFact]
    public async Task B109_A_leave_cut_off_or_killed_at_any_moment_can_be_repeated()
    {
        await ReadyAsync();
        await LeaderAsync();
        await Lan.PartitionAsync(C);
        await Until.SeenAsync(TimeSpan.FromSeconds(15), "it knows that it is cut off", async () => (await C.StatusAsync()).Consensus.Quorum ? "it sees a quorum" : null);
        await RefusedAsync(C, 11, "no quorum", "node", "leave");
        await Lan.HealAsync();
        await NodeLan.OneClusterAsync(Lan.Nodes, TimeSpan.FromSeconds(60));
        Assert.False((await A.KctlAsync("describe", "node", C.Name, "-o", "json")).OrThrow().Read(ApiJson.Default.NodeDetail).Summary.Drained);

        // Reunited before it has given up, it need not ask again.
        await Lan.PartitionAsync(C);
        await Until.SeenAsync(TimeSpan.FromSeconds(15), "it knows again that it is cut off", async () => (await C.StatusAsync()).Consensus.Quorum ? "it sees a quorum" : null);
        Task<KctlResult> patient = C.KctlAsync("node", "leave");
        await Task.Delay(TimeSpan.FromSeconds(3));
        await Lan.HealAsync();
        Assert.Contains("left Node", (await patient).OrThrow().Stdout, StringComparison.Ordinal);
        (await C.KctlAsync("node", "reset")).OrThrow();
        await NodeLan.OneClusterAsync(Lan.Nodes, TimeSpan.FromSeconds(60));
        await LeaderAsync();

        // Killed later each time; whatever came of it, repeating ends it.
        for (int milliseconds = 300; ; milliseconds += 700)
        {
            Assert.True(milliseconds < 10_000, "Ten seconds are enough for a leave, and it does not end.");
            Task<KctlResult> leaving = C.KctlAsync("node", "leave");
            await Task.Delay(milliseconds);
            await C.KillAsync();
            bool done = (await leaving).ExitCode == 0;
            C.Start();
            await Until.SeenAsync(TimeSpan.FromSeconds(60), "it knows where it stands", async () =>
                (await C.KctlAsync("status")).ExitCode == 6 ? "no answer"
                : await C.StatusAsync() is { Phase: "left" } or { Phase: "member", Members.Length: 3 } ? null : "between");
            if (done || (await C.StatusAsync()).Phase == "left")
            {
                break;
            }
        }

        await NodeLan.OneClusterAsync([A, B], TimeSpan.FromSeconds(60));
        (await C.KctlAsync("node", "reset")).OrThrow();
        await NodeLan.OneClusterAsync(Lan.Nodes, TimeSpan.FromSeconds(60));
    }

    [SkippableFact]
    public async Task B109_A_voter_let_go_while_its_daemon_was_down_still_finds_the_leader_and_can_leave()
    {
        await ReadyAsync();
        LanNode leader = await LeaderAsync();
        LanNode leaver = Lan.Nodes.Last(n => n != leader);
        string id = (await leaver.StatusAsync()).NodeId;
        (await leaver.KctlAsync("node", "drain")).OrThrow();
        await Until.SeenAsync(TimeSpan.FromSeconds(5), "the leader knows that it is drained", async () =>
            (await leader.KctlAsync("describe", "node", leaver.Name, "-o", "json")).OrThrow().Read(ApiJson.Default.NodeDetail).Summary.Drained ? null : "not yet");
        await leaver.KillAsync();
        await Until.SeenAsync(TimeSpan.FromSeconds(20), "it votes no more", async () => (await leader.ClusterAsync()).Voters.All(v => v.NodeId != id) ? null : "it votes");

        // The last it was told is that it votes, and nobody leads those it would vote with.
        leaver.Start();
        await Until.SeenAsync(TimeSpan.FromSeconds(15), "it sees the leader", async () =>
            (await leaver.KctlAsync("status")).ExitCode == 6 ? "no answer"
            : await leaver.ClusterAsync() is { Source: "leader", Quorum: true } && (await leaver.StatusAsync()).Consensus.Quorum ? null : "no leader");
        Assert.Contains("left Node", (await leaver.KctlAsync("node", "leave")).OrThrow().Stdout, StringComparison.Ordinal);
        (await leaver.KctlAsync("node", "reset")).OrThrow();
        await NodeLan.OneClusterAsync(Lan.Nodes, TimeSpan.FromSeconds(60));
    }

    private static async Task RefusedAsync(LanNode node, int exitCode, string text, params string[] words)
    {
        KctlResult result = await node.KctlAsync(words);
        Assert.True(result.ExitCode == exitCode && result.Stderr.Contains(text, StringComparison.Ordinal), $"Expected exit code {exitCode} and '{text}': {result}");
    }

    /// <summary>Waits until the nodes have, or have no more, entries towards another one.</summary>
    private static Task<TimeSpan> EntriesToAsync(LanNode target, TestNetwork network, bool present, TimeSpan within, params LanNode[] nodes) => Until.SeenAsync(
        within,
        $"{string.Join(" and ", nodes.Select(n => n.Name))} {(present ? "have" : "have no")} entries towards {target.Name}",
        async () =>
        {
            foreach (LanNode node in nodes)
            {
                if ((await FdbEntry.OfAsync(node.Namespace, network.Vxlan)).Any(e => e.Destination == target.Address) != present)
                {
                    return $"{node.Name} {(present ? "has none" : "has some")}";
                }
            }

            return null;
        });

    /// <summary>Whoever takes a node away waits for this first: it may be the only voter so far.</summary>
    private async Task<LanNode> LeaderAsync()
    {
        string? leader = null;
        await Until.SeenAsync(TimeSpan.FromSeconds(60), "three vote and one leads", async () =>
        {
            ClusterReport report = await A.ClusterAsync();
            leader = report.Leader;
            return report is { Source: "leader", Changing: false, Voters.Length: 3 } ? null : $"{report.Voters.Length} vote";
        });
        return Lan.Nodes.Single(n => n.Name == leader);
    }
}

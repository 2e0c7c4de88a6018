using Kcore.Contracts;
using Kcore.TestKit;
using Kcore.TestKit.Lan;
using Kcore.TestKit.Processes;
using Xunit.Abstractions;

namespace Kcore.SystemTests.Consensus;

/// <summary>Three daemons whose majority is lost, or believed to be, and what <c>kcored recover</c> makes of the third.</summary>
public sealed class RecoveryTests(ITestOutputHelper output)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(120);

    [SkippableFact]
    public async Task A1_Two_disks_are_lost_the_survivor_goes_on_and_the_two_come_back_empty()
    {
        await using VoterCluster cluster = await VoterCluster.StartAsync(3, 3, output);
        LanNode leader = await cluster.LeaderAsync();
        LanNode survivor = cluster.Lan.Nodes.Last(n => n != leader);
        LanNode[] lost = [.. cluster.Lan.Nodes.Where(n => n != survivor)];
        await AttachEverywhereAsync(cluster, 2);
        ReservedNetwork spare = await ReservedNetwork.CreateAsync(cluster.Lan);

        // What is granted now the survivor does not hear of, and what it takes of its own reserve nobody else.
        await cluster.Lan.PartitionAsync(survivor);
        await spare.AttachAsync(lost[0], "unheard");
        string alone = await spare.AttachAsync(survivor, "alone");
        Assert.Equal(spare.ParkedOf(survivor)[0], alone);
        Assert.Equal(0, (await cluster.AttachAsync(lost[0])).ExitCode);
        Assert.Equal(0, (await cluster.AttachAsync(lost[1])).ExitCode);
        foreach (LanNode node in lost)
        {
            await node.KillAsync();
            Directory.Delete(node.DataDirectory, recursive: true);
        }

        await cluster.Lan.HealAsync();
        Assert.Contains("stop kcored first", (await RecoverAsync(survivor, "--lost", lost[0].Name, "--lost", lost[1].Name, "--yes")).Stderr, StringComparison.Ordinal);
        await survivor.TerminateAsync();
        output.WriteLine((await RecoverAsync(survivor, "--show")).Stdout);
        Assert.Contains("nothing is said of", (await RecoverAsync(survivor, "--lost", lost[0].Name, "--yes")).Stderr, StringComparison.Ordinal);
        Assert.Contains("recover there", (await RecoverAsync(survivor, "--lost", lost[0].Name, "--survivor", lost[1].Name + "=999:1", "--yes")).Stderr, StringComparison.Ordinal);
        Assert.Contains("--yes does it", (await RecoverAsync(survivor, "--lost", lost[0].Name, "--lost", lost[1].Name)).Stdout, StringComparison.Ordinal);
        CommandResult done = await RecoverAsync(survivor, "--lost", lost[0].Name, "--lost", lost[1].Name, "--yes");
        output.WriteLine(done.Stdout);
        Assert.Equal(0, done.ExitCode);

        survivor.Start();
        await survivor.AnswersAsync();
        await Until.SeenAsync(Patience, "the survivor leads alone", async () =>
            (await survivor.ClusterAsync()) is { Epoch: 2, Quorum: true, Voters.Length: 1, HeldBack: > 0 } ? null : "not yet");
        Assert.Equal(9, (await survivor.KctlAsync("cluster", "status")).ExitCode);
        Assert.Equal(0, (await cluster.AttachAsync(survivor)).ExitCode);
        await spare.AttachAsync(survivor, "after");

        // The others are new nodes with old names.
        foreach (LanNode node in lost)
        {
            await Until.SeenAsync(Patience, $"{node.Name} is removed", async () =>
            {
                KctlResult removed = await survivor.KctlAsync("node", "remove", node.Name, "--force");
                return removed.ExitCode == 0 ? null : removed.Stderr;
            });
            node.Start();
        }

        await NodeLan.OneClusterAsync(cluster.Lan.Nodes, Patience);
        await cluster.VotersAsync(3, Patience);
        await AttachEverywhereAsync(cluster, 1);
        await cluster.NoDuplicatesAsync();
        await spare.AttachAsync(lost[0], "again");

        // The lost nodes may have used what was in their reserves, and taken what they were granted along.
        foreach (LanNode node in cluster.Lan.Nodes)
        {
            await Until.SeenAsync(Patience, $"{node.Name} knows the lease that came out of the reserve", async () =>
                (await ReservedNetwork.SeenByAsync(node)).Leases.Any(l => l.Nic == "alone" && l.Address == alone) ? null : "not yet");
        }

        spare.HasNoDuplicates([.. lost.SelectMany(spare.ParkedOf)]);
        (await survivor.KctlAsync("cluster", "recover-finalize")).OrThrow();
        Assert.Null((await survivor.ClusterAsync()).HeldBack);
        await AttachEverywhereAsync(cluster, 1);
        await cluster.NoDuplicatesAsync();
    }

    [SkippableFact]
    public async Task A_majority_that_was_not_lost_is_a_conflict_and_its_nodes_follow_once_it_decides_no_more()
    {
        await using VoterCluster cluster = await VoterCluster.StartAsync(3, 3, output);
        LanNode leader = await cluster.LeaderAsync();
        LanNode survivor = cluster.Lan.Nodes.Last(n => n != leader);
        LanNode[] others = [.. cluster.Lan.Nodes.Where(n => n != survivor)];
        await AttachEverywhereAsync(cluster, 1);
        await cluster.Lan.PartitionAsync(survivor);
        Assert.Equal(0, (await cluster.AttachAsync(others[0])).ExitCode);
        await survivor.TerminateAsync();
        Assert.Equal(0, (await RecoverAsync(survivor, "--lost", others[0].Name, "--lost", others[1].Name, "--yes")).ExitCode);
        survivor.Start();
        await survivor.AnswersAsync();
        Assert.Equal(0, (await cluster.AttachAsync(survivor)).ExitCode);
        await cluster.Lan.HealAsync();
        foreach (LanNode node in cluster.Lan.Nodes)
        {
            await Until.SeenAsync(Patience, $"{node.Name} reports the conflict", async () =>
                (await node.StatusAsync()) is { Phase: "conflict" } ? null : "not yet");
        }

        // Both sides go on, each by itself.
        Assert.Equal(0, (await cluster.AttachAsync(others[0])).ExitCode);
        Assert.Equal(0, (await cluster.AttachAsync(survivor)).ExitCode);
        Assert.Equal(1u, (await others[0].ClusterAsync()).Epoch);
        Assert.Equal(2u, (await survivor.ClusterAsync()).Epoch);
        await cluster.NoDuplicatesAsync();

        // The older majority ends. What is left of it comes over with its disk, its guests and their addresses.
        await others[1].KillAsync();
        Directory.Delete(others[1].DataDirectory, recursive: true);
        await Until.SeenAsync(Patience, $"{others[0].Name} follows", async () => (await others[0].ClusterAsync()).Epoch == 2 ? null : "not yet");
        Assert.True(Directory.Exists(Path.Combine(others[0].DataDirectory, "raft", "outgrown")));
        string[] told = [.. cluster.Told.Keys];
        await Until.SeenAsync(Patience, "the recovered log knows every lease of the node", async () =>
        {
            string[] missing = [.. (await others[0].NicsAsync(VoterCluster.Network)).Where(n => n.Node == others[0].Name).Select(n => n.AttachmentId).Except(await LeasesAsync(survivor), StringComparer.Ordinal)!];
            return missing.Length == 0 ? null : string.Join(", ", missing);
        });
        Assert.Contains(await others[0].EventsAsync(), e => e.Type == "AddressAdopted");
        Assert.Equal(told.Length, cluster.Told.Count);
        Assert.Equal(0, (await cluster.AttachAsync(others[0])).ExitCode);
        Assert.Equal(0, (await cluster.AttachAsync(survivor)).ExitCode);
        await cluster.NoDuplicatesAsync();
    }

    private static async Task<IEnumerable<string>> LeasesAsync(LanNode node)
    {
        KctlResult ips = (await node.KctlAsync("get", "ips", "--network", VoterCluster.Network, "-o", "json")).OrThrow();
        return ips.Read(ApiJson.Default.NetworkAddresses).Leases.Select(l => l.AttachmentId);
    }

    private static async Task AttachEverywhereAsync(VoterCluster cluster, int each)
    {
        foreach (LanNode node in cluster.Lan.Nodes)
        {
            for (int i = 0; i < each; i++)
            {
                KctlResult attached = await cluster.AttachAsync(node);
                Assert.True(attached.ExitCode == 0, attached.ToString());
            }
        }
    }

    private static Task<CommandResult> RecoverAsync(LanNode node, params IReadOnlyList<string> arguments) =>
        Command.RunAsync(Binaries.Daemon, ["recover", "--data-dir", node.DataDirectory, .. arguments]);
}

using System.Globalization;
using Kcore.Contracts;
using Kcore.SystemTests.Lab;
using Kcore.TestKit.Lan;
using Xunit.Abstractions;

namespace Kcore.SystemTests.Survival;

/// <summary>Behaviour 23: a daemon may die, sleep and come back; guests do not notice.</summary>
[Collection(DisturbedNodes.Name)]
public sealed class RestartTests(ThreeNodes three, ITestOutputHelper output) : SharedLanTest(three, output)
{
    /// <summary>How long a daemon is stopped; shorten it only to work on the test itself.</summary>
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(
        int.Parse(Environment.GetEnvironmentVariable("KCORE_TEST_PAUSE_SECONDS") ?? "60", CultureInfo.InvariantCulture));

    [SkippableFact]
    public async Task B023_Killing_and_stopping_daemons_loses_no_packet_and_a_fresh_start_changes_nothing()
    {
        await ReadyAsync();
        await using TestNetwork network = await TestNetwork.CreateAsync(Lan, Lan.Nodes, "survive", Three.NextSubnet());
        Guest a = await network.AttachAsync(A, "sa");
        Guest b = await network.AttachAsync(B, "sb");
        await network.ForwardingIsExactAsync(TimeSpan.FromSeconds(2));
        string indexes = await network.IndexesAsync();

        await using ContinuousPing ping = await ContinuousPing.StartAsync(a.Namespace, b.Address, Path.Combine(Lan.Directory, "survive.log"));
        foreach (LanNode node in (LanNode[])[A, B])
        {
            HostSnapshot before = await HostSnapshot.TakeAsync(node);
            await node.KillAsync();
            node.Start();
            await ChangesNothingAsync(node, before);

            int exitCode = await node.TerminateAsync();
            Assert.True(exitCode == 0, $"{node.Name} exited with {exitCode} after SIGTERM; its last words:\n{node.LogTail(20)}");
            node.Start();
            await ChangesNothingAsync(node, before);
        }

        PingReport report = await ping.StopAsync();
        Output.WriteLine(report.ToString());
        Assert.True(report is { Lost.Count: 0, Duplicates: 0 }, report.ToString());
        Assert.Equal(indexes, await network.IndexesAsync());
    }

    [SkippableFact]
    public async Task B015_B023_B109_A_daemon_stopped_for_a_minute_loses_no_packet()
    {
        await ReadyAsync();
        await using TestNetwork network = await TestNetwork.CreateAsync(Lan, Lan.Nodes, "asleep", Three.NextSubnet());
        Guest a = await network.AttachAsync(A, "za");
        Guest b = await network.AttachAsync(B, "zb");
        await network.ForwardingIsExactAsync(TimeSpan.FromSeconds(2));
        string indexes = await network.IndexesAsync();

        await using ContinuousPing ping = await ContinuousPing.StartAsync(a.Namespace, b.Address, Path.Combine(Lan.Directory, "asleep.log"));
        B.Pause();
        try
        {
            await Task.Delay(Pause);

            // Buried long ago, and its host answers: nothing was withdrawn.
            await network.ForwardingIsExactAsync(TimeSpan.FromSeconds(1));
            NodeDetail asleep = (await A.KctlAsync("describe", "node", B.Name, "-o", "json")).OrThrow().Read(ApiJson.Default.NodeDetail);
            Assert.Equal(("dead", "answers"), (asleep.Summary.Status, asleep.Host));
        }
        finally
        {
            B.Resume();
        }

        await NodeLan.OneClusterAsync(Lan.Nodes, TimeSpan.FromSeconds(60));
        PingReport report = await ping.StopAsync();
        Output.WriteLine(report.ToString());
        Assert.True(report is { Lost.Count: 0, Duplicates: 0 }, report.ToString());
        await network.ForwardingIsExactAsync(TimeSpan.FromSeconds(2));
        Assert.Equal(indexes, await network.IndexesAsync());
    }

    [SkippableFact]
    public async Task B029_All_daemons_killed_come_back_by_themselves_with_the_same_leases_and_digest()
    {
        await ReadyAsync();
        await using TestNetwork network = await TestNetwork.CreateAsync(Lan, Lan.Nodes, "outage", Three.NextSubnet());
        foreach (LanNode node in Lan.Nodes)
        {
            (await node.KctlAsync("attach", "nic", "o" + node.Name[^1], "--network", network.Name)).OrThrow();
        }

        await NodeLan.SettledAsync(Lan.Nodes);
        StatusReport before = await A.StatusAsync();
        string leases = await LeasesAsync(A, network.Name);
        await Task.WhenAll(Lan.Nodes.Select(n => n.KillAsync()));
        foreach (LanNode node in Lan.Nodes)
        {
            node.Start();
        }

        await NodeLan.OneClusterAsync(Lan.Nodes, TimeSpan.FromSeconds(60));
        foreach (LanNode node in Lan.Nodes)
        {
            StatusReport after = await node.StatusAsync();
            Assert.True(before.ClusterId == after.ClusterId, $"{node.Name}: cluster was {before.ClusterId}, is {after.ClusterId}");
            Assert.True(before.Digest == after.Digest, $"{node.Name}: digest was {before.Digest}, is {after.Digest}");
            Assert.Equal(leases, await LeasesAsync(node, network.Name));
        }

        // The counter came back too: the next address is a new one.
        NicInfo next = (await C.KctlAsync("attach", "nic", "onext", "--network", network.Name, "-o", "json")).OrThrow().Read(ApiJson.Default.NicInfo);
        Assert.Equal(network.Subnet + ".5/24", next.Address);
    }

    private static async Task ChangesNothingAsync(LanNode node, HostSnapshot before)
    {
        await node.AnswersAsync();
        KctlResult plan = await node.KctlAsync("plan", "-o", "json");
        Assert.True(plan.ExitCode == 0, $"Expected an empty plan on {node.Name} after its start: {plan}");
        PlanReport report = plan.Read(ApiJson.Default.PlanReport);
        Assert.True(report.IsEmpty, plan.ToString());
        Assert.Equal(0, (await node.StatusAsync()).Dataplane.Repairs);
        IReadOnlyList<string> differences = before.DifferencesTo(await HostSnapshot.TakeAsync(node));
        Assert.True(differences.Count == 0, $"Expected {node.Name} to be as before its restart:\n{string.Join('\n', differences)}");
    }

    private static async Task<string> LeasesAsync(LanNode node, string network) =>
        string.Join('\n', (await node.NicsAsync(network)).OrderBy(n => n.Name, StringComparer.Ordinal).Select(n => $"{n.Name} {n.Node} {n.Address} {n.Mac} {n.AttachmentId}"));
}

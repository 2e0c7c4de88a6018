using System.Diagnostics;
using System.Globalization;
using Kcore.Contracts;
using Kcore.TestKit;
using Kcore.TestKit.Lan;
using Xunit.Abstractions;

namespace Kcore.SystemTests.Consensus;

/// <summary>Real daemons that vote, and what happens to addresses when some of them do not.</summary>
public sealed class VoterTests(ITestOutputHelper output)
{
    [SkippableFact]
    public async Task Three_nodes_vote_within_seconds_and_the_leader_may_die_for_good()
    {
        await using VoterCluster cluster = await VoterCluster.StartAsync(3, 3, output);
        LanNode founder = await cluster.LeaderAsync();
        LanNode[] others = [.. cluster.Lan.Nodes.Where(n => n != founder)];

        Task<KctlResult>[] calls = [.. Enumerable.Range(0, 60).Select(i => cluster.AttachAsync(cluster.Lan.Nodes[i % 3]))];
        await Task.WhenAny(calls);
        long killed = Stopwatch.GetTimestamp();
        await founder.KillAsync();
        TimeSpan gap = await cluster.UntilAttachedAsync(others[0], killed);
        Say($"leader killed to the next address: {gap.TotalSeconds:0.00} s");
        KctlResult[] done = await Task.WhenAll(calls);
        Say("exit codes: " + string.Join(", ", done.GroupBy(d => d.ExitCode).Select(g => $"{g.Key} × {g.Count()}")));
        Assert.All(done, d => Assert.True(d.ExitCode is 0 or 6 or 11, $"Expected an address or a clear refusal: {d}"));
        Assert.True(gap < TimeSpan.FromSeconds(15), $"the next address came after {gap}");

        // Its disk is gone with it, and nobody needs it.
        Directory.Delete(founder.DataDirectory, recursive: true);
        foreach (LanNode node in others)
        {
            Assert.Equal(0, (await cluster.AttachAsync(node)).ExitCode);
        }

        await Until.SeenAsync(TimeSpan.FromSeconds(20), "all NICs of the survivors have an address", async () =>
        {
            foreach (LanNode node in others)
            {
                if ((await node.NicsAsync(VoterCluster.Network)).FirstOrDefault(n => n.Node == node.Name && n.Address is null) is { } waiting)
                {
                    return $"{waiting.Name} on {node.Name} waits";
                }
            }

            return null;
        });
        await cluster.NoDuplicatesAsync();

        ClusterReport report = await others[0].ClusterAsync();
        Assert.Equal((true, 0), (report.Quorum, report.Margin));
        Assert.Equal(3, report.Voters.Length);
        Assert.Contains(report.Degraded, d => d.Contains(founder.Name, StringComparison.Ordinal));
        Assert.Equal(9, (await others[0].KctlAsync("cluster", "status")).ExitCode);
        Assert.Contains(await others[0].EventsAsync(), e => e.Type == "VoterAdded");
    }

    [SkippableFact]
    public async Task A_leader_that_stops_or_is_asked_to_hands_over_without_a_gap()
    {
        await using VoterCluster cluster = await VoterCluster.StartAsync(3, 3, output);
        LanNode first = await cluster.LeaderAsync();
        LanNode second = cluster.Lan.Nodes.First(n => n != first);

        long asked = Stopwatch.GetTimestamp();
        KctlResult transfer = (await cluster.Lan.Nodes.Last(n => n != second).KctlAsync("cluster", "transfer-leader", second.Name)).OrThrow();
        Assert.Contains($"node {second.Name} leads", transfer.Stdout, StringComparison.Ordinal);
        Say($"transfer-leader answered after {Stopwatch.GetElapsedTime(asked).TotalMilliseconds:0} ms");
        Assert.Equal(second, await cluster.LeaderAsync());

        long stopped = Stopwatch.GetTimestamp();
        Task<int> stopping = second.TerminateAsync();
        TimeSpan gap = await cluster.UntilAttachedAsync(first, stopped);
        Say($"leader stopped with SIGTERM to the next address: {gap.TotalMilliseconds:0} ms");
        Assert.Equal(0, await stopping);
        Assert.Contains("leader's seat went to", second.LogTail(200), StringComparison.Ordinal);
        Assert.Equal(3, (await first.KctlAsync("cluster", "transfer-leader", "node-x")).ExitCode);

        // All at once, with no chance to say goodbye.
        foreach (LanNode node in cluster.Running.ToArray())
        {
            await node.KillAsync();
        }

        foreach (LanNode node in cluster.Lan.Nodes)
        {
            node.Start();
        }

        await NodeLan.OneClusterAsync(cluster.Lan.Nodes, TimeSpan.FromSeconds(60));
        await cluster.VotersAsync(3);
        Assert.Equal(0, (await cluster.AttachAsync(second)).ExitCode);
        await cluster.NoDuplicatesAsync();
    }

    [SkippableFact]
    public async Task B030_Without_a_quorum_attaching_says_who_is_missing_and_completes_by_itself()
    {
        await using VoterCluster cluster = await VoterCluster.StartAsync(3, 3, output);
        LanNode here = cluster.Lan.Nodes[0];
        LanNode[] others = [cluster.Lan.Nodes[1], cluster.Lan.Nodes[2]];
        Guest guest = await cluster.Lan.AttachAsync(here, VoterCluster.Network, "old");
        Guest leaving = await cluster.Lan.AttachAsync(here, VoterCluster.Network, "leaving");
        foreach (LanNode node in others)
        {
            await node.KillAsync();
        }

        long asked = Stopwatch.GetTimestamp();
        KctlResult refused = await cluster.AttachAsync(here, "waiting");
        TimeSpan took = Stopwatch.GetElapsedTime(asked);
        Say($"refused after {took.TotalSeconds:0.0} s:\n{refused.Stderr}");
        Assert.Equal(11, refused.ExitCode);
        Assert.InRange(took.TotalSeconds, 0, 20);
        Assert.Contains("quorum", refused.Stderr, StringComparison.Ordinal);
        foreach (LanNode node in others)
        {
            Assert.Contains($"voter {node.Name}: missing", refused.Stderr, StringComparison.Ordinal);
        }

        Assert.Contains("since: ", refused.Stderr, StringComparison.Ordinal);
        NicInfo waiting = (await here.NicsAsync(VoterCluster.Network)).Single(n => n.Name == "waiting");
        Assert.Equal("PendingAddress", waiting.State);

        // What exists goes on, and what goes away goes.
        await guest.PingAsync(guest.Nic.Gateway);
        await cluster.Lan.DetachAsync(leaving);
        Assert.DoesNotContain(await here.NicsAsync(VoterCluster.Network), n => n.Name == "leaving");
        Assert.Equal(9, (await here.KctlAsync("status")).ExitCode);
        StatusReport status = await here.StatusAsync();
        Assert.False(status.Consensus.Quorum);
        Assert.NotNull(status.Consensus.Since);

        others[0].Start();
        await Until.SeenAsync(TimeSpan.FromSeconds(30), "the NIC completes by itself under its id", async () =>
        {
            NicInfo now = (await here.NicsAsync(VoterCluster.Network)).Single(n => n.Name == "waiting");
            return now.State == "Ready" && now.AttachmentId == waiting.AttachmentId ? null : $"{now.State} {now.AttachmentId}";
        });
        // Who votes need not answer yet.
        await others[0].AnswersAsync();
        await cluster.NoDuplicatesAsync();
    }

    [SkippableFact]
    public async Task A_leader_that_is_paused_deaf_or_mute_is_replaced_and_comes_back_as_a_follower()
    {
        await using VoterCluster cluster = await VoterCluster.StartAsync(5, 3, output);
        foreach (string fault in (string[])["paused", "deaf", "mute"])
        {
            LanNode old = await cluster.LeaderAsync();
            LanNode other = cluster.Lan.Nodes.First(n => n != old);
            long begun = Stopwatch.GetTimestamp();
            switch (fault)
            {
                case "paused": old.Pause(); break;
                case "deaf": await cluster.Lan.DeafenAsync(old); break;
                default: await cluster.Lan.MuteAsync(old); break;
            }

            TimeSpan gap = await cluster.UntilAttachedAsync(other, begun);
            Say($"leader {fault} to the next address: {gap.TotalSeconds:0.00} s");
            Assert.True(gap < TimeSpan.FromSeconds(25), $"{fault}: the next address came after {gap}");
            old.Resume();
            await cluster.Lan.HealAsync();
            await NodeLan.OneClusterAsync(cluster.Lan.Nodes, TimeSpan.FromSeconds(60));
            await cluster.VotersAsync(3);
            Assert.Equal(0, (await cluster.AttachAsync(old)).ExitCode);
            Assert.NotEqual(old, await cluster.LeaderAsync());
        }

        await cluster.NoDuplicatesAsync();
    }

    private void Say(string line) => output.WriteLine(line);

    private void Say(FormattableString line) => output.WriteLine(line.ToString(CultureInfo.InvariantCulture));
}

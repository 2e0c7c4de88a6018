using System.Diagnostics;
using Kcore.TestKit;
using Kcore.TestKit.Lan;
using Kcore.TestKit.Processes;

namespace Kcore.SystemTests.Lab;

/// <summary>The lab itself: what other tests rely on must be true without any daemon.</summary>
public sealed class LabTests
{
    private static readonly TimeSpan ShortWhile = TimeSpan.FromSeconds(1);

    [SkippableFact]
    public async Task Nodes_reach_each_other_and_the_outside_and_a_partition_cuts_only_one()
    {
        Requires.Kernel();
        await using NodeLan lan = await NodeLan.CreateAsync(3);
        await ReachesAsync(lan.Nodes[0], lan.Nodes[1].Address);
        await ReachesAsync(lan.Nodes[0], NodeLan.Outside);
        Assert.Equal("0", Netns.ReadSysctl(lan.Nodes[0].Namespace, "net/ipv4/ip_forward"));

        await lan.PartitionAsync(lan.Nodes[2]);
        Assert.False(await PingsAsync(lan.Nodes[0], lan.Nodes[2].Address));
        await ReachesAsync(lan.Nodes[0], lan.Nodes[1].Address);

        await lan.HealAsync();
        await ReachesAsync(lan.Nodes[0], lan.Nodes[2].Address);
    }

    [SkippableFact]
    public async Task A_continuous_ping_reports_what_was_lost_and_only_that()
    {
        Requires.Kernel();
        await using NodeLan lan = await NodeLan.CreateAsync(2);
        LanNode a = lan.Nodes[0];
        string log = Path.Combine(lan.Directory, "ping.log");
        await using (ContinuousPing calm = await ContinuousPing.StartAsync(a.Namespace, lan.Nodes[1].Address, log))
        {
            await Task.Delay(ShortWhile);
            PingReport report = await calm.StopAsync();
            Assert.True(report.Sent > 10 && report.Lost.Count == 0 && report.Duplicates == 0, report.ToString());
        }

        await using ContinuousPing lossy = await ContinuousPing.StartAsync(a.Namespace, lan.Nodes[1].Address, log);
        await lan.LosePacketsAsync(50);
        await Task.Delay(ShortWhile);
        await lan.HealAsync();
        PingReport lost = await lossy.StopAsync();
        Assert.True(lost.Lost.Count > 3 && lost.Lost.Count < lost.Sent - 3, lost.ToString());
    }

    [SkippableFact]
    public async Task Frames_of_any_protocol_cross_the_switch()
    {
        Requires.Kernel();
        await using NodeLan lan = await NodeLan.CreateAsync(2);
        using PacketSocket from = PacketSocket.Open(lan.Nodes[0].Namespace, "eth0", 0x88B5);
        using PacketSocket to = PacketSocket.Open(lan.Nodes[1].Namespace, "eth0", 0x88B5);
        from.Send(PacketSocket.Frame([0xff, 0xff, 0xff, 0xff, 0xff, 0xff], from.Mac, 0x88B5, new byte[46]));
        IReadOnlyList<byte[]> seen = await to.CollectAsync(TimeSpan.FromSeconds(2), f => f.AsSpan(6, 6).SequenceEqual(from.Mac), most: 1);
        Assert.Single(seen);
    }

    [SkippableFact]
    public async Task A_snapshot_shows_a_new_device_and_a_new_rule_and_nothing_when_they_are_gone()
    {
        Requires.Kernel();
        await using NodeLan lan = await NodeLan.CreateAsync(1);
        LanNode node = lan.Nodes[0];
        Directory.CreateDirectory(node.DataDirectory);
        HostSnapshot before = await HostSnapshot.TakeAsync(node);
        await Command.OutputAsync("ip", "-n", node.Namespace, "link", "add", "extra", "type", "bridge");
        (await Netns.ExecAsync(node.Namespace, "nft", "add", "table", "inet", "extra")).OrThrow();
        IReadOnlyList<string> added = before.DifferencesTo(await HostSnapshot.TakeAsync(node));
        Assert.Contains(added, l => l.StartsWith("+ link extra ", StringComparison.Ordinal));
        Assert.Contains(added, l => l.StartsWith("+ nft ", StringComparison.Ordinal));
        await Command.OutputAsync("ip", "-n", node.Namespace, "link", "del", "extra");
        (await Netns.ExecAsync(node.Namespace, "nft", "delete", "table", "inet", "extra")).OrThrow();
        Assert.Empty(before.DifferencesTo(await HostSnapshot.TakeAsync(node)));
    }

    [SkippableFact]
    public async Task Nothing_is_left_when_a_lab_is_gone()
    {
        Requires.Kernel();
        string[] namespaces;
        int pid;
        await using (NodeLan lan = await NodeLan.CreateAsync(1))
        {
            namespaces = [lan.Switch, lan.Nodes[0].Namespace];
            BackgroundProcess left = BackgroundProcess.Start(
                "ip", ["netns", "exec", namespaces[1], "sleep", "600"], Path.Combine(lan.Directory, "left.log"));
            pid = left.Pid;
            // Before that it is a process like any other, which no lab has to do with.
            await Until.SeenAsync(TimeSpan.FromSeconds(5), "the process is in the namespace", async () =>
                (await Command.OutputAsync("ip", "netns", "pids", namespaces[1])).Split('\n').Contains($"{pid}") ? null : "not yet");
        }

        string all = await Command.OutputAsync("ip", "netns", "list");
        Assert.All(namespaces, n => Assert.DoesNotContain(n, all, StringComparison.Ordinal));

        // It was killed; on a busy machine it takes a moment until it is gone.
        await Until.SeenAsync(TimeSpan.FromSeconds(5), "the process has ended", () =>
            Task.FromResult(Process.GetProcesses().Any(p => p.Id == pid && p.ProcessName == "sleep" && !p.HasExited) ? "it runs" : null));
    }

    /// <summary>A link just made or healed may lose the first frames.</summary>
    private static Task ReachesAsync(LanNode from, string to) => Until.SeenAsync(
        TimeSpan.FromSeconds(5), $"{from.Name} reaches {to}", async () => await PingsAsync(from, to) ? null : "no answer");

    private static async Task<bool> PingsAsync(LanNode from, string to) =>
        (await Netns.ExecAsync(from.Namespace, "ping", "-n", "-c", "1", "-W", "1", to)).ExitCode == 0;
}

using Kcore.Contracts;
using Kcore.SystemTests.Lab;
using Kcore.TestKit.Lan;
using Xunit.Abstractions;

namespace Kcore.SystemTests.Cluster;

/// <summary>Recorded datagrams are worth nothing. The hour-long form is `./dev bench membership --replay 60m`.</summary>
public sealed class ReplayTests(ThreeNodes three, ITestOutputHelper output) : SharedLanTest(three, output)
{
    private const int FramesPerSecond = 2000;
    private static readonly TimeSpan Recorded = TimeSpan.FromSeconds(30);

    [SkippableFact]
    public async Task What_was_recorded_before_a_restart_of_all_changes_nothing_after_it()
    {
        await ReadyAsync();
        string file = Path.Combine(Lan.Directory, "gossip.frames");
        await using (DatagramRecorder recorder = DatagramRecorder.Start(Lan, file))
        {
            // Facts that are gone by the time of the replay are in the recording.
            foreach (string name in (string[])["replay1", "replay2"])
            {
                (await A.KctlAsync("create", "network", name, "--type", "vxlan", "--gateway-ip", $"10.24{name[^1]}.0.1")).OrThrow();
                await Task.Delay(Recorded / 4);
                (await A.KctlAsync("delete", "network", name)).OrThrow();
                await Task.Delay(Recorded / 4);
            }
        }

        await Task.WhenAll(Lan.Nodes.Select(n => n.KillAsync()));
        foreach (LanNode node in Lan.Nodes)
        {
            node.Start();
        }

        await NodeLan.OneClusterAsync(Lan.Nodes, TimeSpan.FromSeconds(60));
        await Task.Delay(TimeSpan.FromSeconds(5));
        IReadOnlyList<string> before = await ClusterRecord.TakeAsync(Lan);
        Dictionary<LanNode, long> events = [];
        foreach (LanNode node in Lan.Nodes)
        {
            events[node] = await node.LastEventAsync();
        }

        // A host that keeps out of the way of the addresses of other tests.
        string host = await Lan.AddHostAsync("replayer", 251);
        using PacketSocket from = PacketSocket.Open(host, "eth0", 0x0800);
        long sent = await DatagramRecorder.ReplayAsync(file, from, FramesPerSecond);
        await Task.Delay(TimeSpan.FromSeconds(3));

        Output.WriteLine($"{sent} frames sent again");
        Assert.True(sent > 50, $"only {sent} frames were recorded: that proves nothing");
        Assert.Equal(before, await ClusterRecord.TakeAsync(Lan));
        foreach (LanNode node in Lan.Nodes)
        {
            EventInfo[] news = [.. (await node.EventsAsync(events[node])).Where(e => e.Type.StartsWith("Member", StringComparison.Ordinal) || e.Type.StartsWith("Digest", StringComparison.Ordinal) || e.Type is "AddressChanged" or "Conflict")];
            Assert.True(news.Length == 0, $"{node.Name} reports: {string.Join("; ", news.Select(e => e.Message))}");
            Assert.Contains("datagrams dropped so far", node.LogTail(1000), StringComparison.Ordinal);
        }
    }
}

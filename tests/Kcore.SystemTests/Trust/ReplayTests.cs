using System.Net;
using System.Net.Sockets;
using Kcore.Contracts;
using Kcore.SystemTests.Lab;
using Kcore.TestKit.Lan;
using Xunit.Abstractions;

namespace Kcore.SystemTests.Trust;

/// <summary>Somebody on the LAN recorded all gossip and plays it back. The hour-long form is `./dev bench membership --replay 60m`.</summary>
public sealed class ReplayTests(ITestOutputHelper output)
{
    private const int GossipPort = 7946;
    private const int AddressHeader = 42;

    [SkippableFact]
    public Task A_recording_played_back_to_nodes_that_restarted_changes_nothing() => OwnLan.OnAsync(3, output, async lan =>
    {
        foreach (LanNode node in lan.Nodes)
        {
            node.Start();
        }

        await NodeLan.OneClusterAsync(lan.Nodes, TimeSpan.FromSeconds(60));
        Task<IReadOnlyList<byte[]>>[] recorders = [.. lan.Nodes.Select(n => RecordAsync(n, TimeSpan.FromSeconds(25)))];

        // Things worth playing back: networks that come and go, a node that dies and comes back.
        for (int i = 0; i < 3; i++)
        {
            (await lan.Nodes[i].KctlAsync("create", "network", $"n{i}", "--type", "vxlan", "--gateway-ip", $"10.8{i}.0.1")).OrThrow();
        }

        await lan.Nodes[2].KillAsync();
        (await lan.Nodes[0].KctlAsync("delete", "network", "n0")).OrThrow();
        lan.Nodes[2].Start();
        await NodeLan.OneClusterAsync(lan.Nodes, TimeSpan.FromSeconds(60));
        byte[][] recorded = [.. (await Task.WhenAll(recorders)).SelectMany(r => r)];
        output.WriteLine($"{recorded.Length} datagrams recorded");
        Assert.True(recorded.Length > 100);

        foreach (LanNode node in lan.Nodes)
        {
            await node.KillAsync();
        }

        foreach (LanNode node in lan.Nodes)
        {
            node.Start();
        }

        await NodeLan.OneClusterAsync(lan.Nodes, TimeSpan.FromSeconds(60));
        await NodeLan.SettledAsync(lan.Nodes);
        string[] before = await PictureAsync(lan.Nodes);
        Dictionary<LanNode, long> events = [];
        foreach (LanNode node in lan.Nodes)
        {
            events[node] = await node.LastEventAsync();
        }

        string thief = await lan.AddHostAsync("thief", 66);
        using PacketSocket wire = PacketSocket.Open(thief, "eth0", 0x0800);
        using Socket udp = Netns.Run(thief, () => new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp));
        udp.Bind(new IPEndPoint(IPAddress.Any, GossipPort));
        long sent = 0;
        foreach (byte[] frame in recorded)
        {
            // To everybody, under the thief's own address; and as it was, under its sender's.
            foreach (LanNode node in lan.Nodes)
            {
                sent += frame.Length - AddressHeader;
                udp.SendTo(frame.AsSpan(AddressHeader), SocketFlags.None, new IPEndPoint(IPAddress.Parse(node.Address), GossipPort));
            }

            wire.Mac.CopyTo(frame, 6);
            wire.Send(frame);
        }

        long received = 0;
        byte[] buffer = new byte[65536];
        while (udp.Poll(TimeSpan.FromSeconds(1), SelectMode.SelectRead))
        {
            received += udp.Receive(buffer);
        }

        output.WriteLine($"{sent} bytes out, {received} bytes back");
        Assert.True(received <= sent, $"{received} bytes for {sent}");
        await Task.Delay(TimeSpan.FromSeconds(3));
        Assert.Equal(before, await PictureAsync(lan.Nodes));
        foreach (LanNode node in lan.Nodes)
        {
            EventInfo[] told = [.. await node.EventsAsync(events[node])];
            Assert.True(told.Length == 0, $"{node.Name}: {string.Join("; ", told.Select(e => $"{e.Type} {e.Message}"))}");
            Assert.Contains("datagrams dropped so far", node.LogTail(1000), StringComparison.Ordinal);
        }
    });

    private static async Task<IReadOnlyList<byte[]>> RecordAsync(LanNode node, TimeSpan during)
    {
        using PacketSocket tap = PacketSocket.Open(node.Namespace, "eth0", 0x0800);

        // IPv4 without options: protocol at 23, UDP destination port at 36 (RFC 791, RFC 768).
        return await tap.CollectAsync(
            during,
            f => f.Length > AddressHeader && f[14] == 0x45 && f[23] == 17 && ((f[36] << 8) | f[37]) == GossipPort && !f.AsSpan(6, 6).SequenceEqual(tap.Mac));
    }

    /// <summary>Digest and members with all that gossip knows of them, as each node tells it.</summary>
    private static async Task<string[]> PictureAsync(IReadOnlyList<LanNode> nodes)
    {
        List<string> picture = [];
        foreach (LanNode node in nodes)
        {
            picture.Add($"{node.Name} digest {(await node.StatusAsync()).Digest}");
            foreach (LanNode other in nodes)
            {
                NodeDetail detail = (await node.KctlAsync("describe", "node", other.Name, "-o", "json")).OrThrow().Read(ApiJson.Default.NodeDetail);
                picture.Add($"{node.Name} sees {other.Name} {detail.Summary.Status} at {detail.Summary.Address}, epoch {detail.Epoch}, incarnation {detail.Incarnation}");
            }
        }

        return [.. picture];
    }
}

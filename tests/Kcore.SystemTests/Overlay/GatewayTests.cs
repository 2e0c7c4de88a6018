using Kcore.SystemTests.Lab;
using Kcore.TestKit;
using Kcore.TestKit.Lan;
using Xunit.Abstractions;

namespace Kcore.SystemTests.Overlay;

/// <summary>Behaviour 18: one gateway, the same on every node and each node's own, in clusters of one, three and five.</summary>
public sealed class GatewayTests(ITestOutputHelper output)
{
    private static readonly TimeSpan AWhile = TimeSpan.FromSeconds(1);

    [SkippableFact]
    public Task B018_B046_The_gateway_is_answered_once_by_the_guests_own_node_through_which_it_leaves() => OwnLan.OnAsync(5, output, async lan =>
    {
        lan.Nodes[0].Start(new DaemonSettings { Mdns = true });
        await lan.Nodes[0].AnswersAsync();
        await using TestNetwork first = await TestNetwork.CreateAsync(lan, [lan.Nodes[0]], "gateway", "10.66.0");
        List<Guest> guests = [await first.AttachAsync(lan.Nodes[0], "gw-1")];
        await AnsweredOnceAsync(lan, first, guests);

        // With nobody to talk to, tunnel packets are taken from nobody.
        string stranger = await lan.AddHostAsync("stranger", 77);
        Assert.False(await GuestProbe.TunnelFrameArrivesAsync(stranger, first.Vni, guests[0], 1), "A frame in a tunnel packet reached the guest of a cluster of one");

        foreach (int size in (int[])[3, 5])
        {
            LanNode[] members = [.. lan.Nodes.Take(size)];
            foreach (LanNode node in members.Where(n => !n.IsRunning))
            {
                node.Start(new DaemonSettings { Mdns = true });
            }

            await NodeLan.OneClusterAsync(members, TimeSpan.FromSeconds(60));
            TestNetwork all = first.On(members);
            await all.ReadyAsync(TimeSpan.FromSeconds(5));
            foreach (LanNode node in members.Where(m => guests.TrueForAll(g => g.Node != m)))
            {
                guests.Add(await first.AttachAsync(node, $"gw-{guests.Count + 1}"));
            }

            await AnsweredOnceAsync(lan, all, guests);
        }
    });

    private async Task AnsweredOnceAsync(NodeLan lan, TestNetwork network, List<Guest> guests)
    {
        LanNode[] nodes = [.. guests.Select(g => g.Node)];
        string mac = $"02:6b:00:{network.Vni >> 16:x2}:{(network.Vni >> 8) & 0xff:x2}:{network.Vni & 0xff:x2}";
        string[][] replies = [];
        IReadOnlyList<TunnelPacket> crossed = await TunnelPacket.DuringAsync(nodes, network.Vni, async () =>
            replies = await Task.WhenAll(guests.Select(g => GuestProbe.ArpRepliesAsync(g, network.Gateway, AWhile))));
        Assert.All(guests.Zip(replies), pair => Assert.True(
            pair.Second is [var only] && only == mac,
            $"With {guests.Count} nodes, on {pair.First.Node.Name}, expected one reply from {mac}; seen: {string.Join(' ', pair.Second)}"));
        Assert.DoesNotContain(crossed, p => p.InnerType == GuestProbe.Arp);

        foreach (Guest guest in guests)
        {
            await Until.SeenAsync(TimeSpan.FromSeconds(5), $"{guest.Name} reaches its gateway", async () =>
                (await guest.ExecAsync("ping", "-n", "-c", "1", "-W", "1", network.Gateway)).ExitCode == 0 ? null : "no answer");
            Assert.Equal(guest.Node.Address, await GuestProbe.SourceSeenOutsideAsync(lan, guest));
        }

        output.WriteLine($"{guests.Count} nodes: one answer each, and each guest left through its own node");
    }
}

using System.Diagnostics;
using System.Net;
using Kcore.SystemTests.Lab;
using Kcore.TestKit;
using Kcore.TestKit.Lan;
using Xunit.Abstractions;

namespace Kcore.SystemTests.Overlay;

/// <summary>A NIC that is detached on one node and attached with its MAC on another.</summary>
[Collection(OverlayNodes.Name)]
public sealed class MoveTests(ThreeNodes three, ITestOutputHelper output) : SharedLanTest(three, output)
{
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(1);

    [SkippableFact]
    public async Task B019_A_MAC_that_comes_back_on_another_node_is_re_pointed_everywhere_and_announced_there()
    {
        const string Mac = "52:54:00:4d:6f:76";
        await ReadyAsync();
        await using TestNetwork network = await TestNetwork.CreateAsync(Lan, Lan.Nodes, "moving", Three.NextSubnet());
        Guest watcher = await network.AttachAsync(C, "watcher");
        Guest neighbour = await network.AttachAsync(B, "neighbour");
        Guest before = await network.AttachAsync(A, "mover", "--mac", Mac);
        await network.ForwardingIsExactAsync(TimeSpan.FromSeconds(2));
        await watcher.PingAsync(before.Address);

        await network.DetachAsync(before);
        using PacketSocket heard = neighbour.OpenPacket(GuestProbe.Arp);
        byte[] mac = PacketSocket.ParseMac(Mac);
        Task<IReadOnlyList<byte[]>> announced = heard.CollectAsync(
            TimeSpan.FromSeconds(5), f => f.AsSpan(6, 6).SequenceEqual(mac) && f.AsSpan(28, 4).SequenceEqual(f.AsSpan(38, 4)), most: 1);
        Guest after = await network.AttachAsync(B, "mover", "--mac", Mac);
        long attached = Stopwatch.GetTimestamp();
        await network.ForwardingIsExactAsync(Bound);
        await Until.SeenAsync(Bound, "the guest is reached where it is now", async () =>
            (await watcher.ExecAsync("ping", "-n", "-c", "1", "-W", "1", after.Address)).ExitCode == 0 ? null : "no answer");
        Output.WriteLine($"every entry points to {B.Name}, and the guest answers, {Stopwatch.GetElapsedTime(attached).TotalMilliseconds:0} ms after the answer to attach");

        // A gratuitous request or reply tells those next to it (RFC 5227, 3); its address is a new one.
        byte[] frame = Assert.Single(await announced);
        Assert.Equal(after.Address, new IPAddress(frame.AsSpan(28, 4)).ToString());
        Assert.NotEqual(before.Address, after.Address);
    }
}

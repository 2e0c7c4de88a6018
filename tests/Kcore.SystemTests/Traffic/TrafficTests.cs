using System.Net;
using System.Net.Sockets;
using System.Text;
using Kcore.SystemTests.Lab;
using Kcore.TestKit.Lan;
using Kcore.TestKit.Processes;
using Xunit.Abstractions;

namespace Kcore.SystemTests.Traffic;

/// <summary>What guests can and cannot send each other.</summary>
public sealed class TrafficTests(ThreeNodes three, ITestOutputHelper output) : SharedLanTest(three, output)
{
    private static readonly TimeSpan AWhile = TimeSpan.FromSeconds(1);

    [SkippableFact]
    public async Task B016_B021_Guests_on_three_nodes_share_one_segment()
    {
        await ReadyAsync();
        await using TestNetwork network = await TestNetwork.CreateAsync(Lan, Lan.Nodes, "segment", Three.NextSubnet());
        Guest[] guests = [await network.AttachAsync(A, "ga"), await network.AttachAsync(B, "gb"), await network.AttachAsync(C, "gc")];
        await network.ForwardingIsExactAsync(TimeSpan.FromSeconds(2));

        foreach (Guest from in guests)
        {
            foreach (Guest to in guests.Where(g => g != from))
            {
                await from.PingAsync(to.Address);
            }

            Assert.Equal(1450, (await Link.FindAsync(from.Namespace, "eth0"))!.Mtu);
            Assert.Equal(1450, from.Nic.Mtu);
        }

        // 1422 bytes and 28 of headers fill the MTU exactly; one more does not fit and must not be fragmented.
        CommandResult full = await guests[0].ExecAsync("ping", "-n", "-c", "2", "-W", "2", "-M", "do", "-s", "1422", guests[1].Address);
        Assert.True(full.ExitCode == 0, full.ToString());
        CommandResult over = await guests[0].ExecAsync("ping", "-n", "-c", "1", "-W", "1", "-M", "do", "-s", "1423", guests[1].Address);
        Assert.True(over.ExitCode != 0, over.ToString());

        await FrameReachesAsync(guests[0], GuestProbe.Broadcast, guests[1..]);
        await FrameReachesAsync(guests[1], [0x03, 0x4b, 0x63, 0x6f, 0x72, 0x65], [guests[0], guests[2]]);
        Assert.Equal("over the tunnel", await TcpEchoAsync(guests[2], guests[0], "over the tunnel"));
        Assert.Equal("a broadcast", await UdpBroadcastAsync(guests[0], guests[2], network.Subnet + ".255", "a broadcast"));
    }

    [SkippableFact]
    public async Task B022_Two_overlays_do_not_see_each_other()
    {
        await ReadyAsync();
        await using TestNetwork red = await TestNetwork.CreateAsync(Lan, Lan.Nodes, "red", Three.NextSubnet());
        await using TestNetwork blue = await TestNetwork.CreateAsync(Lan, Lan.Nodes, "blue", Three.NextSubnet());
        Guest redA = await red.AttachAsync(A, "red-a");
        Guest redB = await red.AttachAsync(B, "red-b");
        Guest blueA = await blue.AttachAsync(A, "blue-a");
        Guest blueB = await blue.AttachAsync(B, "blue-b");
        await red.ForwardingIsExactAsync(TimeSpan.FromSeconds(2));

        using PacketSocket near = blueA.OpenPacket(GuestProbe.Experimental);
        using PacketSocket far = blueB.OpenPacket(GuestProbe.Experimental);
        Task<IReadOnlyList<byte[]>> nearSeen = near.CollectAsync(AWhile, _ => true);
        Task<IReadOnlyList<byte[]>> farSeen = far.CollectAsync(AWhile, _ => true);
        await FrameReachesAsync(redA, GuestProbe.Broadcast, [redB]);
        Assert.Empty(await nearSeen);
        Assert.Empty(await farSeen);
    }

    [SkippableFact]
    public async Task B041_B042_Guests_leave_with_the_nodes_address_unless_outbound_NAT_is_off()
    {
        await ReadyAsync();
        await using TestNetwork translated = await TestNetwork.CreateAsync(Lan, Lan.Nodes, "natted", Three.NextSubnet());
        await using TestNetwork plain = await TestNetwork.CreateAsync(Lan, Lan.Nodes, "plain", Three.NextSubnet(), "--no-outbound-nat");
        Guest inside = await translated.AttachAsync(B, "inside");
        Guest open = await plain.AttachAsync(B, "open");
        Assert.Equal("1", Netns.ReadSysctl(B.Namespace, "net/ipv4/ip_forward"));

        CommandResult ping = await inside.ExecAsync("ping", "-n", "-c", "3", "-i", "0.2", "-W", "2", NodeLan.Outside);
        Assert.True(ping.ExitCode == 0, $"{ping}\n{await WhatNodeKnowsAsync(B, inside)}");
        Assert.Equal(B.Address, await GuestProbe.SourceSeenOutsideAsync(Lan, inside));
        Assert.Equal(open.Address, await GuestProbe.SourceSeenOutsideAsync(Lan, open));
    }

    private static async Task<string> WhatNodeKnowsAsync(LanNode node, Guest guest)
    {
        string[][] questions =
        [
            ["sysctl", "net.ipv4.ip_forward"], ["ip", "-br", "addr"], ["ip", "route"], ["ip", "neigh"], ["conntrack", "-L"],
            ["nft", "list", "table", "inet", "kcore"], ["nft", "list", "table", "bridge", "kcore"], ["bridge", "fdb"],
        ];
        var known = new StringBuilder();
        foreach (string[] question in questions)
        {
            known.AppendLine((await Netns.ExecAsync(node.Namespace, question)).ToString());
        }

        return known.Append(await guest.ExecAsync("ip", "route")).Append(await guest.ExecAsync("ip", "neigh")).ToString();
    }

    private static async Task FrameReachesAsync(Guest from, byte[] destination, Guest[] to)
    {
        using PacketSocket sender = from.OpenPacket(GuestProbe.Experimental);
        PacketSocket[] listeners = [.. to.Select(g => g.OpenPacket(GuestProbe.Experimental))];
        Task<IReadOnlyList<byte[]>>[] waits = [.. listeners.Select(l => l.CollectAsync(AWhile, f => f.AsSpan(6, 6).SequenceEqual(sender.Mac)))];
        sender.Send(PacketSocket.Frame(destination, sender.Mac, GuestProbe.Experimental, Encoding.ASCII.GetBytes("not IP".PadRight(46))));
        for (int i = 0; i < waits.Length; i++)
        {
            int count = (await waits[i]).Count;
            listeners[i].Dispose();
            Assert.True(count == 1, $"{from.Name} sent one frame to {Convert.ToHexStringLower(destination)}; {to[i].Name} got {count}");
        }
    }

    private static async Task<string> TcpEchoAsync(Guest client, Guest server, string text)
    {
        using CancellationTokenSource deadline = new(TimeSpan.FromSeconds(5));
        using Socket listener = Netns.Run(server.Namespace, () =>
        {
            Socket s = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            s.Bind(new IPEndPoint(IPAddress.Any, 7000));
            s.Listen();
            return s;
        });
        using Socket caller = Netns.Run(client.Namespace, () => new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp));
        await caller.ConnectAsync(new IPEndPoint(IPAddress.Parse(server.Address), 7000), deadline.Token);
        using Socket accepted = await listener.AcceptAsync(deadline.Token);
        await caller.SendAsync(Encoding.UTF8.GetBytes(text), deadline.Token);
        byte[] buffer = new byte[256];
        return Encoding.UTF8.GetString(buffer, 0, await accepted.ReceiveAsync(buffer, deadline.Token));
    }

    private static async Task<string> UdpBroadcastAsync(Guest from, Guest to, string address, string text)
    {
        using CancellationTokenSource deadline = new(TimeSpan.FromSeconds(5));
        using Socket receiver = GuestProbe.Listen(to.Namespace, 7001);
        using Socket sender = Netns.Run(from.Namespace, () => new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp) { EnableBroadcast = true });
        await sender.SendToAsync(Encoding.UTF8.GetBytes(text), new IPEndPoint(IPAddress.Parse(address), 7001), deadline.Token);
        byte[] buffer = new byte[256];
        return Encoding.UTF8.GetString(buffer, 0, await receiver.ReceiveAsync(buffer, deadline.Token));
    }
}

using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Kcore.Daemon.Dataplane.Desired;
using Kcore.Netlink.Namespaces;

namespace Kcore.Daemon.Tests.Dataplane;

/// <summary>Guests that lie, on this machine's kernel.</summary>
public sealed class SpoofingKernelTests
{
    private const byte RouterAdvertisement = 134;
    private const byte NeighbourAdvertisement = 136;

    [SkippableFact]
    public async Task A_guest_speaks_in_no_name_but_its_own_and_the_drops_say_why()
    {
        await using KernelLab lab = new();
        LabNode node = lab.AddNode(1);
        string web = lab.AddNamespace("web");
        string db = lab.AddNamespace("db");
        OverlayIntent overlay = LabNode.Overlay(Intents.Netns("web", 1, $"/run/netns/{web}"), Intents.Netns("db", 2, $"/run/netns/{db}") with { Device = "kv-db" });
        node.Start();
        await node.ConvergeAsync(overlay);
        KernelLab.In(web, $"ping -c 1 -W 1 {Intents.Guest(2)}");

        // Another address: as a source of IP, and claimed by ARP.
        KernelLab.Ip(web, "addr add 10.88.0.77/32 dev eth0");
        Assert.NotEqual(0, KernelLab.TryRun("ip", $"netns exec {web} ping -c 2 -i 0.1 -W 1 -I 10.88.0.77 {Intents.Guest(2)}").Code);
        KernelLab.TryRun("ip", $"netns exec {web} arping -c 1 -w 1 -U -I eth0 -s 10.88.0.77 10.88.0.77");
        Assert.DoesNotContain("10.88.0.77", KernelLab.Ip(db, "neigh"), StringComparison.Ordinal);
        KernelLab.Ip(web, "addr del 10.88.0.77/32 dev eth0");

        // In the network's name: a DHCP server and an IPv6 router.
        using Socket client = Udp(db, 68);
        using Socket host = Icmp(db);
        using Socket server = Udp(web, 67);
        using Socket rogue = Icmp(web);
        server.SendTo("offer"u8, new IPEndPoint(IPAddress.Broadcast, 68));
        rogue.SendTo((byte[])[RouterAdvertisement, .. new byte[15]], new IPEndPoint(AllNodes(web), 0));
        rogue.SendTo((byte[])[NeighbourAdvertisement, .. new byte[23]], new IPEndPoint(AllNodes(web), 0));
        Assert.Equal(NeighbourAdvertisement, FirstFromOutside(host));
        Assert.False(client.Poll(TimeSpan.Zero, SelectMode.SelectRead));

        // Another MAC.
        KernelLab.Ip(web, "link add nested link eth0 address 52:54:00:00:00:99 type macvlan mode bridge");
        KernelLab.Ip(web, "addr add 10.88.0.78/24 dev nested");
        KernelLab.Ip(web, "link set nested up");
        Assert.NotEqual(0, KernelLab.TryRun("ip", $"netns exec {web} ping -c 2 -i 0.1 -W 1 -I nested {Intents.Guest(2)}").Code);

        string listed = KernelLab.In(node.Namespace, "nft list table bridge kcore");
        foreach (string set in (string[])["not_mac", "not_ip", "not_arp", "not_dhcp", "not_router"])
        {
            Assert.Matches($"set {set} \\{{[^}}]*\"tap-00000001\" counter packets [1-9]", listed);
            Assert.Matches($"set {set} \\{{[^}}]*\"kv-db\" counter packets 0", listed);
        }
    }

    [SkippableFact]
    public async Task A_guest_that_may_spoof_reaches_others_from_any_address_and_learns_nothing_to_the_bridge()
    {
        await using KernelLab lab = new();
        LabNode node = lab.AddNode(1);
        string router = lab.AddNamespace("router");
        string db = lab.AddNamespace("db");
        OverlayIntent overlay = LabNode.Overlay(
            Intents.Netns("router", 1, $"/run/netns/{router}") with { AllowSpoofing = true },
            Intents.Netns("db", 2, $"/run/netns/{db}") with { Device = "kv-db" });
        node.Start();
        await node.ConvergeAsync(overlay);
        KernelLab.Ip(router, "link add nested link eth0 address 52:54:00:00:00:99 type macvlan mode bridge");
        KernelLab.Ip(router, "addr add 10.88.0.77/24 dev nested");
        KernelLab.Ip(router, "link set nested up");

        KernelLab.In(router, $"ping -c 2 -i 0.1 -W 1 -I nested {Intents.Guest(2)}");
        Assert.DoesNotContain("52:54:00:00:00:99", KernelLab.Run("bridge", $"-n {node.Namespace} fdb show br kbr-prod"), StringComparison.Ordinal);

        // Taking the permission back takes effect while the guest runs.
        await node.ConvergeAsync(overlay with { LocalNics = [overlay.LocalNics[0] with { AllowSpoofing = false }, overlay.LocalNics[1]] });
        Assert.NotEqual(0, KernelLab.TryRun("ip", $"netns exec {router} ping -c 2 -i 0.1 -W 1 -I nested {Intents.Guest(2)}").Code);
        KernelLab.In(router, $"ping -c 1 -W 1 -I eth0 {Intents.Guest(2)}");
    }

    [SkippableFact]
    public async Task What_was_dropped_is_reported_for_the_NIC_and_is_kept_when_the_table_is_replaced()
    {
        await using KernelLab lab = new();
        LabNode node = lab.AddNode(1);
        string web = lab.AddNamespace("web");
        OverlayIntent overlay = LabNode.Overlay(Intents.Netns("web", 1, $"/run/netns/{web}"));
        node.Start();
        await node.ConvergeAsync(overlay);
        KernelLab.Ip(web, "addr add 10.88.0.77/32 dev eth0");
        KernelLab.TryRun("ip", $"netns exec {web} ping -c 3 -i 0.1 -W 1 -I 10.88.0.77 10.88.0.1");
        KernelLab.Ip(web, "addr del 10.88.0.77/32 dev eth0");

        // Damage makes it read the table, and write it.
        KernelLab.In(node.Namespace, "nft flush chain bridge kcore guests");
        await KernelLab.UntilAsync(() => node.Loop.Status.Drops.Any(d => d is { Network: "prod", Nic: "web", Reason: DropReason.Address or DropReason.Arp }), "the drops to be reported", 2);
        ulong before = Total(node);
        await node.ConvergeAsync(overlay with { LocalNics = [overlay.LocalNics[0], Intents.Tap("vm", 5)] });
        Assert.True(Total(node) >= before);
        Assert.Matches("\"tap-00000001\" counter packets [1-9]", KernelLab.In(node.Namespace, "nft list table bridge kcore"));
    }

    private static ulong Total(LabNode node) => node.Loop.Status.Drops.Aggregate(0ul, (sum, d) => sum + d.Count.Packets);

    private static Socket Udp(string ns, int port) => NetworkNamespace.Named(ns).Run(() =>
    {
        Socket socket = new(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp) { EnableBroadcast = true };
        socket.Bind(new IPEndPoint(IPAddress.Any, port));
        return socket;
    });

    private static Socket Icmp(string ns) => NetworkNamespace.Named(ns).Run(() =>
    {
        Socket socket = new(AddressFamily.InterNetworkV6, SocketType.Raw, ProtocolType.IcmpV6) { ReceiveTimeout = 3000 };
        socket.SetSocketOption(SocketOptionLevel.IPv6, SocketOptionName.MulticastTimeToLive, 255);
        socket.SetSocketOption(SocketOptionLevel.IPv6, SocketOptionName.AddMembership, new IPv6MulticastOption(AllNodes(ns), AllNodes(ns).ScopeId));
        return socket;
    });

    private static IPAddress AllNodes(string ns) =>
        new(IPAddress.Parse("ff02::1").GetAddressBytes(), long.Parse(KernelLab.In(ns, "cat /sys/class/net/eth0/ifindex"), CultureInfo.InvariantCulture));

    /// <summary>What comes first of the two that were sent: the honest one, which came last.</summary>
    private static byte FirstFromOutside(Socket socket)
    {
        byte[] buffer = new byte[2048];
        while (true)
        {
            socket.Receive(buffer);
            if (buffer[0] is RouterAdvertisement or NeighbourAdvertisement)
            {
                return buffer[0];
            }
        }
    }
}

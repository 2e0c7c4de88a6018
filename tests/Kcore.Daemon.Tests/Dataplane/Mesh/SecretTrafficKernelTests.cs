using System.Net;
using System.Net.Sockets;
using System.Text.RegularExpressions;
using Kcore.Daemon.Dataplane.Desired;
using Kcore.Daemon.Dataplane.Mesh;
using Kcore.Netlink.Namespaces;

namespace Kcore.Daemon.Tests.Dataplane.Mesh;

/// <summary>The filter of encrypted networks on this machine's kernel, without the device of the mesh: the worst that can happen to it.</summary>
public sealed partial class SecretTrafficKernelTests
{
    private static readonly uint Vni = 14458;
    private static readonly IPAddress Own = IPAddress.Parse("100.127.192.1");
    private static readonly IPAddress Other = IPAddress.Parse("100.127.192.2");

    [SkippableTheory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task B118_A_frame_in_clear_from_a_member_enters_only_a_network_that_is_not_encrypted(bool encrypted)
    {
        await using KernelLab lab = new();
        LabNode a = lab.AddNode(1);
        LabNode b = lab.AddNode(2);
        a.Start();
        await a.ConvergeAsync(Intent(a, encrypted));

        NetworkNamespace.Named(b.Namespace).Run(() =>
        {
            using Socket socket = new(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
            for (int i = 0; i < 5; i++)
            {
                socket.SendTo(Frame(), new IPEndPoint(Intents.Vtep(1), KernelFacts.VxlanPort));
            }
        });

        await Task.Delay(200);
        Assert.Equal(encrypted ? 0 : 5, Received(a));
    }

    [SkippableTheory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task B118_With_its_addresses_on_the_card_of_the_LAN_a_frame_leaves_only_a_network_that_is_not_encrypted(bool encrypted)
    {
        await using KernelLab lab = new();
        LabNode a = lab.AddNode(1);
        lab.AddNode(2);
        KernelLab.In(lab.Underlay, "nft add table bridge watch");
        KernelLab.In(lab.Underlay, "nft add chain bridge watch pass { type filter hook prerouting priority 0 ; }");
        KernelLab.In(lab.Underlay, "nft add rule bridge watch pass udp dport 4789 counter");

        // Somebody gives the address of the mesh to the card: now routes lead out, and only the filter is in the way.
        KernelLab.Ip(a.Namespace, $"addr add {Own}/18 dev eth0");
        KernelLab.Ip(a.Namespace, $"neigh add {Other} lladdr 02:00:00:00:00:99 dev eth0 nud permanent");
        a.Start();

        // A guest, because what the gateway itself asks stays on its node.
        string web = lab.AddNamespace("web");
        DataplaneIntent intent = Intent(a, encrypted);
        await a.ConvergeAsync(intent with { Overlays = [intent.Overlays[0] with { LocalNics = [Intents.Netns("web", 1, $"/run/netns/{web}")] }] });
        KernelLab.TryRun("ip", $"netns exec {web} ping -c 3 -i 0.1 -W 1 10.88.0.77");

        string seen = KernelLab.In(lab.Underlay, "nft list chain bridge watch pass");
        long packets = long.Parse(Packets().Match(seen).Groups["n"].ValueSpan, System.Globalization.CultureInfo.InvariantCulture);
        Assert.True(encrypted ? packets == 0 : packets > 0, seen);
    }

    [SkippableFact]
    public async Task What_was_written_for_the_mesh_is_listed_as_it_was_written()
    {
        await using KernelLab lab = new();
        LabNode a = lab.AddNode(1);
        a.Start();
        await a.ConvergeAsync(Intent(a, encrypted: true));

        int passes = a.Passes;
        KernelLab.In(a.Namespace, "nft flush chain inet kcore mesh_out");
        await KernelLab.UntilAsync(() => a.Passes > passes && KernelLab.In(a.Namespace, "nft list chain inet kcore mesh_out").Contains("drop", StringComparison.Ordinal), "the rules are back");
        await a.ConvergeAsync(Intent(a, encrypted: true));
        await a.ConvergeAsync(Intent(a, encrypted: false));
        Assert.DoesNotContain("51820", KernelLab.In(a.Namespace, "nft list ruleset"), StringComparison.Ordinal);
    }

    private static DataplaneIntent Intent(LabNode node, bool encrypted) => new(
        node.Self,
        [
            LabNode.Overlay() with
            {
                Encrypted = encrypted,
                Peers = [encrypted ? new PeerIntent(Other, "node-2", 2) : LabNode.Peer(2)],
            },
        ],
        [Intents.Vtep(1), Intents.Vtep(2)])
    {
        Mesh = encrypted ? new MeshIntent(Own, 1440, [new MeshPeer("node-2", MeshKey.Make().Public, new IPEndPoint(Intents.Vtep(2), MeshIntent.Port), Other)]) : null,
    };

    /// <summary>VXLAN header (RFC 7348 §5) and a broadcast frame.</summary>
    private static byte[] Frame() =>
    [
        0x08, 0, 0, 0, (byte)(Vni >> 16), (byte)(Vni >> 8), (byte)Vni, 0,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0, 0, 0, 0, 0x42, 0x88, 0xb5,
        .. new byte[46],
    ];

    private static long Received(LabNode node) => long.Parse(
        KernelLab.In(node.Namespace, $"cat /sys/class/net/vxlan{Vni}/statistics/rx_packets").Trim(),
        System.Globalization.CultureInfo.InvariantCulture);

    [GeneratedRegex(@"packets (?<n>\d+)", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 5000)]
    private static partial Regex Packets();
}

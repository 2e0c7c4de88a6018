using System.Collections.Immutable;
using Kcore.Contracts;
using Kcore.SystemTests.Lab;
using Kcore.TestKit;
using Kcore.TestKit.Lan;
using Kcore.TestKit.Processes;
using Xunit.Abstractions;

namespace Kcore.SystemTests.Overlay;

/// <summary>What an overlay is in the kernel and on the wire, and what it is not.</summary>
[Collection(OverlayNodes.Name)]
public sealed class OverlayShapeTests(ThreeNodes three, ITestOutputHelper output) : SharedLanTest(three, output)
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(2);

    [SkippableFact]
    public async Task B012_B013_B032_B033_B039_An_overlay_has_a_bridge_a_tunnel_and_a_gateway_and_no_DHCP()
    {
        await ReadyAsync();
        await using TestNetwork network = await TestNetwork.CreateAsync(Lan, Lan.Nodes, "shape", Three.NextSubnet());
        Guest guest = await network.AttachAsync(A, "shape-a");
        Guest other = await network.AttachAsync(B, "shape-b");
        foreach (LanNode node in Lan.Nodes)
        {
            Assert.Equal(network.Bridge, (await Link.FindAsync(node.Namespace, network.Vxlan))!.Master);
            Assert.Contains(
                $" inet {network.Gateway}/24 ", await Command.OutputAsync("ip", "-n", node.Namespace, "addr", "show", "dev", network.Bridge), StringComparison.Ordinal);
            Assert.DoesNotContain("process dnsmasq", (await HostSnapshot.TakeAsync(node)).Lines);

            // What is there already is accepted once more by the kernel, and is there once.
            IReadOnlyList<FdbEntry> before = await FdbEntry.OfAsync(node.Namespace, network.Vxlan);
            await Command.OutputAsync("bridge", "-n", node.Namespace, "fdb", "append", "00:00:00:00:00:00", "dev", network.Vxlan, "dst", before.First(e => e.IsFlood).Destination);
            Assert.Equal(before, await FdbEntry.OfAsync(node.Namespace, network.Vxlan));
            string entries = await Command.OutputAsync("bridge", "-n", node.Namespace, "fdb", "show", "dev", network.Vxlan);
            Assert.All(
                before.Where(e => e.IsFlood),
                e => Assert.Single(entries.Split('\n'), l => l.StartsWith($"{e.Mac} dst {e.Destination} ", StringComparison.Ordinal) && l.Contains("self permanent", StringComparison.Ordinal)));
        }

        Assert.Null(await DhcpExchange.RunAsync(guest.Namespace, "eth0", Soon));
        NetworkDetail detail = await C.DescribeNetworkAsync(network.Name);
        await Until.SeenAsync(Soon, "describe counts both addresses", async () =>
            (await C.DescribeNetworkAsync(network.Name)).Addresses is { Used: 2, Free: 251 } now && now.Next == $"{network.Subnet}.4" ? null : "not yet");
        Assert.Equal(("vxlan", (int?)network.Vni, network.Vxlan), (detail.Type, detail.Vni, detail.VxlanDevice));
        Assert.NotEqual(guest.Address, other.Address);
    }

    [SkippableFact]
    public async Task B117_The_device_and_the_routes_say_what_everybody_asks_first_and_one_command_checks_it_all()
    {
        await ReadyAsync();
        await using TestNetwork network = await TestNetwork.CreateAsync(Lan, Lan.Nodes, "asked", Three.NextSubnet());
        Guest near = await network.AttachAsync(A, "near");
        Guest far = await network.AttachAsync(B, "far");
        await network.ForwardingIsExactAsync(Soon);
        foreach (LanNode node in (LanNode[])[A, B])
        {
            string device = await Command.OutputAsync("ip", "-n", node.Namespace, "-d", "link", "show", network.Vxlan);
            Assert.Matches($@"<[^>]*\bUP\b[^>]*>.* master {network.Bridge} ", device);
            Assert.Contains($" vxlan id {network.Vni} local {node.Address} ", device, StringComparison.Ordinal);
            Assert.Contains(
                $"{network.Subnet}.0/24 dev {network.Bridge} proto kernel scope link src {network.Gateway} ",
                await Command.OutputAsync("ip", "-n", node.Namespace, "route", "show"), StringComparison.Ordinal);
            Assert.Contains($" dev {network.Bridge} src {network.Gateway} ", await Command.OutputAsync("ip", "-n", node.Namespace, "route", "get", far.Address), StringComparison.Ordinal);
        }

        // From the host itself, too, whichever node the guest is on.
        (await Netns.ExecAsync(A.Namespace, "ping", "-n", "-c", "1", "-W", "2", near.Address)).OrThrow();
        await ChecksAsync("ok");

        // What the blog's reader would find missing is back within a second, and until then no guest has a way to the outside.
        await Command.OutputAsync("ip", "-n", A.Namespace, "route", "del", $"{network.Subnet}.0/24", "dev", network.Bridge);
        await Until.SeenAsync(TimeSpan.FromSeconds(1), "the route is back", async () =>
            (await Command.OutputAsync("ip", "-n", A.Namespace, "route", "show")).Contains($"{network.Subnet}.0/24 dev {network.Bridge} ", StringComparison.Ordinal) ? null : "it is not");

        // A device of another kind in the way of a network is what the one command names.
        string foreign = $"vxlan{TestNetwork.VniOf("taken")}";
        await Command.OutputAsync("ip", "-n", A.Namespace, "link", "add", foreign, "type", "bridge");
        try
        {
            (await B.KctlAsync("create", "network", "taken", "--type", "vxlan", "--gateway-ip", Three.NextSubnet() + ".1")).OrThrow();
            await ChecksAsync("failed", "taken", foreign);
        }
        finally
        {
            await Command.OutputAsync("ip", "-n", A.Namespace, "link", "del", foreign);
            await B.KctlAsync("delete", "network", "taken");
        }

        Task<TimeSpan> ChecksAsync(params string[] words) => Until.SeenAsync(TimeSpan.FromSeconds(10), $"the check of the networks says {string.Join(' ', words)}", async () =>
        {
            string said = (await A.KctlAsync("doctor")).Stdout;
            string networks = string.Join('\n', said.Split('\n').SkipWhile(l => !l.StartsWith("networks ", StringComparison.Ordinal)).TakeWhile((l, i) => i == 0 || l.StartsWith(' ')));
            return words.All(w => networks.Contains(w, StringComparison.Ordinal)) ? null : said;
        });
    }

    [SkippableFact]
    public async Task B020_Guests_reach_each_other_with_all_flood_entries_removed_and_no_ARP_on_the_wire()
    {
        await ReadyAsync();
        await using TestNetwork network = await TestNetwork.CreateAsync(Lan, Lan.Nodes, "quiet", Three.NextSubnet());
        Guest[] guests = [await network.AttachAsync(A, "qa"), await network.AttachAsync(B, "qb"), await network.AttachAsync(C, "qc")];
        await network.ForwardingIsExactAsync(Soon);

        // Stopped daemons put nothing back.
        foreach (LanNode node in Lan.Nodes)
        {
            node.Pause();
        }

        try
        {
            foreach (LanNode node in Lan.Nodes)
            {
                foreach (FdbEntry flood in (await FdbEntry.OfAsync(node.Namespace, network.Vxlan)).Where(e => e.IsFlood))
                {
                    await Command.OutputAsync("bridge", "-n", node.Namespace, "fdb", "del", flood.Mac, "dev", network.Vxlan, "dst", flood.Destination);
                }

                Assert.DoesNotContain(await FdbEntry.OfAsync(node.Namespace, network.Vxlan), e => e.IsFlood);
            }

            IReadOnlyList<TunnelPacket> crossed = await TunnelPacket.DuringAsync(Lan.Nodes, network.Vni, async () =>
            {
                foreach (Guest from in guests)
                {
                    foreach (Guest to in guests.Where(g => g != from))
                    {
                        await from.PingAsync(to.Address);
                    }
                }
            });
            Assert.DoesNotContain(crossed, p => p.InnerType == GuestProbe.Arp);
            // Three requests and three answers for each of six pairs, and each is one packet on the wire.
            Assert.Equal(36, crossed.Count(p => p.InnerType == 0x0800 && p.Inner[23] == 1));
        }
        finally
        {
            foreach (LanNode node in Lan.Nodes)
            {
                node.Resume();
            }
        }

        await network.ForwardingIsExactAsync(TimeSpan.FromSeconds(5));
        await NodeLan.OneClusterAsync(Lan.Nodes, TimeSpan.FromSeconds(60));
    }

    [SkippableFact]
    public async Task B020_Twenty_guests_that_all_ask_for_each_other_put_no_broadcast_on_the_wire()
    {
        const int Count = 20;
        await ReadyAsync();
        await using TestNetwork network = await TestNetwork.CreateAsync(Lan, Lan.Nodes, "twenty", Three.NextSubnet());
        Guest[] guests = [.. await Task.WhenAll(Enumerable.Range(0, Count).Select(i => network.AttachAsync(Lan.Nodes[i % 3], $"t{i}")))];
        await network.ForwardingIsExactAsync(TimeSpan.FromSeconds(5));
        // Each arrival is announced twice, two seconds apart.
        await Task.Delay(TimeSpan.FromSeconds(3));

        int answered = 0;
        IReadOnlyList<TunnelPacket> crossed = await TunnelPacket.DuringAsync(Lan.Nodes, network.Vni, async () =>
        {
            foreach (Guest from in guests)
            {
                using PacketSocket socket = from.OpenPacket(GuestProbe.Arp);
                Task<IReadOnlyList<byte[]>> replies = socket.CollectAsync(Soon, f => f.Length >= 42 && f[21] == 2, most: Count - 1);
                foreach (Guest to in guests.Where(g => g != from))
                {
                    socket.Send(GuestProbe.ArpRequest(socket, from.Address, to.Address));
                }

                answered += (await replies).Select(f => Convert.ToHexString(f.AsSpan(28, 4))).Distinct(StringComparer.Ordinal).Count();
            }
        });
        Assert.Equal(Count * (Count - 1), answered);
        TunnelPacket[] broadcast = [.. crossed.Where(p => p.IsBroadcast)];
        Output.WriteLine($"{answered} requests of {Count} guests were answered; {broadcast.Length} broadcasts with {broadcast.Sum(p => p.Inner.Length)} bytes crossed the LAN, {crossed.Count} tunnel packets in all");
        Assert.Empty(broadcast);
    }

    [SkippableFact]
    public async Task B045_B049_B119_A_foreign_policy_that_drops_tunnel_packets_is_named_with_its_table_and_chain()
    {
        await ReadyAsync();
        await using TestNetwork network = await TestNetwork.CreateAsync(Lan, Lan.Nodes, "blocked", Three.NextSubnet());
        await NftAsync("""
            table inet hardened {
              chain incoming {
                type filter hook input priority 0; policy drop;
                iif lo accept
                ct state established,related accept
                udp dport { 5353, 7946 } accept
                tcp dport { 7946, 7947 } accept
              }
            }

            """);
        string[] words = ["4789", "policy drop", "chain incoming", "table inet hardened"];
        try
        {
            await Until.SeenAsync(TimeSpan.FromSeconds(5), "describe network, describe node and doctor name table and chain", async () =>
            {
                string shown = (await A.DescribeNetworkAsync(network.Name)).Nodes.Single(n => n.Node == A.Name).Warning ?? "";
                ImmutableArray<string> node = (await A.KctlAsync("describe", "node", A.Name, "-o", "json")).OrThrow().Read(ApiJson.Default.NodeDetail).Warnings;
                string doctor = (await A.KctlAsync("doctor")).Stdout;
                return Array.TrueForAll(words, w => shown.Contains(w, StringComparison.Ordinal))
                    && node.Any(n => Array.TrueForAll(words, w => n.Contains(w, StringComparison.Ordinal)))
                    && Array.TrueForAll(words, w => doctor.Contains(w, StringComparison.Ordinal)) ? null : $"network: {shown}\nnode: {string.Join('\n', node)}\ndoctor: {doctor}";
            });

            // The guests' way to their gateway is named too: their bridge is as foreign to that chain.
            Guest guest = await network.AttachAsync(A, "blocked-a");
            Assert.Contains(
                (await A.DescribeNetworkAsync(network.Name)).Nodes.Single(n => n.Node == A.Name).Warning!.Split("; "), w => w.Contains($"guests of {network.Bridge}", StringComparison.Ordinal) && w.Contains("table inet hardened", StringComparison.Ordinal));
            Assert.NotNull(guest.Nic.Address);
        }
        finally
        {
            await NftAsync("delete table inet hardened\n");
        }

        await Until.SeenAsync(TimeSpan.FromSeconds(10), "nothing is named when it is gone", async () =>
            (await A.DescribeNetworkAsync(network.Name)).Nodes.Single(n => n.Node == A.Name).Warning);
    }

    private async Task NftAsync(string commands) =>
        (await Command.RunAsync("ip", ["netns", "exec", A.Namespace, "nft", "-f", "-"], input: commands)).OrThrow();
}

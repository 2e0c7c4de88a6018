using Kcore.SystemTests.Lab;
using Kcore.TestKit.Lan;
using Kcore.TestKit.Processes;
using Xunit.Abstractions;

namespace Kcore.SystemTests.Traffic;

/// <summary>Behaviour 46 and 116: who may send tunnel packets, and what they look like on the LAN.</summary>
[Collection(OverlayNodes.Name)]
public sealed class TunnelGuardTests(ThreeNodes three, ITestOutputHelper output) : SharedLanTest(three, output)
{
    private const string Admin = "table inet admin";

    [SkippableFact]
    public async Task B046_Tunnel_packets_are_taken_from_the_addresses_of_members_only_whatever_an_administrator_accepts()
    {
        await ReadyAsync();
        await using TestNetwork network = await TestNetwork.CreateAsync(Lan, Lan.Nodes, "guarded", Three.NextSubnet());
        Guest guest = await network.AttachAsync(A, "guarded-a");
        string stranger = await Lan.AddHostAsync("stranger", 77);
        string wrong = "10.77.0.177";
        await Command.OutputAsync("ip", "-n", B.Namespace, "addr", "add", wrong + "/24", "dev", "eth0");
        try
        {
            Assert.False(await GuestProbe.TunnelFrameArrivesAsync(stranger, network.Vni, guest, 1), "A frame in a tunnel packet of a non-member reached the guest");
            Assert.False(
                await GuestProbe.TunnelFrameArrivesAsync(B.Namespace, network.Vni, guest, 2, wrong), "A frame that a member sent from another address than its own reached the guest");

            // An accept before and one after ours, as firewall guides for VXLAN print them.
            await NftAsync($$"""
                {{Admin}} {
                  chain first { type filter hook input priority -400; policy accept; udp dport 4789 accept; }
                  chain second { type filter hook input priority 10; policy accept; udp dport 4789 accept; }
                }

                """);
            Assert.False(
                await GuestProbe.TunnelFrameArrivesAsync(stranger, network.Vni, guest, 3), "With an administrator's accept, a frame of a non-member reached the guest");
            Assert.False(
                await GuestProbe.TunnelFrameArrivesAsync(B.Namespace, network.Vni, guest, 4, wrong), "With an administrator's accept, a frame from a wrong address reached the guest");

            // The same packet from a member arrives: what was dropped above was dropped for its source and nothing else.
            Assert.True(await GuestProbe.TunnelFrameArrivesAsync(B.Namespace, network.Vni, guest, 5), "A frame in a tunnel packet of a member did not reach the guest");
        }
        finally
        {
            await NftAsync($"add {Admin}\ndelete {Admin}\n");
            await Command.OutputAsync("ip", "-n", B.Namespace, "addr", "del", wrong + "/24", "dev", "eth0");
        }

        // The rules stand as long as there is an overlay, and no longer.
        Assert.Contains("udp dport 4789", await RulesAsync(), StringComparison.Ordinal);
        await network.DeleteAsync();
        await Kcore.TestKit.Until.SeenAsync(TimeSpan.FromSeconds(5), "no rule about UDP 4789 is left", async () =>
            (await RulesAsync()).Contains("4789", StringComparison.Ordinal) ? "there is" : null);
    }

    [SkippableFact]
    public async Task B116_Whoever_listens_on_the_uplink_reads_VXLAN_with_the_number_of_the_network()
    {
        await ReadyAsync();
        Skip.IfNot(File.Exists("/usr/bin/tcpdump"), "needs the program tcpdump (./dev setup installs it)");
        await using TestNetwork network = await TestNetwork.CreateAsync(Lan, Lan.Nodes, "seen", Three.NextSubnet());
        Guest a = await network.AttachAsync(A, "sa");
        Guest b = await network.AttachAsync(B, "sb");
        await network.ForwardingIsExactAsync(TimeSpan.FromSeconds(2));
        // Only this network's IPv4: the daemons' own path probes go to the same port, and a guest's kernel speaks IPv6 unasked.
        string filter = $"udp port 4789 and udp[12:4] = {network.Vni << 8} and udp[28:2] = 0x0800";
        Task<CommandResult> listening = Netns.ExecAsync(A.Namespace, "timeout", "10", "tcpdump", "-l", "-n", "-c", "2", "-i", "eth0", filter);
        for (int i = 0; i < 50 && !listening.IsCompleted; i++)
        {
            await a.ExecAsync("ping", "-n", "-c", "1", "-W", "1", b.Address);
        }

        CommandResult heard = await listening;
        Assert.True(heard.Stdout.Contains($"VXLAN, flags [I] (0x08), vni {network.Vni}", StringComparison.Ordinal), heard.ToString());
        Assert.True(heard.Stdout.Contains($"IP {a.Address} > {b.Address}: ICMP echo request", StringComparison.Ordinal), heard.ToString());
    }

    private async Task<string> RulesAsync() => (await Netns.ExecAsync(A.Namespace, "nft", "list", "ruleset")).OrThrow().Stdout;

    private async Task NftAsync(string commands) =>
        (await Command.RunAsync("ip", ["netns", "exec", A.Namespace, "nft", "-f", "-"], input: commands)).OrThrow();
}

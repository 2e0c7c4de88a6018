using System.Net;
using Kcore.Contracts;
using Kcore.SystemTests.Lab;
using Kcore.TestKit;
using Kcore.TestKit.Lan;
using Kcore.TestKit.Processes;
using Xunit.Abstractions;

namespace Kcore.SystemTests.Bridging;

/// <summary>Networks that lead to a physical one: a network card as port of the bridge, or a VLAN.</summary>
public sealed class BridgeTests(ThreeNodes three, ITestOutputHelper output) : SharedLanTest(three, output)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    [SkippableFact]
    public async Task B011_B043_B087_B113_Guests_are_on_the_uplinks_network_and_the_uplink_is_given_back_as_it_was()
    {
        await ReadyAsync();
        if (await Link.FindAsync(A.Namespace, "eth1") is null)
        {
            await Lan.AddCardAsync(A, "eth1");
        }

        // The management interface is never taken, and the refusal names the flag that helps.
        KctlResult management = await A.KctlAsync("create", "network", "office", "--type", "bridge", "--gateway-ip", "10.77.0.254");
        Assert.True(management.ExitCode == 4 && management.Stderr.Contains("management", StringComparison.Ordinal) && management.Stderr.Contains("--uplink", StringComparison.Ordinal), management.ToString());

        await Command.OutputAsync("ip", "-n", A.Namespace, "link", "set", "eth1", "down");
        HostSnapshot before = await HostSnapshot.TakeAsync(A);
        (await A.KctlAsync("create", "network", "office", "--type", "bridge", "--gateway-ip", "10.77.0.254", "--uplink", "eth1", "--wait", "--timeout", "15s")).OrThrow();
        try
        {
            Link uplink = (await Link.FindAsync(A.Namespace, "eth1"))!;
            Assert.Equal("kbr-office", uplink.Master);
            Assert.DoesNotContain(" inet ", await Command.OutputAsync("ip", "-n", A.Namespace, "-4", "addr", "show", "dev", "kbr-office"), StringComparison.Ordinal);
            Assert.DoesNotContain("kcore", (await Netns.ExecAsync(A.Namespace, "nft", "list", "tables")).OrThrow().Stdout, StringComparison.Ordinal);
            Assert.False(Directory.Exists(Path.Combine(A.Directory, "dhcp")));

            // No address of ours: the guest gets one from its own network, here by hand.
            Guest pc = await Lan.AttachAsync(A, "office", "pc");
            Assert.Equal(("Ready", null), (pc.Nic.State, pc.Nic.Address));
            await Command.OutputAsync("ip", "-n", pc.Namespace, "addr", "add", "10.77.0.77/24", "dev", "eth0");
            await pc.PingAsync("10.77.0.254");

            // Nor is its address changed on the way, whatever was asked for.
            using (PacketSocket far = PacketSocket.Open(B.Namespace, "eth0", 0x0800))
            {
                Task<IReadOnlyList<byte[]>> asked = far.CollectAsync(TimeSpan.FromSeconds(2), f => f.Length > 34 && f[23] == 1 && f[34] == 8);
                await pc.PingAsync(B.Address);
                Assert.Equal(["10.77.0.77"], (await asked).Select(f => new IPAddress(f.AsSpan(26, 4)).ToString()).Distinct());
            }

            KctlResult outbound = await A.KctlAsync("create", "network", "away", "--type", "bridge", "--gateway-ip", "10.77.0.254", "--uplink", "eth1", "--enable-outbound-nat");
            Assert.True(outbound.ExitCode == 2 && outbound.Stderr.Contains("outbound NAT", StringComparison.Ordinal), outbound.ToString());

            // The uplink as a port, taken away by hand, comes back (behaviour 112).
            await Command.OutputAsync("ip", "-n", A.Namespace, "link", "set", "eth1", "nomaster");
            await Until.SeenAsync(TimeSpan.FromSeconds(1), "eth1 is a port again", async () =>
                (await Link.FindAsync(A.Namespace, "eth1"))!.Master == "kbr-office" ? null : "it is not");
            await pc.PingAsync("10.77.0.254");

            NetworkDetail detail = await A.DescribeNetworkAsync("office");
            Assert.Equal(("bridge", false, "eth1"), (detail.Type, detail.OutboundNat, detail.Uplink));
            await Lan.DetachAsync(pc);
        }
        finally
        {
            await A.KctlAsync("delete", "network", "office");
        }

        await Until.SeenAsync(Patience, "the node is as it was", async () =>
            before.DifferencesTo(await HostSnapshot.TakeAsync(A)).Where(IsConfigured).ToArray() is { Length: > 0 } differences ? string.Join('\n', differences) : null);
        Assert.Contains("state DOWN", await Command.OutputAsync("ip", "-n", A.Namespace, "link", "show", "eth1"), StringComparison.Ordinal);
    }

    [SkippableFact]
    public async Task B115_A_guest_of_a_bridge_network_moves_and_the_physical_switch_is_told_at_once()
    {
        await ReadyAsync();
        foreach (LanNode node in (LanNode[])[A, B])
        {
            if (await Link.FindAsync(node.Namespace, "eth1") is null)
            {
                await Lan.AddCardAsync(node, "eth1");
            }
        }

        Guest before = null!, after = null!;
        try
        {
            foreach (LanNode node in (LanNode[])[A, B])
            {
                KctlResult early = await C.KctlAsync("move", "nic", "pc", "--network", "floor", "--to", B.Name);
                Assert.Equal(3, early.ExitCode);
                (await node.KctlAsync("create", "network", "floor", "--type", "bridge", "--gateway-ip", "10.77.0.254", "--uplink", "eth1", "--wait", "--timeout", "15s")).OrThrow();
            }

            before = await Lan.AttachAsync(A, "floor", "pc");
            await Command.OutputAsync("ip", "-n", before.Namespace, "addr", "add", "10.77.0.78/24", "dev", "eth0");
            await Until.SeenAsync(Patience, "every node knows the NIC", async () => (await C.NicsAsync("floor")).Length == 1 ? null : "not yet");
            using PacketSocket heard = PacketSocket.Open(C.Namespace, "eth0", 0x8035);
            byte[] mac = PacketSocket.ParseMac(before.Nic.Mac);
            Task<IReadOnlyList<byte[]>> announced = heard.CollectAsync(TimeSpan.FromSeconds(8), f => f.AsSpan(6, 6).SequenceEqual(mac), most: 1);
            await using ContinuousPing ping = await ContinuousPing.StartAsync(C.Namespace, "10.77.0.78", Path.Combine(Lan.Directory, "bridged.ping"));

            after = await Lan.MoveAsync(C, before, B, "--prepare");
            Assert.Equal("Prepared", after.Nic.State);
            await Command.OutputAsync("ip", "-n", after.Namespace, "addr", "add", "10.77.0.78/24", "dev", "eth0");
            (await A.KctlAsync("move", "nic", "pc", "--network", "floor", "--complete")).OrThrow();
            await after.PingAsync(C.Address);
            PingReport report = await ping.StopAsync();
            Output.WriteLine(report.ToString());
            Assert.True(report.Lost.Count < 100, report.ToString());
            Assert.Single(await announced);
            Assert.Null(await Link.FindAsync(A.Namespace, before.Nic.Device));
            Assert.Equal(B.Name, Assert.Single(await C.NicsAsync("floor")).Node);
        }
        finally
        {
            foreach (LanNode node in (LanNode[])[A, B])
            {
                await node.KctlAsync("detach", "nic", "pc", "--network", "floor");
                await node.KctlAsync("delete", "network", "floor", "--target-node", node.Name);
            }

            foreach (Guest guest in ((Guest?[])[before, after]).OfType<Guest>())
            {
                await Lan.RemoveGuestAsync(guest);
            }
        }
    }

    [SkippableFact]
    public async Task B008_B085_A_VLAN_network_works_or_says_that_the_kernel_has_no_VLANs()
    {
        await ReadyAsync();
        (await A.KctlAsync("create", "network", "tagged", "--type", "bridge", "--gateway-ip", "192.168.120.1", "--vlan-id", "120")).OrThrow();
        try
        {
            bool has = await HasVlansAsync();
            NetworkNode? node = null;
            await Until.SeenAsync(Patience, "the network is settled", async () =>
                (node = (await A.DescribeNetworkAsync("tagged")).Nodes.SingleOrDefault()) is { State: "Ready" or "Failed" } ? null : node?.State ?? "no node yet");
            NetworkDetail detail = await A.DescribeNetworkAsync("tagged");
            Assert.Equal((120, "eth0.120", "eth0"), (detail.Vlan, detail.VlanDevice, detail.Uplink));
            if (has)
            {
                Assert.Equal("Ready", node!.State);
                Assert.Equal("kbr-tagged", (await Link.FindAsync(A.Namespace, "eth0.120"))!.Master);
            }
            else
            {
                Assert.Equal("Failed", node!.State);
                Assert.Contains("802.1Q", node.Reason, StringComparison.Ordinal);
            }
        }
        finally
        {
            (await A.KctlAsync("delete", "network", "tagged")).OrThrow();
        }

        await Until.SeenAsync(Patience, "nothing is left", async () => await Link.FindAsync(A.Namespace, "kbr-tagged") is null ? null : "the bridge is");
    }

    // Which IPv6 groups a device listens to is the kernel's own business and changes whenever it goes up or down.
    private static bool IsConfigured(string difference) => !difference.Contains("fdb 33:33:", StringComparison.Ordinal);

    private async Task<bool> HasVlansAsync()
    {
        CommandResult made = await Command.RunAsync("ip", ["-n", B.Namespace, "link", "add", "link", "eth0", "name", "probe.9", "type", "vlan", "id", "9"]);
        if (made.ExitCode == 0)
        {
            await Command.OutputAsync("ip", "-n", B.Namespace, "link", "del", "probe.9");
        }

        return made.ExitCode == 0;
    }
}

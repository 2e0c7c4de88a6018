using System.Net;
using System.Text.Json.Nodes;
using Kcore.Contracts;
using Kcore.SystemTests.Lab;
using Kcore.TestKit;
using Kcore.TestKit.Lan;
using Kcore.TestKit.Processes;
using Xunit.Abstractions;

namespace Kcore.SystemTests.Nat;

/// <summary>A nat network on one node, with real DHCP, real traffic to the outside and published ports.</summary>
public sealed class NatTests(ThreeNodes three, ITestOutputHelper output) : SharedLanTest(three, output)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    [SkippableFact]
    public async Task B010_B034_B035_B036_B040_A_guest_gets_its_address_by_DHCP_and_reaches_the_outside_under_the_nodes_address()
    {
        await ReadyAsync();
        await using NatNetwork lan = await NatNetwork.CreateAsync(Lan, A, "lan", Three.NextSubnet());

        // It exists on its own node only.
        Assert.Null(await Link.FindAsync(B.Namespace, "kbr-lan"));
        Link bridge = (await Link.FindAsync(A.Namespace, "kbr-lan"))!;
        Assert.Equal((1500, "bridge"), (bridge.Mtu, bridge.Kind));
        Assert.Contains($" {lan.Gateway}/24 ", await Command.OutputAsync("ip", "-n", A.Namespace, "addr", "show", "dev", "kbr-lan"), StringComparison.Ordinal);

        Guest web = await lan.AttachAsync("web");
        Guest db = await lan.AttachAsync("db");
        Assert.Equal([$"{lan.Subnet}.100", $"{lan.Subnet}.101"], [web.Address, db.Address]);
        foreach (Guest guest in (Guest[])[web, db, web])
        {
            DhcpLease lease = await lan.AskAsync(guest);
            Assert.Equal(
                (guest.Address, lan.Gateway, lan.Gateway, "255.255.255.0", 1500u, 43200u, guest.Name),
                (lease.Address.ToString(), lease.Server.ToString(), lease.AddressOf(3).ToString(), lease.AddressOf(1).ToString(), lease.NumberOf(26), lease.NumberOf(51), lease.TextOf(12)));
            Assert.Equal(["1.1.1.1", "8.8.8.8"], lease.AddressesOf(6).Select(a => a.ToString()));
        }

        // Written down where it is gone with a reboot, under the name of the network.
        string leases = await File.ReadAllTextAsync(Path.Combine(A.Directory, "dhcp", "lan.leases"));
        Assert.All([web, db], g => Assert.Contains($" {g.Nic.Mac} {g.Address} {g.Name} ", leases, StringComparison.Ordinal));
        Assert.Contains("\ndhcp-authoritative\n", await File.ReadAllTextAsync(Assert.Single(Directory.GetFiles(Path.Combine(A.Directory, "dhcp"), "lan.*conf"))), StringComparison.Ordinal);

        await web.PingAsync(lan.Gateway);
        await web.PingAsync(db.Address);
        using (PacketSocket uplink = PacketSocket.Open(Lan.Switch, "lan", 0x0800))
        {
            Task<IReadOnlyList<byte[]>> seen = uplink.CollectAsync(TimeSpan.FromSeconds(2), f => f[23] == 1);
            await web.PingAsync(NodeLan.Outside);
            IReadOnlyList<byte[]> echoes = await seen;
            IPAddress[] sources = [.. echoes.Select(f => new IPAddress(f.AsSpan(26, 4))).Distinct()];
            Assert.Contains(IPAddress.Parse(A.Address), sources);
            Assert.DoesNotContain(IPAddress.Parse(web.Address), sources);
        }

        Assert.Equal("1", Netns.ReadSysctl(A.Namespace, "net/ipv4/ip_forward"));
    }

    [SkippableFact]
    public async Task B042_Traffic_of_the_host_keeps_the_address_it_chose()
    {
        await ReadyAsync();
        await using NatNetwork lan = await NatNetwork.CreateAsync(Lan, A, "own", Three.NextSubnet());
        using PacketSocket uplink = PacketSocket.Open(Lan.Switch, "lan", 0x0800);
        Task<IReadOnlyList<byte[]>> seen = uplink.CollectAsync(TimeSpan.FromSeconds(2), f => f[23] == 1);
        await Netns.ExecAsync(A.Namespace, "ping", "-n", "-c", "1", "-W", "1", "-I", NodeLan.ExampleExternal, NodeLan.Outside);
        Assert.Contains(await seen, f => new IPAddress(f.AsSpan(26, 4)).ToString() == NodeLan.ExampleExternal);
    }

    [SkippableFact]
    public async Task B047_A_published_port_is_reached_from_outside_from_the_node_and_from_a_guest_of_the_network()
    {
        await ReadyAsync();
        await using NatNetwork lan = await NatNetwork.CreateAsync(Lan, A, "pub", Three.NextSubnet(), "--publish", "8080:web:80", "--publish", "5353:web:53/udp");
        Guest web = await lan.AttachAsync("web");
        Guest other = await lan.AttachAsync("other");
        await using Echo tcp = Echo.Tcp(web, 80, Lan.Directory);
        await using Echo udp = Echo.Udp(web, 53, Lan.Directory);

        foreach (string from in (string[])[Lan.Switch, A.Namespace, other.Namespace, web.Namespace])
        {
            await Until.SeenAsync(Patience, $"8080/tcp answers {from}", async () => await Echo.AskAsync(from, $"TCP:{A.Address}:8080"));
            await Until.SeenAsync(Patience, $"5353/udp answers {from}", async () => await Echo.AskAsync(from, $"UDP:{A.Address}:5353"));
        }

        NetworkDetail detail = await A.DescribeNetworkAsync("pub");
        Assert.Equal<IEnumerable<string>>([$"{A.Address}:8080/tcp -> web:80", $"{A.Address}:5353/udp -> web:53"], detail.Published);

        KctlResult twice = await A.KctlAsync("create", "network", "pub2", "--gateway-ip", "10.199.0.1", "--publish", "8080:x:1");
        Assert.True(twice.ExitCode == 4 && twice.Stderr.Contains("AlreadyExists", StringComparison.Ordinal), twice.ToString());

        // The target decides: without it the port is the host's own again.
        await lan.DetachAsync(web);
        await Until.SeenAsync(Patience, "8080/tcp is closed", async () => await Echo.AskAsync(Lan.Switch, $"TCP:{A.Address}:8080") is null ? "it answers" : null);
    }

    [SkippableFact]
    public async Task B038_B112_A_DHCP_server_that_is_killed_is_back_within_two_seconds_and_reported()
    {
        await ReadyAsync();
        await using NatNetwork lan = await NatNetwork.CreateAsync(Lan, A, "kill", Three.NextSubnet());
        Guest web = await lan.AttachAsync("web");
        long before = await A.LastEventAsync();
        int pid = await lan.ServerAsync();
        await Command.OutputAsync("kill", "-9", $"{pid}");
        TimeSpan took = await Until.SeenAsync(TimeSpan.FromSeconds(2), "dnsmasq runs again", async () =>
            await lan.ServersAsync() is [var now] && now != pid ? null : "it does not");
        Output.WriteLine($"dnsmasq back after {took.TotalMilliseconds:0} ms");
        Assert.Equal(web.Address, (await lan.AskAsync(web)).Address.ToString());
        EventInfo[] repairs = [.. (await A.EventsAsync(before)).Where(e => e.Type == "DriftRepaired" && e.Network == "kill")];
        Assert.Contains("dnsmasq", Assert.Single(repairs).Message, StringComparison.Ordinal);

        // Port 53 is nobody's, and DHCP is heard on the bridge alone.
        string sockets = (await Netns.ExecAsync(A.Namespace, "ss", "-lnup")).OrThrow().Stdout;
        Assert.DoesNotContain(":53 ", sockets, StringComparison.Ordinal);
        Assert.Contains("%kbr-kill:67 ", sockets, StringComparison.Ordinal);
    }

    [SkippableFact]
    public async Task B023_B038_Neither_a_killed_nor_a_stopped_daemon_takes_DHCP_or_a_packet_and_the_next_one_adopts_the_server()
    {
        await ReadyAsync();
        await using NatNetwork lan = await NatNetwork.CreateAsync(Lan, A, "adopt", Three.NextSubnet());
        Guest web = await lan.AttachAsync("web");
        int pid = await lan.ServerAsync();
        await using ContinuousPing ping = await ContinuousPing.StartAsync(web.Namespace, NodeLan.Outside, Path.Combine(Lan.Directory, "nat-ping.log"));

        await A.KillAsync();
        Assert.Equal(web.Address, (await lan.AskAsync(web)).Address.ToString());
        A.Start();
        await A.AnswersAsync();
        Assert.Equal(0, await A.TerminateAsync());
        Assert.Equal(web.Address, (await lan.AskAsync(web)).Address.ToString());
        A.Start();
        await A.AnswersAsync();
        await NodeLan.OneClusterAsync(Lan.Nodes, TimeSpan.FromSeconds(60));

        // A NIC attached after the restart is told to the same server.
        Guest late = await lan.AttachAsync("late");
        Assert.Equal(late.Address, (await lan.AskAsync(late)).Address.ToString());
        Assert.Equal([pid], await lan.ServersAsync());
        PingReport report = await ping.StopAsync();
        Assert.True(report.Lost.Count == 0, report.ToString());
    }

    [SkippableFact]
    public async Task B036_An_address_that_was_given_back_is_leased_to_its_next_owner_though_the_old_lease_still_lasts()
    {
        await ReadyAsync();
        await using NatNetwork lan = await NatNetwork.CreateAsync(Lan, A, "again", Three.NextSubnet());
        Guest first = await lan.AttachAsync("first");
        await lan.AskAsync(first);
        await lan.DetachAsync(first);

        Guest second = await lan.AttachAsync("second", "--ip", first.Address);
        Assert.NotEqual(first.Nic.Mac, second.Nic.Mac);
        Assert.Equal(first.Address, (await lan.AskAsync(second)).Address.ToString());
    }

    [SkippableFact]
    public async Task B112_A_bridge_an_address_a_table_or_a_file_taken_away_by_hand_comes_back_and_DHCP_with_it()
    {
        await ReadyAsync();
        await using NatNetwork lan = await NatNetwork.CreateAsync(Lan, A, "drift", Three.NextSubnet());
        Guest web = await lan.AttachAsync("web");
        string ns = A.Namespace;

        await Command.OutputAsync("ip", "-n", ns, "addr", "del", $"{lan.Gateway}/24", "dev", "kbr-drift");
        await Until.SeenAsync(TimeSpan.FromSeconds(1), "the gateway address is back", async () =>
            (await Command.OutputAsync("ip", "-n", ns, "addr", "show", "dev", "kbr-drift")).Contains($" {lan.Gateway}/24 ", StringComparison.Ordinal) ? null : "it is not");
        (await Netns.ExecAsync(ns, "nft", "delete", "table", "inet", "kcore")).OrThrow();
        await Until.SeenAsync(TimeSpan.FromSeconds(1), "the guest reaches the outside", async () =>
            (await web.ExecAsync("ping", "-n", "-c", "1", "-W", "1", NodeLan.Outside)).ExitCode == 0 ? null : "it does not");
        await Command.OutputAsync("ip", "-n", ns, "link", "del", "kbr-drift");
        await Until.SeenAsync(TimeSpan.FromSeconds(2), "the bridge is back with its port", async () =>
            (await Link.AllAsync(ns)).Any(l => l.Master == "kbr-drift") ? null : "it is not");

        // A server bound to the bridge that is gone hears nothing.
        Assert.Equal(web.Address, (await lan.AskAsync(web)).Address.ToString());
        await web.PingAsync(NodeLan.Outside);

        File.Delete(Path.Combine(A.Directory, "dhcp", "drift.hosts"));
        await Until.SeenAsync(Patience, "the reservations are back", () =>
            Task.FromResult(File.Exists(Path.Combine(A.Directory, "dhcp", "drift.hosts")) ? null : "they are not"));
    }

    [SkippableFact]
    public async Task B046_B048_B113_Foreign_tables_stay_as_they_are_and_a_deleted_network_leaves_nothing()
    {
        await ReadyAsync();
        (await Command.RunAsync("ip", ["netns", "exec", B.Namespace, "nft", "-f", "-"], input: "table inet mine {\n chain input {\n type filter hook input priority 0; policy accept;\n tcp dport 9 drop\n }\n}\n")).OrThrow();
        try
        {
            HostSnapshot before = await HostSnapshot.TakeAsync(B);
            await using (NatNetwork lan = await NatNetwork.CreateAsync(Lan, B, "trace", Three.NextSubnet(), "--publish", "81:web:80"))
            {
                await lan.AttachAsync("web");
                string rules = (await Netns.ExecAsync(B.Namespace, "nft", "list", "ruleset")).OrThrow().Stdout;
                Assert.Contains("tcp dport 9 drop", rules, StringComparison.Ordinal);
                Assert.DoesNotContain("4789", rules, StringComparison.Ordinal);
                Assert.True(before.DifferencesTo(await HostSnapshot.TakeAsync(B)).All(l => l.StartsWith('+')));
            }

            await Until.SeenAsync(TimeSpan.FromSeconds(5), "the node is as it was", async () =>
                before.DifferencesTo(await HostSnapshot.TakeAsync(B)) is { Count: > 0 } differences ? string.Join('\n', differences)
                : Directory.Exists(Path.Combine(B.Directory, "dhcp")) ? "files of DHCP are there"
                : Netns.ReadSysctl(B.Namespace, "net/ipv4/ip_forward") != "0" ? "it forwards"
                : null);
        }
        finally
        {
            await Netns.ExecAsync(B.Namespace, "nft", "delete", "table", "inet", "mine");
        }
    }

    [SkippableFact]
    public async Task B063_B095_A8_Two_nodes_may_have_a_network_of_one_name_each_shown_once_and_deleted_by_node()
    {
        await ReadyAsync();
        string subnet = Three.NextSubnet();
        (await A.KctlAsync("create", "network", "twin", "--gateway-ip", $"{subnet}.1", "--target-node", B.Name, "--wait", "--timeout", "15s")).OrThrow();
        await using NatNetwork own = await NatNetwork.CreateAsync(Lan, A, "twin", subnet);
        NetworkSummary row = (await A.KctlAsync("get", "networks", "-o", "json")).OrThrow()
            .Read(ApiJson.Default.ImmutableArrayNetworkSummary).Single(n => n.Name == "twin");
        Assert.Equal(("nat", false, 0, "kbr-twin"), (row.Type, row.Overlay, row.Vlan, row.Bridge));
        await Until.SeenAsync(Patience, "two nodes are counted", async () =>
            (await A.DescribeNetworkAsync("twin")).Nodes.Length == 2 ? null : "fewer");

        KctlResult refused = await A.KctlAsync("delete", "network", "twin");
        Assert.True(refused.ExitCode == 4 && refused.Stderr.Contains("--target-node", StringComparison.Ordinal), refused.ToString());
        (await A.KctlAsync("delete", "network", "twin", "--target-node", B.Name)).OrThrow();
        await Until.SeenAsync(Patience, "B has it no more", async () => await Link.FindAsync(B.Namespace, "kbr-twin") is null ? null : "it has");
        Assert.NotNull(await Link.FindAsync(A.Namespace, "kbr-twin"));

        // 97: a NIC is attached where the network is.
        KctlResult elsewhere = await C.KctlAsync("attach", "nic", "x", "--network", "twin");
        Assert.True(elsewhere.ExitCode == 4 && elsewhere.Stderr.Contains(A.Name, StringComparison.Ordinal), elsewhere.ToString());
    }

    [SkippableFact]
    public async Task B037_B099_A_subnet_of_one_guest_serves_it_and_refuses_the_next()
    {
        await ReadyAsync();
        await using NatNetwork lan = await NatNetwork.CreateAsync(Lan, A, "tiny", Three.NextSubnet(), "--internal-netmask", "255.255.255.252");
        Guest only = await lan.AttachAsync("only");
        Assert.Equal($"{lan.Subnet}.2", only.Address);
        Assert.Equal(only.Address, (await lan.AskAsync(only)).Address.ToString());

        KctlResult full = await A.KctlAsync("attach", "nic", "two", "--network", "tiny");
        Assert.True(
            full.ExitCode == 4 && full.Stderr.Contains("ResourceExhausted", StringComparison.Ordinal) && full.Stderr.Contains("tiny", StringComparison.Ordinal), full.ToString());
    }

    [SkippableTheory]
    [InlineData("half", "255.255.255.128", "2", "126")]
    [InlineData("wide", "255.255.252.0", "100", "199")]
    public async Task B037_B039_B043_The_range_fits_the_subnet_and_the_server_takes_it(string name, string mask, string first, string last)
    {
        await ReadyAsync();
        string subnet = Three.NextSubnet();
        await using NatNetwork lan = await NatNetwork.CreateAsync(Lan, A, name, subnet, "--internal-netmask", mask);
        Guest guest = await lan.AttachAsync("first");
        Guest end = await lan.AttachAsync("end", "--ip", $"{subnet}.{last}");
        Assert.Equal($"{subnet}.{first}", guest.Address);
        foreach (Guest asking in (Guest[])[guest, end])
        {
            DhcpLease lease = await lan.AskAsync(asking);
            Assert.Equal((asking.Address, mask), (lease.Address.ToString(), lease.AddressOf(1).ToString()));
        }

        NetworkDetail detail = await A.DescribeNetworkAsync(name);
        Assert.Equal(($"{subnet}.{first} - {subnet}.{last}", true), (detail.DhcpRange, detail.OutboundNat));
    }

    [SkippableFact]
    public async Task B030_A_node_cut_off_from_the_quorum_makes_a_nat_network_and_attaches_to_it()
    {
        await ReadyAsync();
        StatusReport status = await A.StatusAsync();
        LanNode node = Lan.Nodes.First(n => n.Name != status.Consensus.Leader);
        string subnet = Three.NextSubnet();
        await Lan.PartitionAsync(node);
        try
        {
            await Until.SeenAsync(TimeSpan.FromSeconds(30), "the node hears nobody", async () =>
                (await node.StatusAsync()).Members.Count(m => m.Status == "alive") == 1 ? null : "it does");
            await using NatNetwork lan = await NatNetwork.CreateAsync(Lan, node, "alone", subnet);
            Guest web = await lan.AttachAsync("web");
            Assert.Equal($"{subnet}.100", web.Address);
            Assert.Equal(web.Address, (await lan.AskAsync(web)).Address.ToString());
        }
        finally
        {
            await Lan.HealAsync();
        }

        await NodeLan.OneClusterAsync(Lan.Nodes, TimeSpan.FromSeconds(60));
    }

    [SkippableFact]
    public async Task B045_Bridges_are_accepted_by_the_nodes_own_input_chain_and_a_guest_reaches_its_gateway()
    {
        await ReadyAsync();
        await using NatNetwork lan = await NatNetwork.CreateAsync(Lan, C, "drop", Three.NextSubnet());
        Guest web = await lan.AttachAsync("web");

        // Our accept ends our own chain, as every accept does; what the host drops by its own table it drops.
        JsonNode rules = JsonNode.Parse((await Netns.ExecAsync(C.Namespace, "nft", "-j", "list", "chain", "inet", "kcore", "input")).OrThrow().Stdout)!;
        Assert.Contains(rules["nftables"]!.AsArray(), r => r!["rule"]?["expr"]?.ToJsonString().Contains("@bridges", StringComparison.Ordinal) == true);
        Assert.Equal(web.Address, (await lan.AskAsync(web)).Address.ToString());
        await web.PingAsync(lan.Gateway);
    }
}

using System.Text;
using System.Text.RegularExpressions;
using Kcore.SystemTests.Lab;
using Kcore.TestKit;
using Kcore.TestKit.Lan;
using Kcore.TestKit.Processes;
using Xunit.Abstractions;

namespace Kcore.SystemTests.Survival;

/// <summary>Behaviour 113 to the byte: what the tools print of a host before Kcore and after its last network.</summary>
public sealed partial class RestorationTests(ITestOutputHelper output)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    private static readonly string[][] Dumps =
    [
        ["nft", "list", "ruleset"],
        ["ip", "-d", "link"],
        ["ip", "addr"],
        ["ip", "-4", "route", "show", "table", "all"],
        ["ip", "-6", "route", "show", "table", "all"],
        ["ip", "rule"],
        ["bridge", "fdb"],
        ["bridge", "-d", "link"],
        ["ip", "neigh", "show", "nud", "permanent"],
        ["sysctl", "-a", "--pattern", @"^net\.(ipv4|ipv6|bridge)\."],
    ];

    [SkippableFact]
    public Task B044_B113_A_host_that_had_networks_of_every_type_is_as_before_byte_for_byte() => OwnLan.OnAsync(2, output, async lan =>
    {
        LanNode node = lan.Nodes[0];
        await lan.AddCardAsync(node, "eth1");
        // Somebody else's things of each kind, which have to stay as they are.
        foreach (string command in (string[])[
            "ip link add foreign0 type bridge", "ip addr add 172.31.0.1/24 dev foreign0", "ip link set foreign0 up",
            "nft add table inet stranger", "nft add chain inet stranger input { type filter hook input priority 5 ; }", "nft add rule inet stranger input tcp dport 9 drop"])
        {
            (await Netns.ExecAsync(node.Namespace, command.Split(' '))).OrThrow();
        }

        // A card that was up once has another queue and other groups than a new one, and no tool puts that back.
        await Command.OutputAsync("ip", "-n", node.Namespace, "link", "set", "eth1", "up");
        await Command.OutputAsync("ip", "-n", node.Namespace, "link", "set", "eth1", "down");
        // The address and its multicast groups of IPv6 come some seconds after a device.
        await Until.SeenAsync(Patience, "no address is tentative", async () =>
            (await Netns.ExecAsync(node.Namespace, "ip", "-6", "addr", "show", "tentative")).Stdout is { Length: > 0 } tentative ? tentative : null);
        string before = await DumpAsync(node);

        foreach (LanNode each in lan.Nodes)
        {
            each.Start(new DaemonSettings { Mdns = true });
        }

        await NodeLan.OneClusterAsync(lan.Nodes, TimeSpan.FromSeconds(60));
        List<string[]> networks =
        [
            ["overlay", "--type", "vxlan", "--gateway-ip", "10.81.0.1"],
            ["inside", "--type", "nat", "--gateway-ip", "10.82.0.1", "--publish", "8080:web:80"],
            ["office", "--type", "bridge", "--gateway-ip", "10.83.0.1", "--uplink", "eth1"],
        ];
        if (File.Exists("/usr/bin/wireguard-go"))
        {
            networks.Add(["secret", "--type", "vxlan", "--gateway-ip", "10.84.0.1", "--encryption", "wireguard"]);
        }

        foreach (string[] network in networks)
        {
            (await node.KctlAsync(["create", "network", .. network, "--wait", "--timeout", "20s"])).OrThrow();
            (await node.KctlAsync("attach", "nic", "vm", "--network", network[0])).OrThrow();
        }

        Guest guest = await lan.AttachAsync(node, "inside", "web");
        Assert.NotNull(await DhcpExchange.RunAsync(guest.Namespace, "eth0", TimeSpan.FromSeconds(10)));
        await guest.PingAsync(NodeLan.Outside);
        Assert.NotEqual(before, await DumpAsync(node));
        Assert.Equal("1", Netns.ReadSysctl(node.Namespace, "net/ipv4/ip_forward"));

        await lan.DetachAsync(guest);
        foreach (string[] network in networks)
        {
            (await node.KctlAsync("detach", "nic", "vm", "--network", network[0])).OrThrow();
            (await node.KctlAsync("delete", "network", network[0])).OrThrow();
        }

        await Until.SeenAsync(Patience, "the daemon is the only process", async () =>
            (await Command.OutputAsync("ip", "netns", "pids", node.Namespace)).Trim() is var processes && processes == $"{node.Pid}" ? null : processes);
        await Until.SeenAsync(Patience, "no file of DHCP is left", () =>
            Task.FromResult(Directory.Exists(Path.Combine(node.Directory, "dhcp")) ? "their directory is there" : null));

        // A daemon that runs is in a multicast group for discovery; what it leaves when it ends is what counts.
        await Until.SeenAsync(Patience, "nothing is left to do", async () => (await node.KctlAsync("plan")).ExitCode == 0 ? null : "something is");
        await node.TerminateAsync();
        await Until.SeenAsync(Patience, "every dump is as before", async () => Difference(before, await DumpAsync(node)));
    });

    private static async Task<string> DumpAsync(LanNode node)
    {
        StringBuilder all = new();
        foreach (string[] dump in Dumps)
        {
            all.Append("# ").AppendJoin(' ', dump).Append('\n').Append((await Netns.ExecAsync(node.Namespace, dump)).Stdout);
        }

        // How long until a bridge looks through its entries again.
        return CleaningTimer().Replace(all.ToString(), "gc_timer");
    }

    private static string? Difference(string before, string now)
    {
        if (before == now)
        {
            return null;
        }

        string[] old = before.Split('\n'), lines = now.Split('\n');
        return string.Join('\n', old.Except(lines, StringComparer.Ordinal).Select(l => "- " + l).Concat(lines.Except(old, StringComparer.Ordinal).Select(l => "+ " + l)).DefaultIfEmpty("another order"));
    }

    [GeneratedRegex(@"gc_timer +[\d.]+", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex CleaningTimer();
}

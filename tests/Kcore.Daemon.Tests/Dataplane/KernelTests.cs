using Kcore.Daemon.Dataplane.Desired;
using Kcore.Daemon.Dataplane.Plan;
using Kcore.Netlink.Monitor;
using Kcore.Netlink.Namespaces;

namespace Kcore.Daemon.Tests.Dataplane;

/// <summary>The data plane against this machine's kernel, in namespaces of its own.</summary>
public sealed class KernelTests
{
    [SkippableFact]
    public async Task Guests_of_one_overlay_on_two_nodes_reach_each_other_and_damage_is_repaired_within_a_second_112()
    {
        await using KernelLab lab = new();
        LabNode a = lab.AddNode(1);
        LabNode b = lab.AddNode(2);
        string web = lab.AddNamespace("web");
        string db = lab.AddNamespace("db");
        a.Start();
        b.Start();
        string before = Snapshot(a);
        OverlayIntent onA = LabNode.Overlay(Intents.Netns("web", 1, $"/run/netns/{web}"), Intents.Tap("vm", 5)) with
        {
            Peers = [LabNode.Peer(2)],
            RemoteNics = [Intents.Remote("db", 2, 2)],
        };
        OverlayIntent onB = LabNode.Overlay(Intents.Netns("db", 2, $"/run/netns/{db}")) with
        {
            Peers = [LabNode.Peer(1)],
            RemoteNics = [Intents.Remote("web", 1, 1), Intents.Remote("vm", 5, 1)],
        };
        await a.ConvergeAsync(onA);
        await b.ConvergeAsync(onB);

        Assert.All(a.Loop.Status.Networks.Values, n => Assert.Null(n.Failure));
        KernelLab.In(web, $"ping -c 3 -i 0.05 -W 1 {Intents.Guest(2)}");
        KernelLab.In(db, $"ping -c 1 -W 1 -s 1422 -M do {Intents.Guest(1)}");
        KernelLab.In(web, "ping -c 1 -W 1 10.88.0.1");
        Assert.Equal(1, CountReplies(KernelLab.TryRun("ip", $"netns exec {web} arping -c 1 -w 1 -I eth0 10.88.0.1").Output));

        Assert.Equal(
            ["00:00:00:00:00:00 dst 192.0.2.12 self permanent", "52:54:00:00:00:02 dst 192.0.2.12 self static", "52:54:00:00:00:02 master kbr-prod static"],
            Fdb(a, "vxlan14458"));
        Assert.Equal(["52:54:00:00:00:05 master kbr-prod static"], Fdb(a, "tap-00000005"));
        string devices = KernelLab.Ip(a.Namespace, "-d link show vxlan14458");
        Assert.Contains("id 14458 ", devices, StringComparison.Ordinal);
        Assert.Contains("dstport 4789 nolearning", devices, StringComparison.Ordinal);
        Assert.Contains("mtu 1450", devices, StringComparison.Ordinal);
        Assert.Contains("neigh_suppress on", devices, StringComparison.Ordinal);
        Assert.Contains("02:6b:00:00:38:7a", KernelLab.Ip(a.Namespace, "link show kbr-prod"), StringComparison.Ordinal);
        Assert.Equal("1", KernelLab.In(a.Namespace, "sysctl -n net.ipv4.ip_forward").Trim());

        string good = State(a);
        await DamageAsync(a, good, "fdb", n => KernelLab.Run("bridge", $"-n {n} fdb del 52:54:00:00:00:02 dev vxlan14458 dst 192.0.2.12 self"));
        await DamageAsync(a, good, "fdb", n => KernelLab.Run("bridge", $"-n {n} fdb del 00:00:00:00:00:00 dev vxlan14458 dst 192.0.2.12 self"));
        await DamageAsync(a, good, "fdb", n => KernelLab.Run("bridge", $"-n {n} fdb append 00:00:00:00:00:00 dev vxlan14458 dst 192.0.2.99 self"));
        await DamageAsync(a, good, "link", n => KernelLab.Ip(n, "link set tap-00000005 nomaster"));
        await DamageAsync(a, good, "port", n => KernelLab.Run("bridge", $"-n {n} link set dev tap-00000005 learning on locked off"));
        await DamageAsync(a, good, "addr", n => KernelLab.Ip(n, "addr del 10.88.0.1/24 dev kbr-prod"));
        await DamageAsync(a, good, "route", n => KernelLab.Ip(n, "route del 10.88.0.0/24 dev kbr-prod"));
        await DamageAsync(a, good, "route", n => KernelLab.Ip(n, "route del local 10.88.0.1 dev kbr-prod table local"));
        await DamageAsync(a, good, "neigh", n => KernelLab.Ip(n, "neigh del 10.88.0.12 dev kbr-prod"));
        await DamageAsync(a, good, "neigh", n => KernelLab.Ip(n, "neigh del 10.88.0.11 dev kbr-prod"));
        await DamageAsync(a, good, "nft", n => KernelLab.In(n, "nft delete table inet kcore"));
        await DamageAsync(a, good, "nft", n => KernelLab.In(n, "nft flush chain bridge kcore leave"));
        await DamageAsync(a, good, "nft", n => KernelLab.In(n, "nft delete element inet kcore vteps4 { 192.0.2.12 }"));
        await DamageAsync(a, good, "sysctl", n => KernelLab.In(n, "sysctl -qw net.ipv4.ip_forward=0"));
        await DamageAsync(a, good, "sysctl", n => KernelLab.In(n, "sysctl -qw net.ipv4.conf.kbr-prod.rp_filter=1"));
        await DamageAsync(a, good, "link", n => KernelLab.Ip(n, "link del vxlan14458"));
        await DamageAsync(a, good, "link", n => KernelLab.Ip(n, "link del kbr-prod"));
        KernelLab.In(web, $"ping -c 3 -i 0.05 -W 1 {Intents.Guest(2)}");

        await a.ConvergeAsync();
        Assert.Equal(before, Snapshot(a));
        Assert.Equal("0", KernelLab.In(a.Namespace, "sysctl -n net.ipv4.ip_forward").Trim());
    }

    [SkippableFact]
    public async Task A_strangers_way_to_our_subnet_stays_and_ours_comes_before_it()
    {
        await using KernelLab lab = new();
        LabNode node = lab.AddNode(1);
        KernelLab.Ip(node.Namespace, "link add foreign0 type bridge");
        KernelLab.Ip(node.Namespace, "link set foreign0 up");
        node.Start();
        await node.ConvergeAsync(LabNode.Overlay(Intents.Tap("vm", 5)));

        node.Repairs.Clear();
        KernelLab.Ip(node.Namespace, "route replace 10.88.0.0/24 dev foreign0");
        await KernelLab.UntilAsync(() => !node.Repairs.IsEmpty, "the route is repaired", 1);
        Assert.Equal(["dev kbr-prod", "dev foreign0"], KernelLab.Ip(node.Namespace, "route show 10.88.0.0/24")
            .Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(l => string.Join(' ', l.Split(' ').SkipWhile(w => w != "dev").Take(2))));
        Assert.Equal("route kbr-prod 10.88.0.0/24 src 10.88.0.1", Assert.Single(node.Repairs).Object);
        await QuietAsync(node);

        // Ours goes with its address, as the kernel's own does.
        await node.ConvergeAsync();
        Assert.StartsWith("10.88.0.0/24 dev foreign0", KernelLab.Ip(node.Namespace, "route show 10.88.0.0/24"), StringComparison.Ordinal);
    }

    [SkippableFact]
    public async Task A_restart_with_everything_in_place_plans_nothing_and_keeps_every_index_023()
    {
        await using KernelLab lab = new();
        LabNode node = lab.AddNode(1);
        string web = lab.AddNamespace("web");
        OverlayIntent overlay = LabNode.Overlay(Intents.Netns("web", 1, $"/run/netns/{web}"), Intents.Tap("vm", 5)) with
        {
            Peers = [LabNode.Peer(2), LabNode.Peer(3)],
            RemoteNics = [Intents.Remote("db", 2, 2)],
        };
        node.Start();
        await node.ConvergeAsync(overlay);
        string state = State(node);
        await node.StopAsync();
        Assert.Equal(state, State(node));

        node.Start();
        node.Loop.Intend(new DataplaneIntent(node.Self with { DeletionsHeldBack = "no peer was met yet" }, [], []));
        await KernelLab.UntilAsync(() => node.Loop.Status.HeldBack > 0, "held back deletions");
        Assert.Equal(state, State(node));

        await node.ConvergeAsync(overlay);
        Assert.Equal(state, State(node));
        Assert.Empty(node.Repairs);
    }

    [SkippableFact]
    public async Task A_new_tunnel_address_is_taken_in_place_017()
    {
        await using KernelLab lab = new();
        LabNode node = lab.AddNode(1);
        node.Start();
        await node.ConvergeAsync(LabNode.Overlay());
        string index = KernelLab.Ip(node.Namespace, "-o link show vxlan14458").Split(':')[0];

        node.Loop.Intend(new DataplaneIntent(node.Self with { Vtep = Intents.Vtep(7), UnderlayMtu = 1400 }, [LabNode.Overlay()], []));
        await KernelLab.UntilAsync(
            () => KernelLab.Ip(node.Namespace, "-d link show vxlan14458").Contains("local 192.0.2.17 ", StringComparison.Ordinal), "the new address");
        Assert.Equal(index, KernelLab.Ip(node.Namespace, "-o link show vxlan14458").Split(':')[0]);
        Assert.Contains("mtu 1350", KernelLab.Ip(node.Namespace, "link show kbr-prod"), StringComparison.Ordinal);
    }

    [SkippableFact]
    public async Task A_foreign_device_with_our_name_fails_the_network_and_survives_009()
    {
        await using KernelLab lab = new();
        LabNode node = lab.AddNode(1);
        KernelLab.Ip(node.Namespace, "link add kbr-prod type bridge");
        string before = Snapshot(node);
        node.Start();
        await node.ConvergeAsync(LabNode.Overlay(Intents.Tap("vm", 5)));

        Assert.Equal("foreign device \"kbr-prod\" of kind bridge has this name", node.Loop.Status.Networks["prod"].Failure);
        Assert.Equal(before, Snapshot(node));

        KernelLab.Ip(node.Namespace, "link del kbr-prod");
        await KernelLab.UntilAsync(() => node.Loop.Status.Networks["prod"].IsReady, "ready once the stranger is gone", 2);
    }

    [SkippableFact]
    public async Task A_guest_namespace_that_comes_late_is_refused_first_and_served_then()
    {
        await using KernelLab lab = new();
        LabNode node = lab.AddNode(1);
        node.Start();
        string name = lab.AddNamespace("late");
        lab.DeleteNamespace(name);
        await node.ConvergeAsync(LabNode.Overlay(Intents.Netns("late", 1, $"/run/netns/{name}")));
        Assert.True(node.Loop.Status.Networks["prod"].IsReady);
        Assert.Contains("cannot be entered", node.Loop.Status.Networks["prod"].Nics["late"].Failure, StringComparison.Ordinal);

        lab.AddNamespace("late");
        await KernelLab.UntilAsync(() => node.Loop.Status.Networks["prod"].Nics["late"].Failure is null, "the NIC to be ready", 5);
        KernelLab.In(name, "ping -c 1 -W 1 10.88.0.1");
        Assert.Contains("default via 10.88.0.1", KernelLab.Ip(name, "route"), StringComparison.Ordinal);
    }

    [SkippableFact]
    public async Task A_leftover_TAP_without_the_mark_is_taken_over()
    {
        await using KernelLab lab = new();
        LabNode node = lab.AddNode(1);
        KernelLab.Ip(node.Namespace, "tuntap add dev tap-00000005 mode tap vnet_hdr");
        node.Start();
        await node.ConvergeAsync(LabNode.Overlay(Intents.Tap("vm", 5)));

        Assert.Null(node.Loop.Status.Networks["prod"].Nics["vm"].Failure);
        Assert.Contains("master kbr-prod", KernelLab.Ip(node.Namespace, "link show tap-00000005"), StringComparison.Ordinal);
        Assert.Contains("group 27491", KernelLab.Ip(node.Namespace, "-d link show tap-00000005"), StringComparison.Ordinal);
    }

    [SkippableFact]
    public async Task A_pass_with_nothing_to_do_writes_nothing()
    {
        await using KernelLab lab = new();
        LabNode node = lab.AddNode(1);
        string web = lab.AddNamespace("web");
        OverlayIntent overlay = LabNode.Overlay(Intents.Netns("web", 1, $"/run/netns/{web}"), Intents.Tap("vm", 5)) with
        {
            Peers = [LabNode.Peer(2)],
            RemoteNics = [Intents.Remote("db", 2, 2)],
        };
        node.Start();
        await node.ConvergeAsync(overlay);
        using KernelMonitor monitor = KernelMonitor.Open(NetworkNamespace.Named(node.Namespace));
        using CancellationTokenSource enough = new(TimeSpan.FromSeconds(1));
        await node.ConvergeAsync(overlay);
        await node.ConvergeAsync(overlay);

        List<KernelChange> heard = [];
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            await foreach (KernelChange change in monitor.ReadAsync(enough.Token))
            {
                heard.Add(change);
            }
        });
        // The guest's own traffic may refresh neighbours; nothing else may have moved.
        Assert.DoesNotContain(heard, c => c is not KernelChange.Neighbour { Info.Protocol: 0 });
    }

    [SkippableFact]
    public async Task Somebody_who_keeps_changing_an_entry_back_is_fought_once_a_second()
    {
        await using KernelLab lab = new();
        LabNode node = lab.AddNode(1);
        node.Start();
        await node.ConvergeAsync(LabNode.Overlay() with { Peers = [LabNode.Peer(2)] });
        node.Repairs.Clear();
        long started = TimeProvider.System.GetTimestamp();
        while (node.Repairs.Count < 5)
        {
            KernelLab.TryRun("bridge", $"-n {node.Namespace} fdb del 00:00:00:00:00:00 dev vxlan14458 dst 192.0.2.12 self");
            Assert.True(TimeProvider.System.GetElapsedTime(started) < TimeSpan.FromSeconds(10), "five repairs");
            await Task.Delay(20);
        }

        // Three at once, the fourth and the fifth a second after the one before.
        Assert.InRange(TimeProvider.System.GetElapsedTime(started).TotalSeconds, 1.9, 6);
        Assert.Equal([1, 2, 3, 4, 5], node.Repairs.Select(r => r.Count));
        Assert.True(node.Repairs.ElementAt(2).IsFight);
    }

    [SkippableFact]
    public async Task Guests_of_two_overlays_with_the_same_addresses_do_not_see_each_other_022()
    {
        await using KernelLab lab = new();
        LabNode a = lab.AddNode(1);
        LabNode b = lab.AddNode(2);
        string web = lab.AddNamespace("web");
        string db = lab.AddNamespace("db");
        a.Start();
        b.Start();
        await a.ConvergeAsync(LabNode.Overlay(Intents.Netns("web", 1, $"/run/netns/{web}")) with
        {
            Peers = [LabNode.Peer(2)],
        });
        await b.ConvergeAsync(LabNode.Overlay(Intents.Netns("db", 2, $"/run/netns/{db}")) with
        {
            Name = "lan",
            Vni = 13920,
            Bridge = "kbr-lan",
            VxlanDevice = "vxlan13920",
            Peers = [LabNode.Peer(1)],
        });

        Assert.NotEqual(0, KernelLab.TryRun("ip", $"netns exec {web} ping -c 2 -i 0.2 -W 1 {Intents.Guest(2)}").Code);
    }

    private static async Task DamageAsync(LabNode node, string good, string kind, Action<string> damage)
    {
        node.Repairs.Clear();
        damage(node.Namespace);
        await KernelLab.UntilAsync(() => !node.Repairs.IsEmpty, $"a {kind} repair to be reported", 1);
        string state = State(node);
        Assert.True(WithoutIndexes(good) == WithoutIndexes(state), $"after {kind} damage:\n{state}\nwanted:\n{good}");
        Assert.Contains(node.Repairs, r => r.Object.StartsWith(kind, StringComparison.Ordinal));
        Assert.All(node.Repairs, r => Assert.NotNull(r.SinceNotification));
        await QuietAsync(node);
    }

    /// <summary>The echoes of the repair have been looked at and nothing more was to do.</summary>
    private static async Task QuietAsync(LabNode node)
    {
        DataplanePlan plan = (await node.Loop.PlanAsync(CancellationToken.None)).Plan;
        Assert.True(plan.IsEmpty, PlanRenderer.Text(plan));
    }

    private static int CountReplies(string output) =>
        output.Split('\n').Count(l => l.Contains("reply from", StringComparison.OrdinalIgnoreCase));

    private static string[] Fdb(LabNode node, string device) =>
    [
        .. KernelLab.Run("bridge", $"-n {node.Namespace} fdb show dev {device}")
            .Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
            // Multicast filters of the devices themselves, and the ports' own MACs, are the kernel's.
            .Where(l => !l.StartsWith("01:00:5e", StringComparison.Ordinal) && !l.StartsWith("33:33", StringComparison.Ordinal))
            .Where(l => !l.Contains("vlan 1", StringComparison.Ordinal) && !(l.Contains("master", StringComparison.Ordinal) && l.Contains("permanent", StringComparison.Ordinal)))
            .Order(StringComparer.Ordinal),
    ];

    /// <summary>Everything a stranger would notice of us: devices, addresses, tables, rules.</summary>
    private static string Snapshot(LabNode node) =>
        KernelLab.Ip(node.Namespace, "-d link") + KernelLab.Ip(node.Namespace, "-4 addr") + KernelLab.Ip(node.Namespace, "route")
        + KernelLab.Ip(node.Namespace, "neigh show nud permanent") + KernelLab.In(node.Namespace, "nft list ruleset");

    private static string State(LabNode node) => string.Join('\n', (string[])
    [
        KernelLab.Ip(node.Namespace, "-o link").Replace("\\", "", StringComparison.Ordinal),
        KernelLab.Ip(node.Namespace, "-4 -o addr"),
        .. Fdb(node, "vxlan14458"),
        .. Fdb(node, "tap-00000005"),
        KernelLab.Ip(node.Namespace, "-4 route show table all").Replace(" linkdown", "", StringComparison.Ordinal),
        KernelLab.Ip(node.Namespace, "neigh show nud permanent"),
        KernelLab.In(node.Namespace, "nft list ruleset"),
    ]);

    private static string WithoutIndexes(string state) =>
        string.Join('\n', state.Split('\n')
            .Select(l => System.Text.RegularExpressions.Regex.Replace(l, @"^\d+: ", "", System.Text.RegularExpressions.RegexOptions.NonBacktracking))
            .Select(l => System.Text.RegularExpressions.Regex.Replace(l, @"@if\d+|link-netnsid \d+|valid_lft \w+", "", System.Text.RegularExpressions.RegexOptions.NonBacktracking))
            .Order(StringComparer.Ordinal));
}

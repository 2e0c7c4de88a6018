using System.Diagnostics;
using Kcore.Daemon.Dataplane;
using Kcore.Daemon.Dataplane.Observed;

namespace Kcore.Daemon.Tests.Dataplane;

/// <summary>Living with other people's firewalls, on this machine's kernel.</summary>
public sealed class FirewallKernelTests
{
    [SkippableFact]
    public async Task A_foreign_drop_is_seen_when_it_comes_and_forgotten_when_it_goes_049()
    {
        await using KernelLab lab = new();
        LabNode node = lab.AddNode(1);
        node.Start();
        await node.ConvergeAsync(LabNode.Overlay());
        await KernelLab.UntilAsync(() => node.Loop.Status.Error is null, "a pass");
        Assert.Empty(node.Loop.Status.Blocks);

        KernelLab.In(node.Namespace, "nft add table inet mine");
        KernelLab.In(node.Namespace, "nft add chain inet mine input { type filter hook input priority 0 ; policy drop ; }");
        await KernelLab.UntilAsync(() => node.Loop.Status.Blocks.Any(b => b.Traffic.Contains("4789", StringComparison.Ordinal)), "the drop to be named", 3);
        FirewallBlock block = node.Loop.Status.Blocks.First(b => b.Traffic.Contains("4789", StringComparison.Ordinal));
        Assert.Equal(("inet", "mine", "input", "policy drop"), (block.Family, block.Table, block.Chain, block.Rule));
        string foreign = KernelLab.In(node.Namespace, "nft list table inet mine");

        KernelLab.In(node.Namespace, "nft insert rule inet mine input udp dport 4789 accept");
        KernelLab.In(node.Namespace, "nft insert rule inet mine input iifname kbr-prod accept");
        await KernelLab.UntilAsync(() => node.Loop.Status.Blocks.IsEmpty, "nothing to be named", 3);
        Assert.Empty(node.Repairs);
        Assert.DoesNotContain("kcore", foreign, StringComparison.Ordinal);
    }

    [SkippableFact]
    public async Task After_a_flush_of_the_whole_ruleset_ours_is_back_at_once_and_who_did_it_is_named()
    {
        await using KernelLab lab = new();
        LabNode node = lab.AddNode(1);
        node.Start();
        await node.ConvergeAsync(LabNode.Overlay(Intents.Tap("vm", 5)));
        string before = KernelLab.In(node.Namespace, "nft list ruleset");

        Stopwatch watch = Stopwatch.StartNew();
        KernelLab.In(node.Namespace, "nft flush ruleset");
        await KernelLab.UntilAsync(() => KernelLab.In(node.Namespace, "nft list ruleset") == before, "our tables", 2);
        await KernelLab.UntilAsync(() => !node.Repairs.IsEmpty, "the repair", 2);
        DriftRepair repair = Assert.Single(node.Repairs);
        Assert.StartsWith("nft (process ", repair.By, StringComparison.Ordinal);
        Assert.True(watch.Elapsed < TimeSpan.FromSeconds(2));
    }

    [SkippableFact]
    public async Task A_NIC_that_nobody_speaks_for_is_known_to_the_switch_of_its_bridge_network()
    {
        await using KernelLab lab = new();
        LabNode node = lab.AddNode(1);
        KernelLab.Ip(lab.Underlay, $"link add sw0 type veth peer name eth1 netns {node.Namespace}");
        KernelLab.Ip(lab.Underlay, "link set sw0 master br0 up");
        node.Start();
        node.Loop.Intend(new Kcore.Daemon.Dataplane.Desired.DataplaneIntent(node.Self, [], []) { Locals = [Intents.Office with { LocalNics = [Intents.Tap("pc", 8) with { Address = null }] }] });

        await KernelLab.UntilAsync(
            () => KernelLab.Run("bridge", $"-n {lab.Underlay} fdb show br br0 dynamic").Contains("52:54:00:00:00:08 dev sw0", StringComparison.Ordinal), "the switch to know the MAC", 8);
    }

    [SkippableFact]
    public async Task Guests_hear_that_an_address_has_moved_to_another_MAC()
    {
        await using KernelLab lab = new();
        LabNode a = lab.AddNode(1);
        string web = lab.AddNamespace("web");
        a.Start();
        await a.ConvergeAsync(LabNode.Overlay(Intents.Netns("web", 1, $"/run/netns/{web}")) with
        {
            Peers = [LabNode.Peer(2)],
            RemoteNics = [Intents.Remote("db", 2, 2)],
        });
        KernelLab.TryRun("ip", $"netns exec {web} ping -c 1 -W 1 {Intents.Guest(2)}");
        Assert.Contains("52:54:00:00:00:02", KernelLab.Ip(web, $"neigh show {Intents.Guest(2)}"), StringComparison.Ordinal);

        await a.ConvergeAsync(LabNode.Overlay(Intents.Netns("web", 1, $"/run/netns/{web}")) with
        {
            Peers = [LabNode.Peer(2)],
            RemoteNics = [Intents.Remote("db", 2, 2) with { Mac = Intents.Mac(3) }],
        });
        await KernelLab.UntilAsync(() => KernelLab.Ip(web, $"neigh show {Intents.Guest(2)}").Contains("52:54:00:00:00:03", StringComparison.Ordinal), "the guest to know the new MAC", 5);
    }
}

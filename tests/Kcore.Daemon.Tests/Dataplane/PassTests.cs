using System.Globalization;
using Kcore.Daemon.Dataplane;
using Kcore.Daemon.Dataplane.Apply;
using Kcore.Daemon.Dataplane.Desired;
using Kcore.Daemon.Dataplane.Observed;
using Kcore.Daemon.Dataplane.Plan;
using Kcore.Netlink.Monitor;
using Kcore.Netlink.Namespaces;
using Kcore.Netlink.Route;

namespace Kcore.Daemon.Tests.Dataplane;

/// <summary>One pass at a time against the kernel, with somebody acting between its rounds.</summary>
public sealed class PassTests
{
    [SkippableFact]
    public async Task Somebody_who_undoes_a_repair_within_the_pass_is_fought_too()
    {
        await using KernelLab lab = new();
        LabNode node = lab.AddNode(1);
        HomeNamespace home = new(NetworkNamespace.Named(node.Namespace));
        using RouteSocket socket = home.OpenRoute();
        SysctlFiles sysctls = new(home, SysctlJournal.Open(Path.Combine(lab.Folder, "sysctl.json")));
        UplinkJournal uplinks = UplinkJournal.Open(Path.Combine(lab.Folder, "uplinks.json"));
        using RulesetReader rulesets = new(home, new NftProcess(home, TimeProvider.System));
        DataplanePass pass = new(new KernelReader(socket, sysctls, uplinks), new StepExecutor(home, socket, sysctls, uplinks, rulesets), rulesets);
        DesiredState desired = DesiredStateBuilder.From(
            new DataplaneIntent(node.Self, [LabNode.Overlay() with { Peers = [LabNode.Peer(2)] }], [Intents.Vtep(2)]));
        await pass.RunAsync(desired, readNft: true, readForeign: true, _ => TimeSpan.Zero, _ => { }, TimeSpan.Zero, CancellationToken.None);

        FightTracker fights = new();
        int repairs = 0;
        Remove(socket);
        PassResult result = await pass.RunAsync(
            desired,
            readNft: false,
            readForeign: false,
            step => fights.AllowedAt(step.Device, TimeSpan.FromSeconds(1)),
            step =>
            {
                repairs = fights.Note(step.Step.Device, TimeSpan.FromSeconds(1));
                Remove(socket);
            },
            TimeSpan.FromSeconds(1),
            CancellationToken.None);

        Assert.Equal(FightTracker.FightCount, repairs);
        Assert.Equal(TimeSpan.FromSeconds(2), result.NextAllowed);
    }

    [SkippableFact]
    public async Task Full_looks_at_tables_that_nobody_changed_start_no_process_and_write_nothing()
    {
        await using KernelLab lab = new();
        LabNode node = lab.AddNode(1);
        string web = lab.AddNamespace("web");
        HomeNamespace home = new(NetworkNamespace.Named(node.Namespace));
        using RouteSocket socket = home.OpenRoute();
        SysctlFiles sysctls = new(home, SysctlJournal.Open(Path.Combine(lab.Folder, "sysctl.json")));
        UplinkJournal uplinks = UplinkJournal.Open(Path.Combine(lab.Folder, "uplinks.json"));
        CountedNftables nft = new(new NftProcess(home, TimeProvider.System));
        using RulesetReader rulesets = new(home, nft);
        DataplanePass pass = new(new KernelReader(socket, sysctls, uplinks), new StepExecutor(home, socket, sysctls, uplinks, rulesets), rulesets);
        OverlayIntent overlay = LabNode.Overlay(Intents.Netns("web", 1, $"/run/netns/{web}"));
        await FullAsync(overlay);
        nft.Forget();

        using (KernelMonitor monitor = home.OpenMonitor())
        {
            await FullAsync(overlay);
            await FullAsync(overlay);
            Assert.Empty(await HeardAsync(monitor));
        }

        Assert.Equal((0, 0, 0), nft.Calls);

        // What packets do is no change of the tables, and is told all the same.
        KernelLab.Ip(web, "addr add 10.88.0.77/32 dev eth0");
        KernelLab.TryRun("ip", $"netns exec {web} ping -c 2 -i 0.1 -W 1 -I 10.88.0.77 10.88.0.1");
        Assert.Contains(GuestGuard.Drops((await FullAsync(overlay)).Nft), d => d is { Device: "tap-00000001", Count.Packets: > 0 });
        Assert.Equal((0, 0, 0), nft.Calls);

        // What others do is looked at, once.
        KernelLab.In(node.Namespace, "nft add table inet stranger");
        await FullAsync(overlay);
        await FullAsync(overlay);
        Assert.Equal((1, 1, 0), nft.Calls);

        // What we do ourselves is nothing new about others.
        nft.Forget();
        await FullAsync(overlay with { OutboundNat = false });
        Assert.Equal((1, 0, 1), nft.Calls);

        // And damage is found, without a word from anybody.
        nft.Forget();
        KernelLab.In(node.Namespace, "nft flush chain bridge kcore guests");
        PassResult repaired = await FullAsync(overlay with { OutboundNat = false });
        Assert.Equal(1, nft.Calls.Replaced);
        Assert.True(repaired.Plan.IsEmpty);
        Assert.Contains("guest_pairs", KernelLab.In(node.Namespace, "nft list chain bridge kcore guests"), StringComparison.Ordinal);

        Task<PassResult> FullAsync(OverlayIntent intent) => pass.RunAsync(
            DesiredStateBuilder.From(new DataplaneIntent(node.Self, [intent], [Intents.Vtep(2)])),
            readNft: true, readForeign: true, _ => TimeSpan.Zero, _ => { }, TimeSpan.Zero, CancellationToken.None);
    }

    [SkippableFact]
    public async Task A_look_at_one_device_repairs_its_entries_and_a_MAC_that_moved_away_from_its_neighbour()
    {
        await using KernelLab lab = new();
        LabNode node = lab.AddNode(1);
        HomeNamespace home = new(NetworkNamespace.Named(node.Namespace));
        using RouteSocket socket = home.OpenRoute();
        SysctlFiles sysctls = new(home, SysctlJournal.Open(Path.Combine(lab.Folder, "sysctl.json")));
        UplinkJournal uplinks = UplinkJournal.Open(Path.Combine(lab.Folder, "uplinks.json"));
        using RulesetReader rulesets = new(home, new NftProcess(home, TimeProvider.System));
        KernelReader reader = new(socket, sysctls, uplinks);
        DataplanePass pass = new(reader, new StepExecutor(home, socket, sysctls, uplinks, rulesets), rulesets);
        OverlayIntent overlay = LabNode.Overlay(Intents.Tap("a", 5), Intents.Tap("b", 6) with { Device = "tap-b" }) with { Peers = [LabNode.Peer(2)] };
        DesiredState desired = DesiredStateBuilder.From(new DataplaneIntent(node.Self, [overlay, Other(overlay)], [Intents.Vtep(2)]));
        await LookAsync(only: null);
        await LookAsync(only: null);

        // Neighbours are none of the entries by which a bridge is known to be right.
        KernelLab.Ip(node.Namespace, "neigh flush dev kbr-prod nud permanent");
        Assert.Equal(2, (await LookAsync(only: null)).Count(s => s is DataplaneStep.SetNeighbour { Neighbour.Device: "kbr-prod" }));

        int tunnel = socket.FindLink("vxlan14458")!.Index, a = socket.FindLink("tap-00000005")!.Index, b = socket.FindLink("tap-b")!.Index;
        Remove(socket);
        Assert.Contains(await LookAsync([tunnel]), s => s is DataplaneStep.AddFlood);

        // The kernel tells of the port that a MAC goes to, and not of the one it leaves.
        RouteBatch moved = new();
        moved.ReplaceFdbLocal(b, overlay.LocalNics[0].Mac);
        socket.Execute(moved).ThrowIfFailed();
        Assert.Contains(await LookAsync([b]), s => s is DataplaneStep.SetBridgeEntry { Device: "tap-00000005" });

        // A device that goes takes its entries along first; those of another made in its place are not its own.
        KernelLab.Ip(node.Namespace, "link del vxlan14458");
        Assert.Contains(await LookAsync([tunnel]), s => s is DataplaneStep.CreateLink { Device: "vxlan14458" });
        KernelLab.Ip(node.Namespace, "link set tap-00000005 nomaster");
        Assert.Contains(await LookAsync([a]), s => s is DataplaneStep.ChangeLink { Device: "tap-00000005" });

        async Task<List<DataplaneStep>> LookAsync(int[]? only)
        {
            List<DataplaneStep> made = [];
            PassResult result = await pass.RunAsync(
                desired, readNft: only is null, readForeign: false, _ => TimeSpan.Zero, s => made.Add(s.Step), TimeSpan.Zero, CancellationToken.None, only);
            Assert.True(result.Plan.IsEmpty && result.Failures.IsEmpty, PlanRenderer.Text(result.Plan));

            // A fresh reader, which remembers nothing, finds nothing to do either.
            Assert.True(Planner.Plan(desired, new KernelReader(socket, sysctls, uplinks).Read(desired, result.Nft)).IsEmpty);
            return made;
        }

        static OverlayIntent Other(OverlayIntent like) => like with
        {
            Name = "other",
            Uid = 77,
            Vni = 14459,
            Bridge = "kbr-other",
            VxlanDevice = "vxlan14459",
            Gateway = System.Net.IPAddress.Parse("10.89.0.1"),
            LocalNics = [],
        };
    }

    [SkippableFact]
    public async Task A_table_that_is_replaced_goes_on_with_what_was_counted_until_then()
    {
        await using KernelLab lab = new();
        LabNode node = lab.AddNode(1);
        string web = lab.AddNamespace("web");
        OverlayIntent overlay = LabNode.Overlay(Intents.Netns("web", 1, $"/run/netns/{web}"));
        node.Start();
        await node.ConvergeAsync(overlay);
        KernelLab.Ip(web, "addr add 10.88.0.77/32 dev eth0");
        KernelLab.TryRun("ip", $"netns exec {web} ping -c 2 -i 0.1 -W 1 -I 10.88.0.77 10.88.0.1");

        // Nobody has read the counters since.
        await node.ConvergeAsync(overlay with { OutboundNat = false });

        Assert.Matches("\"tap-00000001\" counter packets [1-9]", KernelLab.In(node.Namespace, "nft list table bridge kcore"));
    }

    /// <summary>What is said within 50 ms.</summary>
    private static async Task<List<KernelChange>> HeardAsync(KernelMonitor monitor)
    {
        List<KernelChange> heard = [];
        using CancellationTokenSource enough = new(TimeSpan.FromMilliseconds(50));
        try
        {
            await foreach (KernelChange change in monitor.ReadAsync(enough.Token))
            {
                heard.Add(change);
            }
        }
        catch (OperationCanceledException)
        {
            // Enough.
        }

        return heard;
    }

    /// <summary>The real one, counted.</summary>
    private sealed class CountedNftables(INftables real) : INftables
    {
        public (int Read, int Foreign, int Replaced) Calls { get; private set; }

        public void Forget() => Calls = default;

        public Task<NftTables?> ReadAsync(CancellationToken cancellationToken)
        {
            Calls = Calls with { Read = Calls.Read + 1 };
            return real.ReadAsync(cancellationToken);
        }

        public Task<ForeignRuleset> ReadForeignAsync(CancellationToken cancellationToken)
        {
            Calls = Calls with { Foreign = Calls.Foreign + 1 };
            return real.ReadForeignAsync(cancellationToken);
        }

        public Task ReplaceAsync(NftTables? tables, NftTables? before, CancellationToken cancellationToken)
        {
            Calls = Calls with { Replaced = Calls.Replaced + 1 };
            return real.ReplaceAsync(tables, before, cancellationToken);
        }
    }

    private static void Remove(RouteSocket socket)
    {
        RouteBatch batch = new();
        batch.DeleteFdbFlood(socket.FindLink("vxlan14458")!.Index, Intents.Vtep(2));
        Assert.Empty(socket.Execute(batch).Failures.Select(f => string.Create(CultureInfo.InvariantCulture, $"{f.Index}: {f.Error}")));
    }
}

using System.Globalization;
using Kcore.Daemon.Dataplane;
using Kcore.Daemon.Dataplane.Apply;
using Kcore.Daemon.Dataplane.Desired;
using Kcore.Daemon.Dataplane.Observed;
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
        NftProcess nft = new(home, TimeProvider.System);
        DataplanePass pass = new(new KernelReader(socket, sysctls, uplinks), new StepExecutor(home, socket, sysctls, uplinks, nft), nft);
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

    private static void Remove(RouteSocket socket)
    {
        RouteBatch batch = new();
        batch.DeleteFdbFlood(socket.FindLink("vxlan14458")!.Index, Intents.Vtep(2));
        Assert.Empty(socket.Execute(batch).Failures.Select(f => string.Create(CultureInfo.InvariantCulture, $"{f.Index}: {f.Error}")));
    }
}

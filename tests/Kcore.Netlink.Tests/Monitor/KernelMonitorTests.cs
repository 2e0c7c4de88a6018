using System.Net;
using Kcore.Netlink.Monitor;
using Kcore.Netlink.Route;

namespace Kcore.Netlink.Tests.Monitor;

public sealed class KernelMonitorTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    [SkippableFact]
    public async Task A_deleted_forwarding_entry_is_seen()
    {
        using KernelSandbox box = KernelSandbox.Open();
        box.Do(batch =>
        {
            batch.CreateVxlan(new VxlanSpec { Name = "v0", Index = 10, Vni = 7, Local = IPAddress.Loopback, Mtu = 1400 });
            batch.AppendFdbFlood(10, IPAddress.Parse("10.0.0.9"));
        });
        using KernelMonitor monitor = KernelMonitor.Open(box.Namespace);
        box.Do(batch => batch.DeleteFdbFlood(10, IPAddress.Parse("10.0.0.9")));

        var seen = Assert.IsType<KernelChange.Neighbour>(
            await FirstAsync(monitor, c => c is KernelChange.Neighbour { Removed: true }));
        Assert.Equal((NeighbourTable.Fdb, 10, IPAddress.Parse("10.0.0.9")), (seen.Info.Table, seen.Info.LinkIndex, seen.Info.Destination));
    }

    [SkippableFact]
    public async Task Links_and_addresses_are_seen_coming_and_going()
    {
        using KernelSandbox box = KernelSandbox.Open();
        using KernelMonitor monitor = KernelMonitor.Open(box.Namespace, nftables: false);
        box.Do(batch =>
        {
            batch.CreateBridge(new BridgeSpec { Name = "b0", Index = 10 });
            batch.ReplaceAddress(10, IPAddress.Parse("10.1.0.1"), 24);
            batch.DeleteLink(10);
        });

        List<KernelChange> seen = [];
        await FirstAsync(monitor, c =>
        {
            seen.Add(c);
            return c is KernelChange.Link { Removed: true, Info.Index: 10 };
        });
        Assert.Contains(seen, c => c is KernelChange.Link { Removed: false, Info: { Name: "b0", Kind: "bridge", Group: KcoreMark.LinkGroup } });
        Assert.Contains(seen, c => c is KernelChange.Address { Removed: false, Info: { LinkIndex: 10, PrefixLength: 24, Protocol: KcoreMark.Protocol } });
        Assert.Contains(seen, c => c is KernelChange.Address { Removed: true, Info.LinkIndex: 10 });
    }

    [SkippableFact]
    public async Task An_overrun_queue_becomes_a_resync_and_the_monitor_goes_on()
    {
        using KernelSandbox box = KernelSandbox.Open();
        box.Do(batch => batch.CreateVxlan(new VxlanSpec { Name = "v0", Index = 10, Vni = 7, Local = IPAddress.Loopback, Mtu = 1400 }));
        using KernelMonitor monitor = KernelMonitor.OpenWithQueue(box.Namespace, 4096);
        box.Do(batch =>
        {
            for (byte n = 1; n < 200; n++)
            {
                batch.AppendFdbFlood(10, new IPAddress([10, 0, 0, n]));
            }
        });

        await FirstAsync(monitor, c => c is KernelChange.Resync);
        box.Do(batch => batch.CreateBridge(new BridgeSpec { Name = "later" }));
        await FirstAsync(monitor, c => c is KernelChange.Link { Info.Name: "later" });
    }

    [SkippableFact]
    public async Task An_nftables_change_is_seen_with_its_table_and_author()
    {
        Skip.IfNot(File.Exists("/usr/sbin/nft"), "nft is not installed");
        using KernelSandbox box = KernelSandbox.Open();
        using KernelMonitor monitor = KernelMonitor.Open(box.Namespace);
        box.Namespace.Run(() =>
        {
            using var nft = System.Diagnostics.Process.Start("/usr/sbin/nft", ["add", "table", "inet", "stranger"]);
            nft.WaitForExit();
            Assert.Equal(0, nft.ExitCode);
        });

        List<KernelChange> seen = [];
        await FirstAsync(monitor, c =>
        {
            seen.Add(c);
            return c is KernelChange.NftablesCommit { ProcessName: "nft" };
        });
        Assert.Contains(new KernelChange.Nftables(1, "stranger", NftablesObject.Table, Removed: false), seen);
    }

    [SkippableFact]
    public async Task Cancelling_ends_the_reading()
    {
        using KernelSandbox box = KernelSandbox.Open();
        using KernelMonitor monitor = KernelMonitor.Open(box.Namespace);
        using var cancellation = new CancellationTokenSource();
        Task reading = FirstAsync(monitor, _ => false, cancellation.Token);
        await cancellation.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => reading);
    }

    private static async Task<KernelChange> FirstAsync(
        KernelMonitor monitor, Func<KernelChange, bool> wanted, CancellationToken cancellationToken = default)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(Patience);
        await foreach (KernelChange change in monitor.ReadAsync(limit.Token))
        {
            if (wanted(change))
            {
                return change;
            }
        }

        throw new InvalidOperationException("the monitor ended by itself");
    }
}

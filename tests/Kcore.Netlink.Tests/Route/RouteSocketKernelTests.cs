using System.Net;
using Kcore.Netlink.Route;

namespace Kcore.Netlink.Tests.Route;

public sealed class RouteSocketKernelTests
{
    [SkippableFact]
    public void A_refused_middle_message_is_named_and_the_rest_is_done()
    {
        using KernelSandbox box = KernelSandbox.Open();
        var batch = new RouteBatch();
        batch.CreateBridge(new BridgeSpec { Name = "b0", Index = 10 });
        int wrong = batch.CreateBridge(new BridgeSpec { Name = "b0", Index = 11 });
        batch.CreateBridge(new BridgeSpec { Name = "b2", Index = 12 });
        BatchResult result = box.Socket.Execute(batch);

        MessageFailure failure = Assert.Single(result.Failures);
        Assert.Equal((wrong, Errno.EEXIST, "create the bridge b0"), (failure.Index, failure.Error.Errno, failure.Description));
        Assert.False(result.Succeeded);
        Assert.NotNull(box.Socket.FindLink("b2"));
        Assert.Equal(Errno.EEXIST, Assert.Throws<NetlinkException>(result.ThrowIfFailed).Errno);
    }

    [SkippableFact]
    public void A_refused_last_message_ends_the_batch_too()
    {
        using KernelSandbox box = KernelSandbox.Open();
        var batch = new RouteBatch();
        batch.CreateBridge(new BridgeSpec { Name = "b0", Index = 10 });
        batch.DeleteLink(99);
        Assert.Equal(Errno.ENODEV, box.Socket.Execute(batch).ErrorOf(1)?.Errno);
    }

    [SkippableFact]
    public void An_error_brings_the_kernel_s_own_words()
    {
        using KernelSandbox box = KernelSandbox.Open();
        var batch = new RouteBatch();
        batch.CreateVxlan(new VxlanSpec { Name = "v0", Index = 10, Vni = 7, Local = IPAddress.Loopback, Mtu = 1400 });
        batch.CreateVxlan(new VxlanSpec { Name = "v1", Index = 11, Vni = 7, Local = IPAddress.Loopback, Mtu = 1400 });
        NetlinkError error = box.Socket.Execute(batch).ErrorOf(1)!;
        Assert.Equal(Errno.EEXIST, error.Errno);
        Assert.Contains("VNI", error.Text, StringComparison.Ordinal);
    }

    [SkippableFact]
    public void Thousands_of_messages_and_hundreds_of_refusals_lose_no_answer()
    {
        using KernelSandbox box = KernelSandbox.Open();
        box.Do(batch => batch.CreateVxlan(new VxlanSpec { Name = "v0", Index = 10, Vni = 7, Local = IPAddress.Loopback, Mtu = 1400 }));
        var many = new RouteBatch();
        List<int> wrong = [];
        for (int n = 0; n < 3000; n++)
        {
            if (n % 2 == 0)
            {
                // Nothing of the kind is there to delete.
                many.DeleteFdbUnicast(10, KernelSandbox.Mac(n), IPAddress.Loopback, NeighbourFlags.Self);
                wrong.Add(n);
            }
            else
            {
                many.AppendFdbFlood(10, new IPAddress([10, 1, (byte)(n >> 8), (byte)n]));
            }
        }

        BatchResult result = box.Socket.Execute(many);
        Assert.Equal(wrong, result.Failures.Select(f => f.Index));
        Assert.Equal(1500, box.Socket.DumpFdb(10).Count);
    }

    [SkippableFact]
    public void A_batch_can_be_executed_again()
    {
        using KernelSandbox box = KernelSandbox.Open();
        var batch = new RouteBatch();
        batch.CreateBridge(new BridgeSpec { Name = "b0" });
        Assert.True(box.Socket.Execute(batch).Succeeded);
        Assert.Equal(Errno.EEXIST, box.Socket.Execute(batch).ErrorOf(0)?.Errno);
        Assert.True(box.Socket.Execute(new RouteBatch()).Succeeded);
    }

    [SkippableFact]
    public void A_socket_works_from_other_threads_than_the_one_that_opened_it()
    {
        using KernelSandbox box = KernelSandbox.Open();
        box.Do(batch => batch.CreateBridge(new BridgeSpec { Name = "only-here" }));
        LinkInfo? seen = null;
        var thread = new Thread(() => seen = box.Socket.FindLink("only-here"));
        thread.Start();
        thread.Join();
        Assert.NotNull(seen);
        using RouteSocket outside = RouteSocket.Open();
        Assert.Null(outside.FindLink("only-here"));
    }

    [SkippableFact]
    public async Task A_dump_under_which_the_table_changes_is_started_again_and_is_whole()
    {
        using KernelSandbox box = KernelSandbox.Open();
        box.Do(batch =>
        {
            for (int n = 0; n < 150; n++)
            {
                batch.CreateVeth(new VethSpec { Name = $"p{n}", PeerName = $"q{n}", Up = false });
            }
        });
        using RouteSocket stranger = RouteSocket.Open(box.Namespace);
        using var enough = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        Task churn = Task.Factory.StartNew(
            () =>
            {
                while (!enough.IsCancellationRequested)
                {
                    var batch = new RouteBatch();
                    batch.CreateBridge(new BridgeSpec { Name = "churn", Index = 5000 });
                    batch.DeleteLink(5000);
                    stranger.Execute(batch).ThrowIfFailed();
                }
            },
            CancellationToken.None,
            TaskCreationOptions.LongRunning,
            TaskScheduler.Default);

        while (box.Socket.DumpRestarts == 0 && !enough.IsCancellationRequested)
        {
            List<string> names = [.. box.Socket.DumpLinks().Select(l => l.Name)];
            Assert.Equal(names.Count, names.Distinct().Count());
            Assert.Equal(300, names.Count(n => n[0] is 'p' or 'q'));
        }

        bool inTime = !enough.IsCancellationRequested;
        await enough.CancelAsync();
        await churn;
        Assert.True(inTime, "no dump was interrupted in 30 s");
    }

    [SkippableFact]
    public void A_MTU_set_by_its_own_message_stays_when_a_larger_port_joins()
    {
        using KernelSandbox box = KernelSandbox.Open();
        box.Do(batch =>
        {
            batch.CreateBridge(new BridgeSpec { Name = "b", Index = 10 });
            batch.ChangeLink(10, new LinkChange { Mtu = 1390 });
            batch.CreateVeth(new VethSpec { Name = "p", PeerName = "q", Mtu = 1500, Master = 10 });
        });
        Assert.Equal(1390, box.Socket.FindLink(10)!.Mtu);
    }
}

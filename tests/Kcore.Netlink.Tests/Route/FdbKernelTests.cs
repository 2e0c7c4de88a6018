using System.Net;
using System.Net.Sockets;
using Kcore.Netlink.Route;

namespace Kcore.Netlink.Tests.Route;

public sealed class FdbKernelTests
{
    private const int Bridge = 100;
    private const int Vxlan = 101;
    private static readonly IPAddress First = IPAddress.Parse("10.9.0.2");
    private static readonly IPAddress Second = IPAddress.Parse("10.9.0.3");

    [SkippableFact]
    public void A_replace_makes_and_moves_an_entry_in_both_tables()
    {
        using KernelSandbox box = Overlay();
        box.Do(batch => batch.ReplaceFdbUnicast(Vxlan, KernelSandbox.Mac(9), First));
        box.Do(batch => batch.ReplaceFdbUnicast(Vxlan, KernelSandbox.Mac(9), Second));

        List<NeighbourInfo> entries = [.. box.Socket.DumpFdb(Vxlan).Where(e => e.Mac!.Equals(KernelSandbox.Mac(9)))];
        NeighbourInfo self = Assert.Single(entries, e => e.Flags == NeighbourFlags.Self);
        Assert.Equal(Second, self.Destination);
        NeighbourInfo master = Assert.Single(entries, e => e.Flags != NeighbourFlags.Self);
        Assert.Equal((NeighbourState.NoArp, Bridge), (master.State, master.Master));
    }

    [SkippableFact]
    public void A_delete_with_the_wrong_tunnel_end_succeeds_and_deletes_nothing()
    {
        using KernelSandbox box = Overlay();
        box.Do(batch =>
        {
            batch.ReplaceFdbUnicast(Vxlan, KernelSandbox.Mac(9), First);
            batch.DeleteFdbUnicast(Vxlan, KernelSandbox.Mac(9), Second, NeighbourFlags.Self);
        });
        Assert.Contains(box.Socket.DumpFdb(Vxlan), e => e.Mac!.Equals(KernelSandbox.Mac(9)) && First.Equals(e.Destination));

        box.Do(batch => batch.DeleteFdbUnicast(Vxlan, KernelSandbox.Mac(9), First));
        Assert.DoesNotContain(box.Socket.DumpFdb(Vxlan), e => e.Mac!.Equals(KernelSandbox.Mac(9)));
    }

    [SkippableFact]
    public void One_table_can_be_cleaned_when_the_other_has_no_entry()
    {
        using KernelSandbox box = Overlay();
        box.Do(batch =>
        {
            batch.ReplaceFdbUnicast(Vxlan, KernelSandbox.Mac(9), First);
            batch.DeleteFdbUnicast(Vxlan, KernelSandbox.Mac(9), First, NeighbourFlags.Master);
        });

        var both = new RouteBatch();
        both.DeleteFdbUnicast(Vxlan, KernelSandbox.Mac(9), First);
        Assert.Equal(Errno.ENOENT, box.Socket.Execute(both).ErrorOf(0)?.Errno);
        Assert.Contains(box.Socket.DumpFdb(Vxlan), e => e.Mac!.Equals(KernelSandbox.Mac(9)));
        box.Do(batch => batch.DeleteFdbUnicast(Vxlan, KernelSandbox.Mac(9), First, NeighbourFlags.Self));
        Assert.DoesNotContain(box.Socket.DumpFdb(Vxlan), e => e.Mac!.Equals(KernelSandbox.Mac(9)));
    }

    [SkippableFact]
    public void Flood_entries_gather_and_leave_one_by_one()
    {
        using KernelSandbox box = Overlay();
        box.Do(batch =>
        {
            batch.AppendFdbFlood(Vxlan, First);
            batch.AppendFdbFlood(Vxlan, Second);
            batch.AppendFdbFlood(Vxlan, Second);
        });
        Assert.Equal(["10.9.0.2", "10.9.0.3"], Flood(box));
        box.Do(batch => batch.DeleteFdbFlood(Vxlan, First));
        Assert.Equal(["10.9.0.3"], Flood(box));
    }

    [SkippableFact]
    public void A_local_MAC_is_pinned_static_and_unpinned()
    {
        using KernelSandbox box = Overlay();
        box.Do(batch =>
        {
            batch.CreateVeth(new VethSpec { Name = "p", Index = 110, PeerName = "q", Master = Bridge });
            batch.ReplaceFdbLocal(110, KernelSandbox.Mac(5));
        });
        NeighbourInfo pinned = Assert.Single(box.Socket.DumpFdb(110), e => e.Mac!.Equals(KernelSandbox.Mac(5)));
        Assert.Equal((NeighbourState.NoArp, Bridge, 110), (pinned.State, pinned.Master, pinned.LinkIndex));

        box.Do(batch => batch.DeleteFdbLocal(110, KernelSandbox.Mac(5)));
        Assert.DoesNotContain(box.Socket.DumpFdb(110), e => e.Mac!.Equals(KernelSandbox.Mac(5)));
    }

    [SkippableFact]
    public void Neighbours_carry_the_mark_and_are_read_by_link()
    {
        using KernelSandbox box = Overlay();
        IPAddress guest = IPAddress.Parse("10.1.0.9");
        box.Do(batch => batch.ReplaceNeighbour(Bridge, guest, KernelSandbox.Mac(9)));

        NeighbourInfo entry = Assert.Single(box.Socket.DumpNeighbours(AddressFamily.InterNetwork, Bridge));
        Assert.Equal((guest, KernelSandbox.Mac(9), NeighbourState.Permanent, KcoreMark.Protocol), (entry.Destination, entry.Mac, entry.State, entry.Protocol));
        Assert.Empty(box.Socket.DumpNeighbours(AddressFamily.InterNetwork, Vxlan));

        box.Do(batch => batch.DeleteNeighbour(Bridge, guest));
        Assert.Empty(box.Socket.DumpNeighbours(AddressFamily.InterNetwork, Bridge));
    }

    private static KernelSandbox Overlay()
    {
        KernelSandbox box = KernelSandbox.Open();
        box.Do(batch =>
        {
            batch.CreateBridge(new BridgeSpec { Name = "b", Index = Bridge });
            batch.CreateVxlan(new VxlanSpec
            {
                Name = "v",
                Index = Vxlan,
                Vni = 7,
                Local = IPAddress.Parse("10.9.0.1"),
                Mtu = 1400,
                Master = Bridge,
            });
        });
        return box;
    }

    private static IEnumerable<string> Flood(KernelSandbox box) =>
        box.Socket.DumpFdb(Vxlan)
            .Where(e => e.Flags.HasFlag(NeighbourFlags.Self) && e.Mac!.GetAddressBytes().All(b => b == 0))
            .Select(e => e.Destination!.ToString())
            .Order(StringComparer.Ordinal);
}

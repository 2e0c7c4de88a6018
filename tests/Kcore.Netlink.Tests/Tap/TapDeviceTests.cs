using Kcore.Netlink.Route;
using Kcore.Netlink.Tap;
using Microsoft.Win32.SafeHandles;

namespace Kcore.Netlink.Tests.Tap;

public sealed class TapDeviceTests
{
    [SkippableFact]
    public void A_TAP_persists_until_deleted_and_both_may_be_repeated()
    {
        using KernelSandbox box = KernelSandbox.Open();
        box.Namespace.Run(() => TapDevice.Create("tap-1", owner: 1000));
        box.Namespace.Run(() => TapDevice.Create("tap-1", owner: 1000));
        LinkInfo tap = box.Socket.FindLink("tap-1")!;
        Assert.Equal(("tun", 6), (tap.Kind, tap.Mac!.GetAddressBytes().Length));

        box.Namespace.Run(() => TapDevice.Delete("tap-1"));
        Assert.Null(box.Socket.FindLink("tap-1"));
        box.Namespace.Run(() => TapDevice.Delete("tap-1"));
        Assert.Null(box.Socket.FindLink("tap-1"));
    }

    [SkippableFact]
    public void A_TAP_in_use_is_busy()
    {
        using KernelSandbox box = KernelSandbox.Open();
        using SafeFileHandle vm = box.Namespace.Run(() => TapDevice.Attach("tap-1"));
        NetlinkException e = Assert.Throws<NetlinkException>(() => box.Namespace.Run(() => TapDevice.Delete("tap-1")));
        Assert.Equal(Errno.EBUSY, e.Errno);
    }

    [SkippableFact]
    public void A_device_of_another_kind_is_not_taken_over()
    {
        using KernelSandbox box = KernelSandbox.Open();
        box.Do(batch => batch.CreateBridge(new BridgeSpec { Name = "tap-1" }));
        NetlinkException e = Assert.Throws<NetlinkException>(() => box.Namespace.Run(() => TapDevice.Create("tap-1")));
        Assert.Equal(Errno.EINVAL, e.Errno);
    }

    [Fact]
    public void A_name_with_a_pattern_is_refused() =>
        Assert.Throws<ArgumentException>(() => TapDevice.Create("tap%d"));
}

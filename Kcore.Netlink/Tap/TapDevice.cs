using System.Text;
using Kcore.Netlink.Interop;
using Kcore.Netlink.Route;
using Microsoft.Win32.SafeHandles;

namespace Kcore.Netlink.Tap;

/// <summary>
/// Persistent TAP devices, made and deleted by ioctl on the clone device in the network namespace of the calling thread:
/// rtnetlink refuses to make them (linux/if_tun.h).
/// </summary>
public static unsafe class TapDevice
{
    private const string CloneDevice = "/dev/net/tun";
    private const int RequestBytes = 40;
    private const int FlagsOffset = 16;
    private const ushort Tap = 0x0002;
    private const ushort MultiQueue = 0x0100;
    private const ushort NoPacketInformation = 0x1000;
    private const ushort OffloadHeader = 0x4000;
    private const nuint TUNSETIFF = 0x400454ca;
    private const nuint TUNSETPERSIST = 0x400454cb;
    private const nuint TUNSETOWNER = 0x400454cc;

    /// <summary>Makes a TAP that stays when nobody has it open; one that exists already and fits is left as it is.</summary>
    /// <param name="name">A link name, see <see cref="LinkName"/>.</param>
    /// <param name="owner">User id that may attach without CAP_NET_ADMIN; null leaves it to root.</param>
    /// <param name="multiQueue">To be decided now: a VM cannot add queues later.</param>
    /// <exception cref="NetlinkException">
    /// EBUSY when a VM has it open, EINVAL when a device of that name is no TAP or of the other queue kind, ENOENT or
    /// ENXIO without the tun driver.
    /// </exception>
    public static void Create(string name, uint? owner = null, bool multiQueue = false)
    {
        using SafeFileHandle device = Attach(name, multiQueue);
        if (owner is { } id)
        {
            Control(device, TUNSETOWNER, id, $"set the owner of the TAP {name}");
        }

        Control(device, TUNSETPERSIST, 1, $"keep the TAP {name}");
    }

    /// <summary>Deletes a persistent TAP; one that does not exist is success. Arguments and errors as for <see cref="Create"/>.</summary>
    public static void Delete(string name, bool multiQueue = false)
    {
        using SafeFileHandle device = Attach(name, multiQueue);
        Control(device, TUNSETPERSIST, 0, $"delete the TAP {name}");
    }

    /// <summary>
    /// Attaches to a TAP, making it when it does not exist; the descriptor carries whole Ethernet frames, each behind a
    /// 10-byte virtio header.
    /// </summary>
    public static SafeFileHandle Attach(string name, bool multiQueue = false)
    {
        LinkName.Check(name);
        int descriptor = LibC.Open(CloneDevice, LibC.O_RDWR | LibC.O_CLOEXEC, 0);
        if (descriptor < 0)
        {
            throw NetlinkException.FromLastError($"open {CloneDevice}");
        }

        var device = new SafeFileHandle(descriptor, ownsHandle: true);
        byte* request = stackalloc byte[RequestBytes];
        new Span<byte>(request, RequestBytes).Clear();
        Encoding.UTF8.GetBytes(name, new Span<byte>(request, LinkName.BytesMax));
        *(ushort*)(request + FlagsOffset) =
            (ushort)(Tap | NoPacketInformation | OffloadHeader | (multiQueue ? MultiQueue : 0));
        if (LibC.Ioctl(device, TUNSETIFF, request) != 0)
        {
            NetlinkException failure = NetlinkException.FromLastError($"attach to the TAP {name}");
            device.Dispose();
            throw failure;
        }

        return device;
    }

    private static void Control(SafeFileHandle device, nuint request, nuint argument, string operation)
    {
        if (LibC.Ioctl(device, request, argument) != 0)
        {
            throw NetlinkException.FromLastError(operation);
        }
    }
}

using System.Net.Sockets;
using Kcore.Netlink.Interop;

namespace Kcore.Netlink.Packet;

/// <summary>Sends whole Ethernet frames out of a device of the namespace it was opened in (packet(7)). It hears nothing.</summary>
public sealed unsafe class PacketSocket : IDisposable
{
    private readonly SafeSocketHandle _handle;

    private PacketSocket(SafeSocketHandle handle) => _handle = handle;

    /// <summary>Opens in the network namespace of the calling thread. Takes CAP_NET_RAW.</summary>
    /// <exception cref="NetlinkException">Not permitted, or the kernel has no packet sockets.</exception>
    public static PacketSocket Open()
    {
        // Protocol 0: no frame is ever delivered to it.
        int descriptor = LibC.Socket(LibC.AF_PACKET, LibC.SOCK_RAW | LibC.SOCK_CLOEXEC, 0);
        return descriptor < 0
            ? throw NetlinkException.FromLastError("open a packet socket")
            : new PacketSocket(new SafeSocketHandle(descriptor, ownsHandle: true));
    }

    /// <exception cref="NetlinkException">The device is gone or down, or its queue is full.</exception>
    public void Send(int linkIndex, ReadOnlySpan<byte> frame)
    {
        LibC.LinkLayerAddress address = new() { Family = LibC.AF_PACKET, LinkIndex = linkIndex, AddressLength = 6 };
        fixed (byte* start = frame)
        {
            if (LibC.SendTo(_handle, start, (nuint)frame.Length, LibC.MSG_DONTWAIT, &address, (uint)sizeof(LibC.LinkLayerAddress)) != frame.Length)
            {
                throw NetlinkException.FromLastError("send a frame");
            }
        }
    }

    public void Dispose() => _handle.Dispose();
}

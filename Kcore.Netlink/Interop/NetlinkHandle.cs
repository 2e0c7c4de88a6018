using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Kcore.Netlink.Interop;

/// <summary>Opens raw netlink descriptors in the network namespace of the calling thread and sets their options.</summary>
internal static unsafe class NetlinkHandle
{
    internal const int ProtocolRoute = 0;
    internal const int ProtocolNetfilter = 12;
    internal const int ProtocolGeneric = 16;

    /// <summary>Opens and binds a socket; the kernel chooses the port id, so many sockets of one process coexist.</summary>
    internal static SafeSocketHandle Open(int protocol, ReadOnlySpan<int> groups, int receiveBufferBytes)
    {
        int descriptor = LibC.Socket(LibC.AF_NETLINK, LibC.SOCK_RAW | LibC.SOCK_CLOEXEC, protocol);
        if (descriptor < 0)
        {
            throw NetlinkException.FromLastError("open a netlink socket");
        }

        var handle = new SafeSocketHandle(descriptor, ownsHandle: true);
        try
        {
            var address = new LibC.NetlinkAddress { Family = LibC.AF_NETLINK };
            if (LibC.Bind(handle, in address, (uint)sizeof(LibC.NetlinkAddress)) != 0)
            {
                throw NetlinkException.FromLastError("bind a netlink socket");
            }

            RaiseBuffer(handle, LibC.SO_RCVBUFFORCE, LibC.SO_RCVBUF, receiveBufferBytes);
            foreach (int group in groups)
            {
                SetOption(handle, LibC.SOL_NETLINK, LibC.NETLINK_ADD_MEMBERSHIP, group, "join a netlink group");
            }

            return handle;
        }
        catch
        {
            handle.Dispose();
            throw;
        }
    }

    internal static void SetOption(SafeSocketHandle handle, int level, int name, int value, string operation)
    {
        if (LibC.SetOption(handle, level, name, &value, sizeof(int)) != 0)
        {
            throw NetlinkException.FromLastError(operation);
        }
    }

    /// <summary>Asks for a buffer beyond the system limit; without CAP_NET_ADMIN the limit is the best there is.</summary>
    internal static void RaiseBuffer(SafeSocketHandle handle, int forced, int polite, int bytes)
    {
        if (LibC.SetOption(handle, LibC.SOL_SOCKET, forced, &bytes, sizeof(int)) != 0)
        {
            SetOption(handle, LibC.SOL_SOCKET, polite, bytes, "size a netlink socket buffer");
        }
    }

    internal static int BufferBytes(SafeSocketHandle handle, int name)
    {
        int value = 0;
        uint length = sizeof(int);
        if (LibC.GetOption(handle, LibC.SOL_SOCKET, name, &value, &length) != 0)
        {
            throw NetlinkException.FromLastError("read a netlink socket buffer size");
        }

        return value;
    }

    /// <summary>
    /// The kernel answers a request before <c>sendto</c> returns, so a wait this long means something is badly wrong;
    /// the limit keeps such a failure from becoming a hang.
    /// </summary>
    internal static void SetTimeouts(SafeSocketHandle handle, TimeSpan limit)
    {
        long* timeval = stackalloc long[2];
        timeval[0] = (long)limit.TotalSeconds;
        timeval[1] = limit.Microseconds + (limit.Milliseconds * 1000L);
        foreach (int name in (ReadOnlySpan<int>)[LibC.SO_RCVTIMEO, LibC.SO_SNDTIMEO])
        {
            if (LibC.SetOption(handle, LibC.SOL_SOCKET, name, timeval, 2 * sizeof(long)) != 0)
            {
                throw NetlinkException.FromLastError("set a netlink socket time limit");
            }
        }
    }

    internal static void Send(SafeSocketHandle handle, ReadOnlySpan<byte> bytes)
    {
        var kernel = new LibC.NetlinkAddress { Family = LibC.AF_NETLINK };
        fixed (byte* start = bytes)
        {
            nint sent;
            do
            {
                sent = LibC.SendTo(handle, start, (nuint)bytes.Length, 0, &kernel, (uint)sizeof(LibC.NetlinkAddress));
            }
            while (sent < 0 && Marshal.GetLastPInvokeError() == (int)Errno.EINTR);

            if (sent != bytes.Length)
            {
                throw sent < 0
                    ? NetlinkException.FromLastError("send to the kernel")
                    : NetlinkException.Malformed("the kernel took only a part of a send");
            }
        }
    }

    /// <summary>Receives one datagram from the kernel; datagrams of other processes are dropped, truncated ones refused.</summary>
    internal static int Receive(SafeSocketHandle handle, Span<byte> buffer)
    {
        fixed (byte* start = buffer)
        {
            while (true)
            {
                LibC.NetlinkAddress from = default;
                uint fromLength = (uint)sizeof(LibC.NetlinkAddress);
                nint received = LibC.ReceiveFrom(handle, start, (nuint)buffer.Length, LibC.MSG_TRUNC, &from, &fromLength);
                if (received < 0)
                {
                    if (Marshal.GetLastPInvokeError() == (int)Errno.EINTR)
                    {
                        continue;
                    }

                    throw NetlinkException.FromLastError("receive from the kernel");
                }

                if (from.PortId != 0)
                {
                    continue;
                }

                if (received > buffer.Length)
                {
                    throw NetlinkException.Malformed($"a kernel answer of {received} bytes exceeds the buffer of {buffer.Length}");
                }

                return (int)received;
            }
        }
    }

    /// <summary>Takes one datagram away if there is one; a pending overrun counts as one.</summary>
    internal static bool TryDiscard(SafeSocketHandle handle, Span<byte> buffer)
    {
        fixed (byte* start = buffer)
        {
            nint received = LibC.ReceiveFrom(handle, start, (nuint)buffer.Length, LibC.MSG_DONTWAIT, null, null);
            return received >= 0 || (Errno)Marshal.GetLastPInvokeError() switch
            {
                Errno.EINTR or Errno.ENOBUFS => true,
                Errno.EAGAIN => false,
                _ => throw NetlinkException.FromLastError("discard notifications"),
            };
        }
    }
}

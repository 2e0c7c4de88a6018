using System.Runtime.InteropServices;

namespace Kcore.Netlink;

/// <summary>A system call or kernel request failed, or the kernel's answer made no sense (<see cref="Errno.EBADMSG"/>).</summary>
public sealed class NetlinkException(string operation, NetlinkError error)
    : Exception($"Could not {operation}: {error}")
{
    /// <summary>What was attempted, as a verb phrase.</summary>
    public string Operation { get; } = operation;

    public NetlinkError Error { get; } = error;

    public Errno Errno => Error.Errno;

    internal static NetlinkException FromLastError(string operation) =>
        new(operation, new NetlinkError((Errno)Marshal.GetLastPInvokeError()));

    internal static NetlinkException Malformed(string what) =>
        new("understand the kernel's answer", new NetlinkError(Errno.EBADMSG, what));
}

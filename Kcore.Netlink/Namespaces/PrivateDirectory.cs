using System.Runtime.ExceptionServices;
using Kcore.Netlink.Interop;

namespace Kcore.Netlink.Namespaces;

/// <summary>
/// A directory that a started program has to itself: programs that put a socket at a fixed path would otherwise meet there
/// although they live in different network namespaces. Others reach it through <c>/proc/PID/root</c> (proc(5)).
/// </summary>
public static class PrivateDirectory
{
    /// <summary>
    /// Runs a function, such as the start of a process, on a thread of its own that sees an empty directory there, in
    /// memory. What is unmounted on the host goes away there as well. The network namespace is the caller's.
    /// </summary>
    /// <param name="directory">Absolute; made when it is missing.</param>
    /// <exception cref="NetlinkException">EPERM without CAP_SYS_ADMIN.</exception>
    public static T Run<T>(string directory, Func<T> function)
    {
        ArgumentNullException.ThrowIfNull(function);
        Directory.CreateDirectory(directory);
        T result = default!;
        ExceptionDispatchInfo? failure = null;

        // A thread that changed its mounts must never go back to a pool.
        var thread = new Thread(() =>
        {
            try
            {
                Enter(directory);
                result = function();
            }
            catch (Exception e)
            {
                failure = ExceptionDispatchInfo.Capture(e);
            }
        })
        {
            IsBackground = true,
            Name = "private directory",
        };
        thread.Start();
        thread.Join();
        failure?.Throw();
        return result;
    }

    private static void Enter(string directory)
    {
        if (LibC.Unshare(LibC.CLONE_NEWNS) != 0
            || LibC.Mount(null, "/", null, LibC.MS_REC | LibC.MS_SLAVE, null) != 0
            || LibC.Mount("tmpfs", directory, "tmpfs", LibC.MS_NOSUID | LibC.MS_NODEV | LibC.MS_NOEXEC, "mode=0700,size=64k") != 0)
        {
            throw NetlinkException.FromLastError($"give a program its own {directory}");
        }
    }
}

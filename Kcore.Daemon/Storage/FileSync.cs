using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Kcore.Daemon.Storage;

/// <summary>
/// Makes the contents of a file durable without waiting for metadata that reading them back does not need (fdatasync(2));
/// .NET offers only fsync.
/// </summary>
internal static class FileSync
{
    /// <exception cref="IOException">The kernel refused.</exception>
    public static void FlushData(SafeFileHandle file)
    {
        if (Fdatasync(file) != 0)
        {
            throw new IOException($"The file cannot be flushed: {Marshal.GetLastPInvokeErrorMessage()}", Marshal.GetLastPInvokeError());
        }
    }

    // LibraryImport would generate unsafe code, which only Kcore.Netlink may hold; this marshals trivially.
    [DllImport("libc", EntryPoint = "fdatasync", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Fdatasync(SafeFileHandle file);
}

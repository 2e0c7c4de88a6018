using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Kcore.Daemon.Storage;

/// <summary>Makes a rename durable: .NET opens no directories, so this goes to libc (fsync(2), "NOTES").</summary>
internal static class DirectorySync
{
    // fcntl.h: O_RDONLY | O_CLOEXEC; O_DIRECTORY is left out because its value differs between architectures.
    private const int ReadOnlyCloseOnExec = 0x80000;

    /// <exception cref="IOException">The kernel refused.</exception>
    public static void Flush(string directory)
    {
        using SafeFileHandle handle = Open(directory, ReadOnlyCloseOnExec);
        if (handle.IsInvalid || Fsync(handle) != 0)
        {
            throw new IOException($"directory {directory} cannot be flushed: {Marshal.GetLastPInvokeErrorMessage()}");
        }
    }

    // LibraryImport would generate unsafe code, which only Kcore.Netlink may hold; these two marshal trivially.
    [DllImport("libc", EntryPoint = "open", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern SafeFileHandle Open([MarshalAs(UnmanagedType.LPUTF8Str)] string path, int flags);

    [DllImport("libc", EntryPoint = "fsync", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Fsync(SafeFileHandle file);
}

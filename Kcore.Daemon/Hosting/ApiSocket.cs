using System.Net.Sockets;
using System.Runtime.InteropServices;
using Microsoft.Extensions.Logging;

namespace Kcore.Daemon.Hosting;

/// <summary>The file of the Unix socket: who may open it, and what to do with one that a crashed daemon left.</summary>
internal static partial class ApiSocket
{
    public const string Group = "kcore";

    private const UnixFileMode OwnerAndGroup = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.GroupWrite;

    /// <summary>Makes the directory and removes the socket of a daemon that is gone.</summary>
    /// <exception cref="ConfigurationException">Another daemon answers on it.</exception>
    public static void Prepare(string path)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
        if (!File.Exists(path))
        {
            return;
        }

        using var probe = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            probe.Connect(new UnixDomainSocketEndPoint(path));
        }
        catch (SocketException)
        {
            File.Delete(path);
            return;
        }

        throw new ConfigurationException($"another kcored answers on {path}: stop it, or choose another --socket");
    }

    /// <summary>0660 and the group <c>kcore</c>, where there is one; root may always.</summary>
    public static void Open(string path, ILogger logger)
    {
        File.SetUnixFileMode(path, OwnerAndGroup);
        if (GroupId() is not { } group)
        {
            Log.NoGroup(logger, Group, path);
        }
        else if (Chown(path, uint.MaxValue, group) != 0)
        {
            Log.NotGiven(logger, path, Group, Marshal.GetLastPInvokeErrorMessage());
        }
    }

    private static uint? GroupId()
    {
        // getgrnam(3) would need unsafe code for a structure of which one field is wanted.
        foreach (string line in File.Exists("/etc/group") ? File.ReadLines("/etc/group") : [])
        {
            if (line.Split(':') is [Group, _, { } id, ..] && uint.TryParse(id, out uint group))
            {
                return group;
            }
        }

        return null;
    }

    [DllImport("libc", EntryPoint = "chown", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Chown([MarshalAs(UnmanagedType.LPUTF8Str)] string path, uint owner, uint group);

    private static partial class Log
    {
        [LoggerMessage(1601, LogLevel.Information, "There is no group {Group}: only root may use {Path}")]
        public static partial void NoGroup(ILogger logger, string group, string path);

        [LoggerMessage(1602, LogLevel.Warning, "{Path} could not be given to group {Group}: {Cause}")]
        public static partial void NotGiven(ILogger logger, string path, string group, string cause);
    }
}

using System.Globalization;
using Kcore.Daemon.Systemd;

namespace Kcore.Daemon.Dataplane.Mesh;

/// <summary>
/// A running wireguard-go that makes the device of the mesh: by its command line, and by the network namespace it is in, of
/// which each has one device of the name and one daemon.
/// </summary>
internal sealed record TunnelProcess(int Pid, ulong StartTime) : RunningProcess(Pid, StartTime)
{
    public const string Program = "wireguard-go";

    /// <summary>Where the program puts its socket, and where it is looked for by wg(8).</summary>
    public const string SocketDirectory = "/run/wireguard";

    public static string[] Arguments { get; } = ["-f", MeshIntent.Device];

    /// <summary>Seen as the process sees it, which may have the directory to itself.</summary>
    public string SocketPath => string.Create(CultureInfo.InvariantCulture, $"/proc/{Pid}/root{SocketDirectory}/{MeshIntent.Device}.sock");

    /// <summary>All in the namespace, the oldest first.</summary>
    /// <param name="ns">What /proc/PID/ns/net leads to.</param>
    public static IReadOnlyList<TunnelProcess> FindAll(string ns) =>
    [
        .. FindAll((pid, arguments) => arguments is [var program, "-f", MeshIntent.Device, ..] && Path.GetFileName(program) == Program ? NamespaceOf(string.Create(CultureInfo.InvariantCulture, $"/proc/{pid}/ns/net")) : null)
            .Where(p => p.Found == ns)
            .Select(p => new TunnelProcess(p.Pid, p.StartTime))
            .OrderBy(p => p.StartTime).ThenBy(p => p.Pid),
    ];

    /// <summary>Of the calling thread.</summary>
    public static string CurrentNamespace() => NamespaceOf("/proc/thread-self/ns/net") ?? "";

    private static string? NamespaceOf(string link)
    {
        try
        {
            return new FileInfo(link).LinkTarget;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}

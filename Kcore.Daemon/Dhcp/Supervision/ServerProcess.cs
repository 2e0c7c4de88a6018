using Kcore.Daemon.Systemd;

namespace Kcore.Daemon.Dhcp.Supervision;

/// <summary>
/// A running dnsmasq of ours. Which one it is is told by its command line, which names a file of this daemon alone.
/// </summary>
internal sealed record ServerProcess(int Pid, ulong StartTime, string Configuration) : RunningProcess(Pid, StartTime)
{
    public const string ConfigurationFlag = "--conf-file=";

    /// <summary>The network, by the file's name.</summary>
    public string Network => Path.GetFileName(Configuration).Split('.')[0];

    /// <summary>All that run with a configuration from the directory, the oldest first.</summary>
    public static IReadOnlyList<ServerProcess> FindAll(string directory) =>
    [
        .. FindAll((_, arguments) => ConfigurationOf(arguments))
            .Where(p => Path.GetDirectoryName(p.Found) == directory)
            .Select(p => new ServerProcess(p.Pid, p.StartTime, p.Found))
            .OrderBy(p => p.StartTime).ThenBy(p => p.Pid),
    ];

    private static string? ConfigurationOf(string[] arguments) =>
        Path.GetFileName(arguments[0]) == "dnsmasq"
        && Array.Find(arguments, a => a.StartsWith(ConfigurationFlag, StringComparison.Ordinal)) is { } flag
            ? flag[ConfigurationFlag.Length..]
            : null;
}

using System.Globalization;
using System.Runtime.InteropServices;

namespace Kcore.Daemon.Dhcp.Supervision;

/// <summary>
/// A running dnsmasq of ours. Which one it is is told by its command line, which names a file of this daemon alone, and by
/// when it started, so that a process that got the same number later is never taken for it.
/// </summary>
/// <param name="StartTime">In the kernel's ticks since boot (proc(5), field 22 of stat).</param>
internal sealed record ServerProcess(int Pid, ulong StartTime, string Configuration)
{
    public const string ConfigurationFlag = "--conf-file=";

    private const int CommandLineMax = 8192;
    private const int Hangup = 1;
    private const int Terminate = 15;
    private const int Kill = 9;

    /// <summary>The network, by the file's name.</summary>
    public string Network => Path.GetFileName(Configuration).Split('.')[0];

    public bool IsAlive => StartTimeOf(Pid) == StartTime;

    /// <summary>All that run with a configuration from the directory, the oldest first.</summary>
    public static IReadOnlyList<ServerProcess> FindAll(string directory)
    {
        List<ServerProcess> found = [];
        foreach (string path in Directory.EnumerateDirectories("/proc"))
        {
            if (int.TryParse(Path.GetFileName(path), NumberStyles.None, CultureInfo.InvariantCulture, out int pid)
                && StartTimeOf(pid) is { } start
                && ConfigurationOf(pid) is { } configuration
                && Path.GetDirectoryName(configuration) == directory
                && StartTimeOf(pid) == start)
            {
                found.Add(new ServerProcess(pid, start, configuration));
            }
        }

        return [.. found.OrderBy(p => p.StartTime).ThenBy(p => p.Pid)];
    }

    public void Reload() => Send(Hangup);

    public void End() => Send(Terminate);

    public void EndAtOnce() => Send(Kill);

    private void Send(int signal)
    {
        if (IsAlive)
        {
            // What fails here fails because the process has just ended, or is not ours to signal; the next look tells.
            _ = SendSignal(Pid, signal);
        }
    }

    /// <summary>Null when there is no such process, or it has ended and only waits to be noticed (state Z).</summary>
    private static ulong? StartTimeOf(int pid)
    {
        try
        {
            string stat = File.ReadAllText(string.Create(CultureInfo.InvariantCulture, $"/proc/{pid}/stat"));

            // The name may hold blanks and brackets; the last bracket ends it.
            string[] fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
            return fields[0] is "Z" or "X" ? null : ulong.Parse(fields[19], CultureInfo.InvariantCulture);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or FormatException or ArgumentOutOfRangeException or IndexOutOfRangeException)
        {
            return null;
        }
    }

    private static string? ConfigurationOf(int pid)
    {
        try
        {
            using FileStream file = File.OpenRead(string.Create(CultureInfo.InvariantCulture, $"/proc/{pid}/cmdline"));
            Span<byte> bytes = stackalloc byte[CommandLineMax];
            string[] arguments = System.Text.Encoding.UTF8.GetString(bytes[..file.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false)]).Split('\0');
            return Path.GetFileName(arguments[0]) == "dnsmasq"
                && Array.Find(arguments, a => a.StartsWith(ConfigurationFlag, StringComparison.Ordinal)) is { } flag
                    ? flag[ConfigurationFlag.Length..]
                    : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    [DllImport("libc", EntryPoint = "kill", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int SendSignal(int pid, int signal);
}

using System.Globalization;
using System.Runtime.InteropServices;

namespace Kcore.Daemon.Systemd;

/// <summary>
/// A process that somebody started once. It is told by when it started too, so that one that got the same number later is
/// never taken for it.
/// </summary>
/// <param name="StartTime">In the kernel's ticks since boot (proc(5), field 22 of stat).</param>
internal record RunningProcess(int Pid, ulong StartTime)
{
    private const int CommandLineMax = 8192;
    private const int Hangup = 1;
    private const int Terminate = 15;
    private const int Kill = 9;

    public bool IsAlive => StartTimeOf(Pid) == StartTime;

    /// <summary>All processes of the machine whose command line the function makes something of.</summary>
    /// <param name="recognise">Given the number and the arguments, the program first; null means another process.</param>
    public static IEnumerable<(int Pid, ulong StartTime, T Found)> FindAll<T>(Func<int, string[], T?> recognise)
        where T : class
    {
        foreach (string path in Directory.EnumerateDirectories("/proc"))
        {
            if (int.TryParse(Path.GetFileName(path), NumberStyles.None, CultureInfo.InvariantCulture, out int pid)
                && StartTimeOf(pid) is { } start
                && CommandLineOf(pid) is { } arguments
                && recognise(pid, arguments) is { } found
                && StartTimeOf(pid) == start)
            {
                yield return (pid, start, found);
            }
        }
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

    private static string[]? CommandLineOf(int pid)
    {
        try
        {
            using FileStream file = File.OpenRead(string.Create(CultureInfo.InvariantCulture, $"/proc/{pid}/cmdline"));
            Span<byte> bytes = stackalloc byte[CommandLineMax];
            return System.Text.Encoding.UTF8.GetString(bytes[..file.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false)]).Split('\0');
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

using System.Collections.Frozen;

namespace Kcore.Daemon.Dataplane.Apply;

/// <summary>
/// Kernel settings as files. /proc/sys/net shows the network namespace of the thread that opens a file.
/// </summary>
internal sealed class SysctlFiles(HomeNamespace home, SysctlJournal journal)
{
    private const string Root = "/proc/sys/";

    /// <summary>The values of those settings that this kernel, and these devices, have.</summary>
    public Dictionary<string, string> Read(IReadOnlyCollection<string> paths) => home.Run(() =>
    {
        Dictionary<string, string> values = new(StringComparer.Ordinal);
        foreach (string path in paths)
        {
            if (ReadFile(path) is { } value)
            {
                values[path] = value;
            }
        }

        return values;
    });

    /// <summary>Old values of what we changed.</summary>
    public FrozenDictionary<string, string> Remembered => journal.Before;

    private static string? ReadFile(string path)
    {
        try
        {
            return File.ReadAllText(Root + path).Trim();
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            return null;
        }
    }

    /// <exception cref="IOException">The kernel refused the value, or /proc/sys is read-only.</exception>
    /// <exception cref="UnauthorizedAccessException">We are not root.</exception>
    public void Write(Sysctl sysctl) => home.Run(() =>
    {
        if (sysctl.Device is null && ReadFile(sysctl.Path) is { } before)
        {
            journal.Remember(sysctl.Path, before, sysctl.Value);
        }

        WriteFile(sysctl.Path, sysctl.Value);
        return true;
    });

    /// <inheritdoc cref="Write"/>
    public void Restore(string path) => home.Run(() =>
    {
        if (journal.Recall(path) is { } memory && ReadFile(path) == memory.Ours)
        {
            WriteFile(path, memory.Before);
        }

        journal.Forget(path);
        return true;
    });

    // The kernel takes a setting in one write to an existing file.
    private static void WriteFile(string path, string value)
    {
        using FileStream file = new(Root + path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite, bufferSize: 0);
        file.Write(System.Text.Encoding.ASCII.GetBytes(value));
    }
}

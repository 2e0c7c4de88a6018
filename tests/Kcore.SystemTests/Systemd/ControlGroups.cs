namespace Kcore.SystemTests.Systemd;

/// <summary>Where a host's processes are counted: its own directory in each hierarchy that systemd uses.</summary>
/// <remarks>
/// On a plain Debian 12 that is cgroup v2 alone; where version 1 is mounted too (hybrid), systemd also keeps the named
/// hierarchy. Hosts that share one directory would kill each other's processes at shutdown.
/// </remarks>
internal sealed class ControlGroups
{
    private const string Prefix = "kcore-test-";

    private readonly string? _named;

    private ControlGroups(string unified, string? named)
    {
        Unified = unified;
        _named = named;
    }

    private string Unified { get; }

    /// <summary>Null when no cgroup v2 hierarchy is mounted.</summary>
    public static ControlGroups? Find()
    {
        string? unified = null;
        string? named = null;
        foreach (string[] mount in File.ReadLines("/proc/self/mounts").Select(line => line.Split(' ')))
        {
            if (mount is [_, var at, "cgroup2", ..])
            {
                unified ??= at;
            }
            else if (mount is [_, var at1, "cgroup", var options, ..] && options.Split(',').Contains("name=systemd"))
            {
                named ??= at1;
            }
        }

        return unified is null ? null : new ControlGroups(unified, named);
    }

    /// <summary>The directories of one host, the one that can kill first. They are made by who uses them.</summary>
    public IReadOnlyList<string> For(string host)
    {
        string name = $"{Prefix}{Environment.ProcessId}-{host}";
        return _named is null ? [Path.Combine(Unified, name)] : [Path.Combine(Unified, name), Path.Combine(_named, name)];
    }

    /// <summary>
    /// Kills and removes what runs of this test that are over have left. Normally nothing: every host watches the
    /// process that started it.
    /// </summary>
    public void SweepAbandoned()
    {
        foreach (string root in (IEnumerable<string>)(_named is null ? [Unified] : [Unified, _named]))
        {
            foreach (string group in Directory.EnumerateDirectories(root, Prefix + "*"))
            {
                string owner = Path.GetFileName(group)[Prefix.Length..].Split('-')[0];
                if (Directory.Exists($"/proc/{owner}"))
                {
                    continue;
                }

                string kill = Path.Combine(group, "cgroup.kill");
                if (File.Exists(kill))
                {
                    File.WriteAllText(kill, "1");
                }

                RemoveEmpty(group);
            }
        }
    }

    // rmdir(2) one by one: the files of a control group are not files and can't be unlinked.
    private static void RemoveEmpty(string group)
    {
        foreach (string inner in Directory.EnumerateDirectories(group))
        {
            RemoveEmpty(inner);
        }

        try
        {
            Directory.Delete(group);
        }
        catch (IOException)
        {
            // The killed are not all gone yet; the next run sweeps again.
        }
    }
}

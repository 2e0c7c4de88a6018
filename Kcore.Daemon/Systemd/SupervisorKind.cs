namespace Kcore.Daemon.Systemd;

/// <summary>Who keeps dnsmasq, wireguard-go and the hypervisors running.</summary>
internal enum SupervisorKind
{
    /// <summary>The daemon's own children, which it leaves running when it ends: containers and network namespaces.</summary>
    Process,

    /// <summary>Transient units, which outlive a restart of the daemon.</summary>
    Systemd,
}

/// <summary>Finds out whether systemd runs this machine.</summary>
internal static class SupervisorDetection
{
    /// <summary>
    /// Both marks are asked for: the directory alone may be bind-mounted into a container, the name alone does not
    /// say that the manager's interfaces can be reached (sd_booted(3)).
    /// </summary>
    /// <param name="root">"/", or a directory that stands for it.</param>
    public static SupervisorKind Detect(string root = "/")
    {
        try
        {
            return Directory.Exists(Path.Combine(root, "run/systemd/system"))
                && string.Equals(File.ReadAllText(Path.Combine(root, "proc/1/comm")).Trim(), "systemd", StringComparison.Ordinal)
                    ? SupervisorKind.Systemd
                    : SupervisorKind.Process;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return SupervisorKind.Process;
        }
    }
}

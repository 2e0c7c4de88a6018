namespace Kcore.Daemon.Dataplane.Facts;

/// <summary>
/// Programs that manage network devices and addresses, among those that run: for a change of a device the kernel does not
/// say who made it, so these are the ones to ask first.
/// </summary>
internal static class NetworkPrograms
{
    /// <summary>As /proc/PID/comm has them, cut to 15 characters, and how people know them.</summary>
    private static readonly (string Comm, string Name)[] _known =
    [
        ("NetworkManager", "NetworkManager"),
        ("systemd-network", "systemd-networkd"),
        ("connmand", "connman"),
        ("dhcpcd", "dhcpcd"),
        ("dhclient", "dhclient"),
        ("libvirtd", "libvirtd"),
        ("dockerd", "dockerd"),
    ];

    /// <summary>Null when none of them runs.</summary>
    public static string? Running()
    {
        HashSet<string> seen = new(StringComparer.Ordinal);
        try
        {
            foreach (string directory in Directory.EnumerateDirectories("/proc"))
            {
                if (char.IsAsciiDigit(Path.GetFileName(directory)[0]))
                {
                    seen.Add(Comm(directory));
                }
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }

        string[] names = [.. _known.Where(k => seen.Contains(k.Comm)).Select(k => k.Name)];
        return names.Length == 0 ? null : $"{string.Join(" or ", names)}, which runs here and may manage it";
    }

    private static string Comm(string directory)
    {
        try
        {
            return File.ReadAllText(Path.Combine(directory, "comm")).TrimEnd();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // It ended meanwhile.
            return "";
        }
    }
}

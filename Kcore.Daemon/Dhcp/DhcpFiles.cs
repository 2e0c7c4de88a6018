namespace Kcore.Daemon.Dhcp;

/// <summary>
/// The runtime files of the DHCP servers of one daemon: <c>NET.VERSION.conf</c>, <c>NET.hosts</c>, <c>NET.leases</c>,
/// <c>NET.log</c>. Names of networks hold no dot.
/// </summary>
internal sealed class DhcpFiles(string directory)
{
    private const UnixFileMode ForAllToRead =
        UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.OtherRead;

    public string Directory => directory;

    public string HostsOf(string network) => Path.Combine(directory, network + ".hosts");

    public string LeasesOf(string network) => Path.Combine(directory, network + ".leases");

    public string LogOf(string network) => Path.Combine(directory, network + ".log");

    public string ConfigurationOf(string network, string version) => Path.Combine(directory, $"{network}.{version}.conf");

    /// <summary>Networks that have a file here.</summary>
    public IReadOnlySet<string> Networks() => System.IO.Directory.Exists(directory)
        ? System.IO.Directory.EnumerateFiles(directory).Select(f => Path.GetFileName(f).Split('.')[0]).ToHashSet(StringComparer.Ordinal)
        : [];

    public static string? Read(string path)
    {
        try
        {
            return File.ReadAllText(path);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            return null;
        }
    }

    /// <summary>Replaces the file whole: dnsmasq may be reading it.</summary>
    /// <exception cref="IOException">The directory is not there and cannot be made, or the disk is full.</exception>
    public void Write(string path, string text)
    {
        System.IO.Directory.CreateDirectory(directory);
        string temporary = path + ".new";
        File.WriteAllText(temporary, text);
        File.SetUnixFileMode(temporary, ForAllToRead);
        File.Move(temporary, path, overwrite: true);
    }

    /// <summary>Removes configurations of other versions; they belong to a server that has ended.</summary>
    public void RemoveOtherVersions(string network, string current)
    {
        foreach (string file in System.IO.Directory.EnumerateFiles(directory, network + ".*.conf").Where(f => f != current))
        {
            File.Delete(file);
        }
    }

    /// <summary>Removes everything of a network, and the directory with the last one (behaviour 113).</summary>
    public void Remove(string network)
    {
        foreach (string file in System.IO.Directory.EnumerateFiles(directory, network + ".*"))
        {
            File.Delete(file);
        }

        if (!System.IO.Directory.EnumerateFileSystemEntries(directory).Any())
        {
            System.IO.Directory.Delete(directory);
        }
    }

    /// <summary>Whether a process without privileges reaches the files: every directory above them must let it pass.</summary>
    public bool IsOpenToAll()
    {
        for (DirectoryInfo? d = new(Path.GetFullPath(directory)); d is not null; d = d.Parent)
        {
            if (d.Exists && !d.UnixFileMode.HasFlag(UnixFileMode.OtherExecute))
            {
                return false;
            }
        }

        return true;
    }
}

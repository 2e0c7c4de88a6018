namespace Kcore.Daemon.Catalog.Naming;

/// <summary>What may be the name of a network device here.</summary>
internal static class DeviceName
{
    /// <summary>IFNAMSIZ − 1 (linux/if.h).</summary>
    public const int MaxLength = 15;

    /// <summary>
    /// Names go into nftables text and paths below /proc/sys, so only letters, digits, dot, dash and underscore
    /// are taken (the kernel takes more), and not the names it keeps for all devices.
    /// </summary>
    public static bool IsUsable(string name) =>
        name.Length is > 0 and <= MaxLength
        && name is not ("." or ".." or "all" or "default")
        && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '-' or '_');
}

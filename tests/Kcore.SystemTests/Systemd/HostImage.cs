using System.Security.Cryptography;
using System.Text;
using Kcore.TestKit.Processes;

namespace Kcore.SystemTests.Systemd;

/// <summary>
/// A Debian 12 root directory with systemd and what the package depends on, made once and kept below the system's
/// cache. It is only ever read: every host writes to a layer of its own.
/// </summary>
internal sealed class HostImage
{
    /// <summary>Directory that overrides <c>/var/cache/kcore-test</c>.</summary>
    public const string CacheVariable = "KCORE_TEST_CACHE";

    /// <summary>Debian mirror that overrides deb.debian.org.</summary>
    public const string MirrorVariable = "KCORE_TEST_MIRROR";

    // Counts the ways an image was finished, so that a change here makes a new one.
    private const int Revision = 1;

    // One line per reason: an init, what the package depends on, what the tests look with.
    private static readonly string[] Packages =
    [
        "systemd", "systemd-sysv", "libpam-systemd", "dbus", "udev", "kmod", "init-system-helpers",
        "iproute2", "nftables", "dnsmasq-base", "libsqlite3-0", "libssl3", "libstdc++6", "libgcc-s1", "ca-certificates",
        "iputils-ping", "iputils-arping", "procps",
    ];

    // Clocks and terminals of a machine that lives for a minute.
    private static readonly string[] Masked =
    [
        "apt-daily.timer", "apt-daily-upgrade.timer", "e2scrub_all.timer", "e2scrub_reap.service", "fstrim.timer",
        "dpkg-db-backup.timer", "logrotate.timer", "man-db.timer", "console-getty.service", "getty@.service",
        "getty-static.service", "dev-hugepages.mount", "sys-kernel-debug.mount", "sys-kernel-tracing.mount",
        "sys-fs-fuse-connections.mount",
    ];

    private HostImage(string root) => Root = root;

    public string Root { get; }

    /// <summary>Finds the image, or makes it (half a minute, and the only step that needs a Debian mirror).</summary>
    public static async Task<HostImage> PrepareAsync()
    {
        string cache = Environment.GetEnvironmentVariable(CacheVariable) is { Length: > 0 } chosen
            ? chosen
            : "/var/cache/kcore-test";
        Directory.CreateDirectory(cache);

        // Two runs at once would bake twice; the second waits and finds the work done.
        await using FileStream held = await LockAsync(Path.Combine(cache, "lock"));
        string key = $"{Revision}\n{string.Join('\n', Packages)}\n{string.Join('\n', Masked)}";
        string directory = Path.Combine(cache, $"image-{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(key)))[..12]}");
        if (!Directory.Exists(directory))
        {
            string unfinished = directory + ".new";
            await RemoveAsync(unfinished);
            await BakeAsync(unfinished);
            foreach (string old in Directory.EnumerateDirectories(cache, "image-*"))
            {
                if (!string.Equals(old, unfinished, StringComparison.Ordinal))
                {
                    await RemoveAsync(old);
                }
            }

            Directory.Move(unfinished, directory);
        }

        return new HostImage(directory);
    }

    private static async Task BakeAsync(string root)
    {
        List<string> arguments =
            ["--quiet", "--variant=important", $"--include={string.Join(',', Packages)}", "bookworm", root];
        if (Environment.GetEnvironmentVariable(MirrorVariable) is { Length: > 0 } mirror)
        {
            arguments.Add(mirror);
        }

        Dictionary<string, string> environment = new(StringComparer.Ordinal) { ["DEBIAN_FRONTEND"] = "noninteractive" };
        (await Command.RunAsync("mmdebstrap", arguments, environment, limit: TimeSpan.FromMinutes(5))).OrThrow();

        // Empty, not absent: each host gets an id of its own, and none takes its boot for the first of an installation.
        await File.WriteAllTextAsync(Path.Combine(root, "etc/machine-id"), "");
        File.Delete(Path.Combine(root, "etc/hostname"));
        File.Delete(Path.Combine(root, "etc/resolv.conf"));
        Directory.CreateDirectory(Path.Combine(root, "var/log/journal"));
        string units = Path.Combine(root, "etc/systemd/system");
        foreach (string unit in Masked)
        {
            File.CreateSymbolicLink(Path.Combine(units, unit), "/dev/null");
        }

        // The machine's other devices show in every /sys; replaying them is none of the hosts' business.
        string trigger = Path.Combine(units, "systemd-udev-trigger.service.d");
        Directory.CreateDirectory(trigger);
        await File.WriteAllTextAsync(
            Path.Combine(trigger, "net-only.conf"),
            "[Service]\nExecStart=\nExecStart=-udevadm trigger --type=devices --action=add --subsystem-match=net\n");
    }

    private static async Task<FileStream> LockAsync(string path)
    {
        while (true)
        {
            try
            {
                return new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            }
            catch (IOException) when (File.Exists(path))
            {
                await Task.Delay(TimeSpan.FromMilliseconds(200));
            }
        }
    }

    // Not Directory.Delete: an unpacked Debian holds links and device nodes that it stumbles over.
    private static async Task RemoveAsync(string directory) =>
        (await Command.RunAsync("rm", ["-rf", "--one-file-system", directory])).OrThrow();
}

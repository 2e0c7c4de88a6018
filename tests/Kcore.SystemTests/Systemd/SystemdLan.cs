using System.Globalization;
using System.Net;

namespace Kcore.SystemTests.Systemd;

/// <summary>Several hosts on one switch, without a way out. Everything is gone when it is disposed of.</summary>
internal sealed class SystemdLan : IAsyncDisposable
{
    public const int PrefixLength = 24;

    private static readonly TimeSpan BootLimit = TimeSpan.FromSeconds(60);

    private readonly OwnedProcess _switch;
    private readonly List<SystemdHost> _hosts = [];

    private SystemdLan(OwnedProcess @switch) => _switch = @switch;

    /// <summary>The hosts' default router: the switch itself, which forwards nothing.</summary>
    public static IPAddress Router { get; } = AddressOf(254);

    public IReadOnlyList<SystemdHost> Hosts => _hosts;

    public static IPAddress AddressOf(int number) => new([10, 77, 0, (byte)number]);

    /// <summary>Says why hosts can't be booted here; null when they can.</summary>
    public static string? WhyNot()
    {
        if (!Environment.IsPrivilegedProcess)
        {
            return "booting hosts with systemd needs root";
        }

        string[] missing = [.. new[] { "systemd-nspawn", "mmdebstrap", "unshare", "nsenter", "setsid", "ip" }.Where(tool => !IsInstalled(tool))];
        if (missing.Length > 0)
        {
            return $"not installed: {string.Join(", ", missing)} (./dev setup installs them)";
        }

        return ControlGroups.Find() is null ? "no cgroup v2 hierarchy is mounted" : null;
    }

    public static async Task<SystemdLan> BootAsync(int hosts)
    {
        ControlGroups groups = ControlGroups.Find() ?? throw new InvalidOperationException(WhyNot());
        groups.SweepAbandoned();
        HostImage image = await HostImage.PrepareAsync();
        OwnedProcess cable = OwnedProcess.Start(
            HostScripts.Ready, ["--net"], HostScripts.Switch,
            [string.Create(CultureInfo.InvariantCulture, $"{Router}/{PrefixLength}")]);
        SystemdLan lan = new(cable);
        try
        {
            await cable.Cue;
            // Booted at once; those that came up are taken down again when one did not.
            Task<SystemdHost>[] boots =
                [.. Enumerable.Range(1, hosts).Select(number => SystemdHost.BootAsync(number, image, groups, cable.Pid, BootLimit))];
            await Task.WhenAll(boots).ContinueWith(
                _ => lan._hosts.AddRange(boots.Where(boot => boot.IsCompletedSuccessfully).Select(boot => boot.Result)),
                TaskScheduler.Default);
            await Task.WhenAll(boots);
            return lan;
        }
        catch
        {
            await lan.DisposeAsync();
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await Task.WhenAll(_hosts.Select(host => host.DisposeAsync().AsTask()));
        await _switch.DisposeAsync();
    }

    private static bool IsInstalled(string tool) =>
        (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Any(directory => File.Exists(Path.Combine(directory, tool)));
}

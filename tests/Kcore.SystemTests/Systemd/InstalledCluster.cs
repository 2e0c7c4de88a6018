using System.Security.Cryptography;
using System.Text.Json;
using Kcore.Contracts;
using Kcore.TestKit;
using Kcore.TestKit.Processes;

namespace Kcore.SystemTests.Systemd;

/// <summary>Three hosts with one cluster key and the package; nothing else is configured on them.</summary>
public sealed class InstalledCluster : IAsyncLifetime
{
    /// <summary>The group of all our devices, 0x6b63, as iproute2 prints and takes it.</summary>
    internal const string DeviceGroup = "27491";

    private const string PackageInHost = "/root/kcore.deb";

    private SystemdLan? _lan;
    private Task<NicInfo[]>? _guests;

    /// <summary>Null where hosts can't be booted; the tests are then skipped for the reason in <see cref="SystemdLan.WhyNot"/>.</summary>
    internal IReadOnlyList<SystemdHost> Hosts =>
        _lan?.Hosts ?? throw new SkipException(SystemdLan.WhyNot() ?? "no hosts were booted");

    public async Task InitializeAsync()
    {
        if (SystemdLan.WhyNot() is not null)
        {
            return;
        }

        string package = PackageFile.Find();
        string key = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(32)) + "\n";
        _lan = await SystemdLan.BootAsync(3);
        try
        {
            await Task.WhenAll(_lan.Hosts.Select(host => InstallAsync(host, package, key)));
        }
        catch
        {
            await _lan.DisposeAsync();
            throw;
        }
    }

    public async Task DisposeAsync()
    {
        if (_lan is not null)
        {
            await _lan.DisposeAsync();
        }
    }

    /// <summary>Waits until every node counts all three alive, in one cluster, with one catalog.</summary>
    internal async Task AgreeAsync(TimeSpan within)
    {
        try
        {
            await Until.SeenAsync(within, "three members alive on every host, one cluster, one digest", LookAsync);
        }
        catch (NotInTimeException e)
        {
            string[] journals = await Task.WhenAll(Hosts.Select(host => host.JournalAsync("kcored.service")));
            throw new InvalidOperationException($"{e.Message}\n{string.Join('\n', journals)}", e);
        }
    }

    private async Task<string?> LookAsync()
    {
        // Exit code 9 (degraded) still prints the report, so only the output counts here.
        CommandResult[] answers = await Task.WhenAll(Hosts.Select(host => host.TryAsync("kctl", "status", "-o", "json")));
        StatusReport[] reports = [.. answers.Select(a => JsonSerializer.Deserialize(a.Stdout, ApiJson.Default.StatusReport)!)];
        return reports.All(r => r.Members.Count(m => m.Status is "alive") == 3)
            && reports.Select(r => r.ClusterId).Distinct(StringComparer.Ordinal).Count() == 1
            && reports.Select(r => r.Digest).Distinct(StringComparer.Ordinal).Count() == 1
            ? null
            : string.Join('\n', answers.Select(a => a.ToString()));
    }

    /// <summary>
    /// Network <c>private</c>, and on every host a guest: a namespace with a NIC on it. Whichever test asks first makes
    /// them, and if that fails, the others fail at once with the same words. Tests of one cluster run one after the other.
    /// </summary>
    /// <returns>The guests' NICs, in the order of the hosts.</returns>
    internal Task<NicInfo[]> GuestsAsync() => _guests ??= ConnectGuestsAsync();

    private async Task<NicInfo[]> ConnectGuestsAsync()
    {
        await AgreeAsync(TimeSpan.FromSeconds(30));
        await Hosts[0].RunAsync(
            "kctl", "create", "network", "private", "--external-ip", Hosts[0].Address.ToString(),
            "--gateway-ip", "10.250.0.1", "--internal-netmask", "255.255.255.0", "--type", "vxlan");
        List<NicInfo> nics = [];
        foreach (SystemdHost host in Hosts)
        {
            await Until.SeenAsync(TimeSpan.FromSeconds(5), $"network private on {host.Name}", async () =>
                (await host.TryAsync("kctl", "get", "networks")).Stdout is var list && list.Contains("private", StringComparison.Ordinal)
                    ? null
                    : list);
            await host.RunAsync("ip", "netns", "add", "guest");
            string json = await host.RunAsync(
                "kctl", "attach", "nic", $"guest-{host.Name}", "--network", "private", "--netns", "guest", "-o", "json");
            nics.Add(JsonSerializer.Deserialize(json, ApiJson.Default.NicInfo)!);
        }

        return [.. nics];
    }

    /// <summary>The address of a NIC without its prefix length.</summary>
    internal static string AddressOf(NicInfo nic) =>
        nic.Address?.Split('/')[0] ?? throw new InvalidOperationException($"{nic.Name} has no address: {nic.Reason}");

    /// <summary>Runs <paramref name="meanwhile"/> under a ping every 10 ms from one host's guest and returns its last words.</summary>
    internal static async Task<string> PingWhileAsync(SystemdHost from, string address, Func<Task> meanwhile)
    {
        string log = Path.GetTempFileName();
        try
        {
            await using BackgroundProcess ping = from.Start(
                ["ip", "netns", "exec", "guest", "ping", "-q", "-i", "0.01", "-W", "1", address], log);
            await Task.Delay(TimeSpan.FromSeconds(1));
            await meanwhile();
            await Task.Delay(TimeSpan.FromSeconds(1));
            // From inside: nsenter does not pass signals on.
            await from.RunAsync("pkill", "-INT", "-x", "ping");
            await ping.WaitForExitAsync();
            return await File.ReadAllTextAsync(log);
        }
        finally
        {
            File.Delete(log);
        }
    }

    private static async Task InstallAsync(SystemdHost host, string package, string key)
    {
        Directory.CreateDirectory(host.PathOf("/etc/kcore"));
        string keyFile = host.PathOf("/etc/kcore/cluster.key");
        await using (FileStream file = new(keyFile, new FileStreamOptions
        {
            Mode = FileMode.CreateNew,
            Access = FileAccess.Write,
            UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
        }))
        {
            await file.WriteAsync(System.Text.Encoding.ASCII.GetBytes(key));
        }

        File.Copy(package, host.PathOf(PackageInHost));
        CommandResult installed = await host.TryAsync(["dpkg", "--install", PackageInHost], TimeSpan.FromMinutes(2));
        if (installed.ExitCode != 0)
        {
            throw new InvalidOperationException($"{installed}\n{await host.JournalAsync("kcored.service")}");
        }
    }
}

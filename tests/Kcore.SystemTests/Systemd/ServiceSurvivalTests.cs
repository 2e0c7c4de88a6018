using System.Text.Json;
using Kcore.Contracts;
using Kcore.TestKit;
using Kcore.TestKit.Processes;

namespace Kcore.SystemTests.Systemd;

/// <summary>The service comes back by itself from whatever happens to it, and guests do not notice what need not concern them.</summary>
[Collection(SystemdCollection.Name)]
public sealed class ServiceSurvivalTests(InstalledCluster cluster) : IClassFixture<InstalledCluster>
{
    private const string Unit = "kcored.service";
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    [SkippableFact]
    public async Task A_killed_daemon_is_started_again_and_no_packet_is_lost()
    {
        NicInfo[] nics = await cluster.GuestsAsync();
        SystemdHost host = cluster.Hosts[1];
        string before = await PropertyAsync(host, "MainPID");
        int restarts = int.Parse(await PropertyAsync(host, "NRestarts"), System.Globalization.CultureInfo.InvariantCulture);
        string links = await host.RunAsync("ip", "-o", "link", "show", "group", InstalledCluster.DeviceGroup);

        string said = await InstalledCluster.PingWhileAsync(host, InstalledCluster.AddressOf(nics[0]), async () =>
        {
            await host.RunAsync("kill", "-KILL", before);
            await RestartedAsync(host, before);
            await cluster.AgreeAsync(Patience);
        });

        Assert.Contains(" 0% packet loss", said, StringComparison.Ordinal);
        Assert.Equal($"{restarts + 1}", await PropertyAsync(host, "NRestarts"));
        await NothingToDoAsync(host);
        Assert.Equal(links, await host.RunAsync("ip", "-o", "link", "show", "group", InstalledCluster.DeviceGroup));
    }

    [SkippableFact]
    public async Task A_daemon_that_hangs_is_replaced_by_the_watchdog_and_no_packet_is_lost()
    {
        NicInfo[] nics = await cluster.GuestsAsync();
        SystemdHost host = cluster.Hosts[1];
        const string DropIn = "/run/systemd/system/kcored.service.d/watchdog.conf";
        Directory.CreateDirectory(host.PathOf("/run/systemd/system/kcored.service.d"));
        await File.WriteAllTextAsync(host.PathOf(DropIn), "[Service]\nWatchdogSec=2\n");
        try
        {
            await host.RunAsync("systemctl", "daemon-reload");
            await host.RunAsync("systemctl", "restart", Unit);
            string before = await PropertyAsync(host, "MainPID");

            // Fed in time, it lets a healthy daemon live.
            await Task.Delay(TimeSpan.FromSeconds(5));
            Assert.Equal(before, await PropertyAsync(host, "MainPID"));

            string said = await InstalledCluster.PingWhileAsync(host, InstalledCluster.AddressOf(nics[0]), async () =>
            {
                await host.RunAsync("kill", "-STOP", before);
                await RestartedAsync(host, before);
                await cluster.AgreeAsync(Patience);
            });
            Assert.Contains(" 0% packet loss", said, StringComparison.Ordinal);
            Assert.Contains("Watchdog timeout", await host.JournalAsync(Unit), StringComparison.Ordinal);
        }
        finally
        {
            File.Delete(host.PathOf(DropIn));
            await host.RunAsync("systemctl", "daemon-reload");
            await host.RunAsync("systemctl", "restart", Unit);
        }
    }

    [SkippableFact]
    public async Task A_mistake_in_the_configuration_is_named_and_not_tried_again_and_again()
    {
        await cluster.GuestsAsync();
        SystemdHost host = cluster.Hosts[2];
        string file = host.PathOf("/etc/kcore/kcored.yaml");
        string shipped = await File.ReadAllTextAsync(file);
        try
        {
            await File.WriteAllTextAsync(file, shipped.Replace("cluster:\n", "cluster:\n  gosipPort: 7946\n", StringComparison.Ordinal));
            Assert.NotEqual(0, (await host.TryAsync("systemctl", "restart", Unit)).ExitCode);
            await Task.Delay(TimeSpan.FromSeconds(2));
            Assert.Equal("failed", await PropertyAsync(host, "ActiveState"));
            Assert.Contains("unknown setting 'cluster.gosipPort'", await host.JournalAsync(Unit), StringComparison.Ordinal);
        }
        finally
        {
            await File.WriteAllTextAsync(file, shipped);
            await host.RunAsync("systemctl", "restart", Unit);
        }

        await cluster.AgreeAsync(Patience);
        await NothingToDoAsync(host);
    }

    [SkippableFact]
    public async Task A_host_that_lost_power_comes_back_with_its_leases_and_its_guests()
    {
        NicInfo[] nics = await cluster.GuestsAsync();
        // The one that hands out the addresses: the others have to do without it meanwhile, and it has to find its log again.
        StatusReport status = JsonSerializer.Deserialize(
            await cluster.Hosts[0].RunAsync("kctl", "status", "-o", "json"), ApiJson.Default.StatusReport)!;
        int index = cluster.Hosts.ToList().FindIndex(host => host.Name == status.Consensus.Leader);
        Assert.True(index >= 0, $"no leader: {status.Consensus}");
        SystemdHost host = cluster.Hosts[index];
        SystemdHost other = cluster.Hosts[(index + 1) % 3];
        NicInfo tap = Nic(await host.RunAsync("kctl", "attach", "nic", "vm", "--network", "private", "-o", "json"));

        await host.PowerCycleAsync(TimeSpan.FromSeconds(60));
        await cluster.AgreeAsync(Patience);

        // The TAP is back before anybody asks, under the same name; the namespace was the guest's, and is the guest's to make.
        await Until.SeenAsync(Patience, "the TAP is back on its bridge", async () =>
        {
            CommandResult link = await host.TryAsync("ip", "link", "show", "dev", tap.Device);
            return link.Stdout.Contains("master kbr-private", StringComparison.Ordinal) ? null : link.ToString();
        });
        await host.RunAsync("ip", "netns", "add", "guest");
        string address = InstalledCluster.AddressOf(nics[index]);
        await Until.SeenAsync(Patience, "the guest has its interface again", async () =>
        {
            CommandResult seen = await host.InNetnsAsync("guest", "ip", "-o", "address", "show", "dev", "eth0");
            return seen.Stdout.Contains($" {address}/24 ", StringComparison.Ordinal) ? null : seen.ToString();
        });
        CommandResult ping = await other.InNetnsAsync("guest", "ping", "-c", "3", "-i", "0.1", "-W", "2", address);
        Assert.True(ping.ExitCode == 0, ping.ToString());

        NicInfo[] after = JsonSerializer.Deserialize(
            await host.RunAsync("kctl", "get", "nics", "-o", "json"), ApiJson.Default.ImmutableArrayNicInfo).ToArray();
        foreach (NicInfo expected in nics.Append(tap))
        {
            NicInfo seen = Assert.Single(after, nic => nic.Name == expected.Name);
            Assert.Equal((expected.Address, expected.Mac, expected.AttachmentId), (seen.Address, seen.Mac, seen.AttachmentId));
        }

        // Addresses are given out again, and not one that is taken.
        NicInfo next = Nic(await other.RunAsync("kctl", "attach", "nic", "next", "--network", "private", "-o", "json"));
        Assert.DoesNotContain(next.Address, after.Select(nic => nic.Address));
        await other.RunAsync("kctl", "detach", "nic", "next", "--network", "private");
        await host.RunAsync("kctl", "detach", "nic", "vm", "--network", "private");
        await NothingToDoAsync(host);
    }

    private static NicInfo Nic(string json) => JsonSerializer.Deserialize(json, ApiJson.Default.NicInfo)!;

    private static async Task<string> PropertyAsync(SystemdHost host, string name) =>
        (await host.RunAsync("systemctl", "show", "-P", name, Unit)).Trim();

    private static Task RestartedAsync(SystemdHost host, string before) =>
        Until.SeenAsync(Patience, "systemd has started the daemon again", async () =>
        {
            string state = await host.RunAsync("systemctl", "show", "--property=ActiveState,SubState,MainPID", Unit);
            return state.Contains("SubState=running", StringComparison.Ordinal) && !state.Contains($"MainPID={before}\n", StringComparison.Ordinal)
                ? null
                : state;
        });

    private static Task NothingToDoAsync(SystemdHost host) =>
        Until.SeenAsync(Patience, "an empty plan", async () =>
            await host.TryAsync("kctl", "plan") is { ExitCode: not 0 } plan ? plan.ToString() : null);
}

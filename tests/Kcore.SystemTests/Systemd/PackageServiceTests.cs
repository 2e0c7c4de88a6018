using Kcore.Contracts;
using Kcore.TestKit;
using Kcore.TestKit.Processes;

namespace Kcore.SystemTests.Systemd;

/// <summary>The package on three hosts: they become one cluster by themselves and carry guests.</summary>
[Collection(SystemdCollection.Name)]
public sealed class PackageServiceTests(InstalledCluster cluster) : IClassFixture<InstalledCluster>
{
    [SkippableFact]
    public async Task The_service_reports_its_readiness_and_has_a_watchdog()
    {
        foreach (SystemdHost host in cluster.Hosts)
        {
            string properties = await host.RunAsync(
                "systemctl", "show", "kcored.service", "--property=Type,ActiveState,UnitFileState,WatchdogUSec,KillMode,NRestarts");
            Assert.True(
                properties.Split('\n', StringSplitOptions.RemoveEmptyEntries).ToHashSet(StringComparer.Ordinal).SetEquals(
                [
                    "Type=notify", "ActiveState=active", "UnitFileState=enabled", "WatchdogUSec=30s", "KillMode=process", "NRestarts=0",
                ]),
                properties + await host.JournalAsync("kcored.service"));
        }
    }

    [SkippableFact]
    public async Task The_socket_is_for_the_group_and_the_state_for_root()
    {
        SystemdHost host = cluster.Hosts[0];
        Assert.Equal("root kcore 660\n", await host.RunAsync("stat", "-c", "%U %G %a", "/run/kcore/kcored.sock"));
        Assert.Equal("root 700\n", await host.RunAsync("stat", "-c", "%U %a", "/var/lib/kcore"));
        Assert.Equal("root 600\n", await host.RunAsync("stat", "-c", "%U %a", "/etc/kcore/cluster.key"));

        // nobody asks, once without and once with the group.
        const int PermissionDenied = 5;
        CommandResult refused = await host.TryAsync("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "kctl", "get", "networks");
        Assert.True(refused.ExitCode == PermissionDenied, refused.ToString());
        await host.RunAsync("setpriv", "--reuid=65534", "--regid=65534", "--groups=kcore", "kctl", "get", "networks");
    }

    [SkippableFact]
    public async Task Nodes_with_one_key_find_each_other_and_their_guests_reach_each_other()
    {
        NicInfo[] nics = await cluster.GuestsAsync();

        Assert.Equal(["10.250.0.2/24", "10.250.0.3/24", "10.250.0.4/24"], nics.Select(nic => nic.Address));
        foreach (SystemdHost host in cluster.Hosts)
        {
            foreach (NicInfo nic in nics)
            {
                CommandResult ping = await host.InNetnsAsync("guest", "ping", "-c", "3", "-i", "0.1", "-W", "2", InstalledCluster.AddressOf(nic));
                Assert.True(ping.ExitCode == 0, ping.ToString());
            }
        }
    }

    [SkippableFact]
    public async Task Every_command_answers_on_every_host_and_a_deleted_network_leaves_no_device()
    {
        await cluster.GuestsAsync();
        SystemdHost first = cluster.Hosts[0];
        string[] before = await Task.WhenAll(cluster.Hosts.Select(OurDevicesAsync));
        await first.RunAsync("kctl", "create", "network", "second", "--gateway-ip", "10.251.0.1", "--type", "vxlan", "--wait");
        Assert.Contains("NetworkCreated", await first.RunAsync("kctl", "events"), StringComparison.Ordinal);
        foreach (SystemdHost host in cluster.Hosts)
        {
            await host.RunAsync("kctl", "attach", "nic", $"vm-{host.Name}", "--network", "second");
            await host.RunAsync("kctl", "status");
            Assert.Contains("second", await host.RunAsync("kctl", "get", "networks"), StringComparison.Ordinal);
            Assert.Contains(host.Name, await host.RunAsync("kctl", "get", "nodes"), StringComparison.Ordinal);
            Assert.Contains($"vm-{host.Name}", await host.RunAsync("kctl", "get", "nics", "--network", "second"), StringComparison.Ordinal);
            Assert.Contains("10.251.0.1", await host.RunAsync("kctl", "describe", "network", "second"), StringComparison.Ordinal);
            Assert.Contains("eth0", await host.RunAsync("kctl", "describe", "node"), StringComparison.Ordinal);
            // Every node tells what it did itself.
            Assert.Contains($"NIC vm-{host.Name} on second has 10.251.0.", await host.RunAsync("kctl", "events"), StringComparison.Ordinal);
            Assert.Contains("second", (await host.RunAsync("kctl", "get", "networks", "-o", "name")).Split('\n'));

            // udev has seen every device of ours and changed none, or the plan would want to change it back.
            await host.RunAsync("udevadm", "settle");
            foreach (string device in await DevicesAsync(host))
            {
                Assert.Contains(
                    "/systemd/network/50-kcore.link\n",
                    await host.RunAsync("udevadm", "info", "--query=property", $"/sys/class/net/{device}"),
                    StringComparison.Ordinal);
            }

            await EmptyPlanAsync(host);
            Assert.Contains(" 0 repairs", await host.RunAsync("kctl", "status"), StringComparison.Ordinal);
        }

        foreach (SystemdHost host in cluster.Hosts)
        {
            await host.RunAsync("kctl", "detach", "nic", $"vm-{host.Name}", "--network", "second");
        }

        await first.RunAsync("kctl", "delete", "network", "second");
        for (int i = 0; i < before.Length; i++)
        {
            SystemdHost host = cluster.Hosts[i];
            string expected = before[i];
            await Until.SeenAsync(TimeSpan.FromSeconds(5), $"the devices on {host.Name} as before", async () =>
                await OurDevicesAsync(host) is var seen && string.Equals(seen, expected, StringComparison.Ordinal) ? null : seen);
        }
    }

    [SkippableTheory]
    [InlineData("kbr-probe", "bridge")]
    [InlineData("kb-8dd1fe39", "bridge")]
    [InlineData("vxlan15999", "vxlan", "id", "15999", "dstport", "4789")]
    [InlineData("kv-8dd1fe39", "veth")]
    [InlineData("tap-0123abcd", "veth")]
    public async Task Udev_keeps_its_hands_off_devices_with_our_names(string device, params string[] kind)
    {
        SystemdHost host = cluster.Hosts[2];
        await host.RunAsync(["ip", "link", "add", device, "type", .. kind]);
        try
        {
            await host.RunAsync("udevadm", "settle");
            string properties = await host.RunAsync("udevadm", "info", "--query=property", $"/sys/class/net/{device}");
            Assert.Contains("/systemd/network/50-kcore.link\n", properties, StringComparison.Ordinal);
            // 1: still the kernel's random one (NET_ADDR_RANDOM); udev's own would be 3 (NET_ADDR_SET).
            Assert.Equal("1\n", await host.RunAsync("cat", $"/sys/class/net/{device}/addr_assign_type"));
        }
        finally
        {
            await host.RunAsync("ip", "link", "delete", device);
        }
    }

    [SkippableFact]
    public async Task Networkd_keeps_its_hands_off_even_where_a_wildcard_matches()
    {
        SystemdHost host = cluster.Hosts[2];
        await File.WriteAllTextAsync(
            host.PathOf("/etc/systemd/network/90-wildcard.network"),
            "[Match]\nName=kbr-* other-*\n\n[Network]\nAddress=192.0.2.1/24\nLinkLocalAddressing=no\nConfigureWithoutCarrier=yes\n");
        await host.RunAsync("systemctl", "start", "systemd-networkd.service");
        try
        {
            await host.RunAsync("ip", "link", "add", "kbr-probe", "type", "bridge");
            await host.RunAsync("ip", "link", "add", "other-probe", "type", "bridge");
            await Until.SeenAsync(TimeSpan.FromSeconds(10), "networkd configures the bridge that is not ours", async () =>
                await host.RunAsync("ip", "-4", "-o", "address", "show", "dev", "other-probe") is { Length: > 0 } ? null : "no address");
            Assert.Equal("", await host.RunAsync("ip", "-4", "-o", "address", "show", "dev", "kbr-probe"));
            Assert.Contains("unmanaged", await host.RunAsync("networkctl", "--no-legend", "list", "kbr-probe"), StringComparison.Ordinal);
        }
        finally
        {
            await host.TryAsync("ip", "link", "delete", "kbr-probe");
            await host.TryAsync("ip", "link", "delete", "other-probe");
            await host.RunAsync("systemctl", "stop", "systemd-networkd.service", "systemd-networkd.socket");
        }
    }

    [SkippableFact]
    public async Task A_nic_without_a_namespace_is_a_tap_on_the_bridge()
    {
        await cluster.GuestsAsync();
        SystemdHost host = cluster.Hosts[2];
        NicInfo nic = await TapAsync(host, "web-01");
        // Values of section 1 of the naming rules.
        Assert.Equal("tap-0b9d9f06", nic.Device);
        Assert.Contains("tun type tap", await host.RunAsync("ip", "-d", "link", "show", "dev", nic.Device), StringComparison.Ordinal);
        Assert.Contains("master kbr-private", await host.RunAsync("ip", "link", "show", "dev", nic.Device), StringComparison.Ordinal);
        await host.RunAsync("kctl", "detach", "nic", "web-01", "--network", "private");
        Assert.NotEqual(0, (await host.TryAsync("ip", "link", "show", "dev", nic.Device)).ExitCode);
    }

    [SkippableFact]
    public async Task Restarting_and_reinstalling_the_daemon_loses_no_packet()
    {
        NicInfo[] nics = await cluster.GuestsAsync();
        SystemdHost host = cluster.Hosts[0];
        string before = await host.RunAsync("systemctl", "show", "-P", "MainPID", "kcored.service");
        string said = await InstalledCluster.PingWhileAsync(host, InstalledCluster.AddressOf(nics[1]), async () =>
        {
            await host.RunAsync("systemctl", "restart", "kcored.service");
            await cluster.AgreeAsync(TimeSpan.FromSeconds(30));
            (await host.TryAsync(["dpkg", "--install", "/root/kcore.deb"], TimeSpan.FromMinutes(2))).OrThrow();
            await cluster.AgreeAsync(TimeSpan.FromSeconds(30));
        });
        Assert.NotEqual(before, await host.RunAsync("systemctl", "show", "-P", "MainPID", "kcored.service"));
        Assert.Contains(" 0% packet loss", said, StringComparison.Ordinal);
        await EmptyPlanAsync(host);
    }

    private static Task<string> OurDevicesAsync(SystemdHost host) =>
        host.RunAsync("ip", "-o", "link", "show", "group", InstalledCluster.DeviceGroup);

    private static async Task<string[]> DevicesAsync(SystemdHost host) =>
        [.. (await OurDevicesAsync(host)).Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => line.Split([':', '@'])[1].Trim())];

    private static Task EmptyPlanAsync(SystemdHost host) =>
        Until.SeenAsync(TimeSpan.FromSeconds(10), $"an empty plan on {host.Name}", async () =>
            await host.TryAsync("kctl", "plan") is { ExitCode: not 0 } plan ? plan.ToString() : null);

    private static async Task<NicInfo> TapAsync(SystemdHost host, string name) =>
        System.Text.Json.JsonSerializer.Deserialize(
            await host.RunAsync("kctl", "attach", "nic", name, "--network", "private", "-o", "json"),
            ApiJson.Default.NicInfo)!;
}

using System.Text.Json;
using Kcore.Contracts;
using Kcore.TestKit.Processes;

namespace Kcore.SystemTests.Systemd;

/// <summary>Behaviour 75: removal takes nobody's connectivity; purge takes everything of ours and nothing else.</summary>
[Collection(SystemdCollection.Name)]
public sealed class PackageRemovalTests(InstalledCluster cluster) : IClassFixture<InstalledCluster>
{
    [SkippableFact]
    public async Task Removal_leaves_guests_connected_and_purge_restores_the_host()
    {
        SystemdHost host = cluster.Hosts[0];
        NicInfo[] nics = await cluster.GuestsAsync();

        // Beside the overlay and the network default, one with a published port.
        await host.RunAsync("kctl", "create", "network", "inside", "--type", "nat", "--gateway-ip", "10.82.0.1", "--target-node", host.Name, "--publish", "8080:web:80", "--wait", "--timeout", "20s");

        // Foreign objects of the kinds that purge takes away.
        await host.RunAsync("ip", "link", "add", "br-foreign", "type", "bridge");
        await host.RunAsync("nft", "add", "table", "inet", "foreign");

        string said = await InstalledCluster.PingWhileAsync(host, InstalledCluster.AddressOf(nics[2]), async () =>
        {
            CommandResult removed = await host.TryAsync(["dpkg", "--remove", "kcore"], TimeSpan.FromMinutes(1));
            Assert.True(removed.ExitCode == 0, removed.ToString());
            Assert.Contains("keep forwarding", removed.Stdout, StringComparison.Ordinal);
            Assert.Equal(3, (await host.TryAsync("systemctl", "is-active", "kcored.service")).ExitCode);
            Assert.False(File.Exists(host.PathOf("/usr/sbin/kcored")));
        });
        Assert.Contains(" 0% packet loss", said, StringComparison.Ordinal);
        Assert.True(File.Exists(host.PathOf("/etc/kcore/cluster.key")));
        Assert.NotEqual("", await host.RunAsync("ip", "-o", "link", "show", "group", InstalledCluster.DeviceGroup));

        string journal = host.PathOf("/var/lib/kcore/sysctl.json");
        string before = File.Exists(journal)
            ? JsonDocument.Parse(await File.ReadAllTextAsync(journal)).RootElement.GetProperty("net/ipv4/ip_forward").GetProperty("Before").GetString()!
            : "1";
        Assert.Equal("1\n", await host.RunAsync("cat", "/proc/sys/net/ipv4/ip_forward"));

        CommandResult purged = await host.TryAsync(["dpkg", "--purge", "kcore"], TimeSpan.FromMinutes(1));
        Assert.True(purged.ExitCode == 0, purged.ToString());
        Assert.Equal("", await host.RunAsync("ip", "-o", "link", "show", "group", InstalledCluster.DeviceGroup));
        Assert.Equal($"{before}\n", await host.RunAsync("cat", "/proc/sys/net/ipv4/ip_forward"));
        Assert.Equal("table inet foreign\n", await host.RunAsync("nft", "list", "tables"));
        await host.RunAsync("ip", "link", "show", "dev", "br-foreign");
        Assert.Equal("", (await host.TryAsync("systemctl", "list-units", "--all", "--plain", "--no-legend", "kcore-*")).Stdout);
        Assert.Equal("", (await host.TryAsync("pgrep", "-l", "dnsmasq|wireguard-go")).Stdout);
        Assert.DoesNotContain("kbr-", await host.RunAsync("ip", "-4", "route", "show", "table", "all"), StringComparison.Ordinal);
        Assert.DoesNotContain("kcore", await host.RunAsync("ip", "rule"), StringComparison.Ordinal);
        foreach (string gone in (string[])["/etc/kcore", "/var/lib/kcore", "/run/kcore", "/usr/lib/kcore"])
        {
            Assert.False(Directory.Exists(host.PathOf(gone)), gone);
        }

        // The other two are none the wiser.
        CommandResult ping = await cluster.Hosts[1].InNetnsAsync(
            "guest", "ping", "-c", "3", "-i", "0.1", "-W", "2", InstalledCluster.AddressOf(nics[2]));
        Assert.True(ping.ExitCode == 0, ping.ToString());
    }
}

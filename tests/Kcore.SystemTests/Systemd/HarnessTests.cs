using Kcore.TestKit.Processes;

namespace Kcore.SystemTests.Systemd;

/// <summary>What the tests of the package rest on: these are hosts, not processes in a tree.</summary>
[Collection(SystemdCollection.Name)]
public sealed class HarnessTests
{
    [SkippableFact]
    public async Task Hosts_boot_reach_each_other_and_leave_nothing_behind()
    {
        Skip.If(SystemdLan.WhyNot() is not null, SystemdLan.WhyNot());
        int leader;
        string directory;
        await using (SystemdLan lan = await SystemdLan.BootAsync(2))
        {
            SystemdHost first = lan.Hosts[0];
            leader = first.Leader;
            directory = $"/run/kcore-test/{Environment.ProcessId}-{first.Name}";
            foreach (SystemdHost host in lan.Hosts)
            {
                Assert.Equal("running\n", await host.RunAsync("systemctl", "is-system-running", "--wait"));
                Assert.Equal("active\n", await host.RunAsync("systemctl", "is-active", "systemd-udevd.service"));
                Assert.Equal(host.Name + "\n", await host.RunAsync("hostname"));
            }

            Assert.NotEqual(await first.RunAsync("cat", "/etc/machine-id"), await lan.Hosts[1].RunAsync("cat", "/etc/machine-id"));
            await first.RunAsync("ping", "-c", "2", "-i", "0.1", "-W", "2", lan.Hosts[1].Address.ToString());

            // udev is at work: this is its MACAddressPolicy=persistent, which a bare namespace does not have.
            await first.RunAsync("ip", "link", "add", "br-udev", "type", "bridge");
            await first.RunAsync("udevadm", "settle");
            Assert.Equal("3\n", await first.RunAsync("cat", "/sys/class/net/br-udev/addr_assign_type"));
        }

        // Its number may stand in the process table until init has read its exit code; its root directory may not.
        Assert.False(Directory.Exists($"/proc/{leader}/root/etc"));
        Assert.False(Directory.Exists(directory));
        CommandResult groups = await Command.RunAsync("find", ["/sys/fs/cgroup", "-maxdepth", "2", "-name", $"kcore-test-{Environment.ProcessId}-*"]);
        Assert.Equal("", groups.Stdout);
    }
}

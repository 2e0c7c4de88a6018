using Kcore.SystemTests.Lab;
using Kcore.TestKit;
using Kcore.TestKit.Lan;
using Kcore.TestKit.Processes;
using Xunit.Abstractions;

namespace Kcore.SystemTests.Overlay;

/// <summary>Behaviours 16 and 17: what an overlay takes from the network it runs on, and how it follows it.</summary>
public sealed class UnderlayTests(ITestOutputHelper output)
{
    [SkippableFact]
    public Task B016_B017_Jumbo_frames_reach_the_guests_and_an_address_that_changes_is_followed_in_place() => OwnLan.OnAsync(3, output, async lan =>
    {
        foreach (LanNode node in lan.Nodes)
        {
            await Command.OutputAsync("ip", "-n", lan.Switch, "link", "set", "p" + node.Address.Split('.')[^1], "mtu", "9000");
            await Command.OutputAsync("ip", "-n", node.Namespace, "link", "set", "eth0", "mtu", "9000");
            node.Start(new DaemonSettings { Mdns = true });
        }

        await NodeLan.OneClusterAsync(lan.Nodes, TimeSpan.FromSeconds(60));
        await using TestNetwork network = await TestNetwork.CreateAsync(lan, lan.Nodes, "jumbo", "10.67.0");
        Guest a = await network.AttachAsync(lan.Nodes[0], "ja");
        Guest b = await network.AttachAsync(lan.Nodes[1], "jb");
        await network.AttachAsync(lan.Nodes[2], "jc");
        await network.ForwardingIsExactAsync(TimeSpan.FromSeconds(3));
        foreach (LanNode node in lan.Nodes)
        {
            foreach (string device in (string[])[network.Vxlan, network.Bridge])
            {
                Assert.Equal(8950, (await Link.FindAsync(node.Namespace, device))!.Mtu);
            }
        }

        Assert.Equal((8950, 8950), (a.Nic.Mtu, (await Link.FindAsync(a.Namespace, "eth0"))!.Mtu));
        CommandResult full = await a.ExecAsync("ping", "-n", "-c", "2", "-W", "2", "-M", "do", "-s", "8922", b.Address);
        Assert.True(full.ExitCode == 0, full.ToString());

        // The host of b moves to another address: the old one is gone from one moment to the next.
        LanNode moved = lan.Nodes[1];
        const string To = "10.77.0.122";
        string indexes = await network.IndexesAsync();
        await Command.OutputAsync("ip", "-n", moved.Namespace, "addr", "del", moved.Address + "/24", "dev", "eth0");
        await Command.OutputAsync("ip", "-n", moved.Namespace, "addr", "add", To + "/24", "dev", "eth0");
        await Command.OutputAsync("ip", "-n", moved.Namespace, "route", "replace", "default", "via", "10.77.0.254");
        TimeSpan took = await Until.SeenAsync(TimeSpan.FromSeconds(10), "every node sends to the new address, and the moved one from it", async () =>
        {
            string? local = (string?)(await Link.FindAsync(moved.Namespace, network.Vxlan))!.Data?["local"];
            if (local != To)
            {
                return $"the tunnel of {moved.Name} has the address {local}";
            }

            foreach (LanNode node in lan.Nodes.Where(n => n != moved))
            {
                IReadOnlyList<FdbEntry> fdb = await FdbEntry.OfAsync(node.Namespace, network.Vxlan);
                if (fdb.Any(e => e.Destination == moved.Address) || fdb.Count(e => e.Destination == To) != 2)
                {
                    return $"{node.Name}: {string.Join("; ", fdb)}";
                }
            }

            return null;
        });
        await Until.SeenAsync(TimeSpan.FromSeconds(2), "guests reach each other again", async () =>
            (await a.ExecAsync("ping", "-n", "-c", "1", "-W", "1", b.Address)).ExitCode == 0 ? null : "no answer");
        output.WriteLine($"followed {took.TotalSeconds:0.0} s after the address changed");
        Assert.Equal(indexes, await network.IndexesAsync());
        await Until.SeenAsync(TimeSpan.FromSeconds(10), "the change is an event", async () =>
            (await lan.Nodes[0].EventsAsync()).Any(e => e.Type == "AddressChanged" && e.Message.Contains(To, StringComparison.Ordinal)) ? null : "there is none");
    });
}

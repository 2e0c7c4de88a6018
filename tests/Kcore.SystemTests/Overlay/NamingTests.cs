using Kcore.Contracts;
using Kcore.SystemTests.Lab;
using Kcore.TestKit;
using Kcore.TestKit.Lan;
using Kcore.TestKit.Processes;
using Xunit.Abstractions;

namespace Kcore.SystemTests.Overlay;

/// <summary>Behaviours 1 to 9 and 114 on nodes that are alone: derived names, and devices that are not ours.</summary>
public sealed class NamingTests(ITestOutputHelper output)
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(8);

    // The worked values of the table the formula is documented with.
    private static readonly (string Name, uint Vni)[] Worked = [("prod", 14458), ("private", 14416), ("lan", 13920), ("a", 13670)];

    [SkippableFact]
    public Task B001_B002_B003_B004_B005_B006_B007_Two_nodes_that_never_met_derive_the_same_names() => OwnLan.OnAsync(2, output, async lan =>
    {
        await AloneAsync(lan.Nodes);
        string[] all = [.. Worked.Select(w => w.Name), "eleven-char", "twelve-chars"];
        foreach (LanNode node in lan.Nodes)
        {
            for (int i = 0; i < all.Length; i++)
            {
                (await node.KctlAsync("create", "network", all[i], "--type", "vxlan", "--gateway-ip", $"10.{70 + i}.0.1", "--wait", "--timeout", "15s")).OrThrow();
            }

            foreach ((string name, uint vni) in Worked)
            {
                string shown = await Command.OutputAsync("ip", "-n", node.Namespace, "-d", "link", "show", "dev", $"vxlan{vni}");
                Assert.Contains($" id {vni} ", shown, StringComparison.Ordinal);
                Assert.Contains(" dstport 4789 ", shown, StringComparison.Ordinal);
                Assert.Contains($" master kbr-{name} ", shown, StringComparison.Ordinal);
            }

            // Eleven characters are the most that fit with the prefix; nothing is ever cut off.
            foreach ((string name, string bridge) in ((string, string)[])[("eleven-char", "kbr-eleven-char"), ("twelve-chars", "kb-8dd1fe39")])
            {
                Assert.NotNull(await Link.FindAsync(node.Namespace, bridge));
                Assert.Contains(
                    (await node.KctlAsync("get", "networks", "-o", "json")).OrThrow().Read(ApiJson.Default.ImmutableArrayNetworkSummary), n => n.Name == name && n.Bridge == bridge);
                Assert.Contains(bridge, (await node.KctlAsync("get", "networks")).OrThrow().Stdout, StringComparison.Ordinal);
                Assert.Contains(bridge, (await node.KctlAsync("describe", "network", name)).OrThrow().Stdout, StringComparison.Ordinal);
            }

            NicInfo first = await AttachAsync(node, "web-01", "private");
            NicInfo second = await AttachAsync(node, "web-01", "prod");
            NicInfo given = await AttachAsync(node, "web-02", "prod", "--mac", "52:54:00:AA:0B:FF");
            Assert.Equal(("tap-0b9d9f06", "52:54:00:0b:9d:9f"), (first.Device, first.Mac));
            Assert.Equal(("tap-768da336", "52:54:00:76:8d:a3"), (second.Device, second.Mac));
            Assert.Equal("52:54:00:aa:0b:ff", given.Mac);
            Assert.Equal("kbr-private", (await Link.FindAsync(node.Namespace, first.Device))!.Master);
            Assert.Equal("kbr-prod", (await Link.FindAsync(node.Namespace, second.Device))!.Master);

            KctlResult collides = await node.KctlAsync("attach", "nic", "other", "--network", "private", "--mac", "52:54:00:0B:9D:9F");
            Assert.True(
                collides.ExitCode == 4 && collides.Stderr.Contains("AlreadyExists", StringComparison.Ordinal) && collides.Stderr.Contains("web-01", StringComparison.Ordinal),
                collides.ToString());
        }
    });

    [SkippableFact]
    public Task B009_B114_What_carries_our_mark_is_cleaned_up_and_what_only_has_such_a_name_is_neither_taken_nor_touched() => OwnLan.OnAsync(1, output, async lan =>
    {
        LanNode node = lan.Nodes[0];
        string[] foreign =
        [
            "kbr-lan type bridge", "kbr-mine type bridge", "vxlan13670 type vxlan id 999 dstport 4790 local 10.77.0.1",
            "vx1 type vxlan id 14458 dstport 4789 local 10.77.0.1", "tap-0b9d9f06 type bridge",
        ];
        foreach (string device in foreign)
        {
            await IpAsync(node, ["link", "add", .. device.Split(' ')]);
        }

        // What a crash of an earlier daemon may leave.
        await IpAsync(node, "link", "add", "kbr-orphan", "group", "27491", "type", "bridge");
        await IpAsync(node, "link", "add", "vxlan15999", "group", "27491", "type", "vxlan", "id", "15999", "dstport", "4789", "local", "10.77.0.1");
        string before = await ForeignAsync(node);
        await AloneAsync(lan.Nodes);
        await Until.SeenAsync(Soon, "the orphans are gone", async () =>
            (await Link.AllAsync(node.Namespace)).Where(l => l.Name is "kbr-orphan" or "vxlan15999").Select(l => l.Name).ToArray() is { Length: > 0 } left ? string.Join(' ', left) : null);

        (string Network, string Device, string Gateway)[] blocked = [("lan", "kbr-lan", "10.71.0.1"), ("a", "vxlan13670", "10.72.0.1"), ("prod", "vx1", "10.73.0.1")];
        foreach ((string network, string device, string gateway) in blocked)
        {
            (await node.KctlAsync("create", "network", network, "--type", "vxlan", "--gateway-ip", gateway)).OrThrow();
            await Until.SeenAsync(Soon, $"{network} fails because of {device}", async () =>
                (await node.DescribeNetworkAsync(network)).Nodes.SingleOrDefault() is { } at && at.State == "Failed" && at.Reason?.Contains(device, StringComparison.Ordinal) == true
                    ? null : (await node.KctlAsync("describe", "network", network)).Stdout);
        }

        // A device in the place of a guest's is the failure of that NIC alone.
        (await node.KctlAsync("create", "network", "private", "--type", "vxlan", "--gateway-ip", "10.74.0.1", "--wait", "--timeout", "15s")).OrThrow();
        KctlResult nic = await node.KctlAsync("attach", "nic", "web-01", "--network", "private");
        Assert.True(nic.ExitCode == 4 && nic.Stderr.Contains("tap-0b9d9f06", StringComparison.Ordinal), nic.ToString());
        (await node.KctlAsync("detach", "nic", "web-01", "--network", "private")).OrThrow();
        Assert.Equal(before, await ForeignAsync(node));

        // Out of the way, the network is made; deleting the networks leaves what stands.
        await IpAsync(node, "link", "del", "kbr-lan");
        await Until.SeenAsync(Soon, "lan is ready", async () => (await node.DescribeNetworkAsync("lan")).Nodes.Single() is { State: "Ready" } ? null : "it is not");
        foreach (string network in (string[])[.. blocked.Select(b => b.Network), "private"])
        {
            (await node.KctlAsync("delete", "network", network)).OrThrow();
        }

        string rest = string.Join('\n', before.Split('\n').Where(l => !l.Contains("kbr-lan", StringComparison.Ordinal)));
        await Until.SeenAsync(Soon, "only what is foreign is left", async () =>
            (await Link.AllAsync(node.Namespace)).Any(l => l.Name is "kbr-lan" or "kbr-private" or "vxlan14416") ? "ours is still there" : null);
        Assert.Equal(rest, await ForeignAsync(node));
    });

    /// <summary>Each founds a cluster of its own, with a key of its own, and hears nothing of the others.</summary>
    private static async Task AloneAsync(IReadOnlyList<LanNode> nodes)
    {
        foreach (LanNode node in nodes)
        {
            node.Start(new DaemonSettings { Mdns = false, SharedKey = false });
        }

        foreach (LanNode node in nodes)
        {
            await node.AnswersAsync();
        }
    }

    private static async Task<NicInfo> AttachAsync(LanNode node, string name, string network, params IReadOnlyList<string> more) =>
        (await node.KctlAsync(["attach", "nic", name, "--network", network, .. more, "-o", "json"])).OrThrow().Read(ApiJson.Default.NicInfo);

    private static Task IpAsync(LanNode node, params IReadOnlyList<string> arguments) => Command.OutputAsync("ip", ["-n", node.Namespace, .. arguments]);

    /// <summary>Devices that do not carry our group, as the kernel tells them.</summary>
    private static async Task<string> ForeignAsync(LanNode node) => string.Join(
        '\n',
        (await Command.OutputAsync("ip", "-n", node.Namespace, "-o", "-d", "link", "show", "group", "default")).Split('\n')
            .Where(l => !l.Contains("group 27491", StringComparison.Ordinal) && !l.Contains("gc_timer", StringComparison.Ordinal)));
}

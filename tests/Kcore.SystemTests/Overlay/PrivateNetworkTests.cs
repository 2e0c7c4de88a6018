using System.Diagnostics;
using Kcore.Contracts;
using Kcore.SystemTests.Lab;
using Kcore.TestKit;
using Kcore.TestKit.Lan;
using Xunit.Abstractions;

namespace Kcore.SystemTests.Overlay;

/// <summary>The network of the texts, created exactly as they print it.</summary>
public sealed class PrivateNetworkTests(ThreeNodes three, ITestOutputHelper output) : SharedLanTest(three, output)
{
    private static readonly string[] Create =
    [
        "create", "network", "private", "--external-ip", NodeLan.ExampleExternal, "--gateway-ip", "10.250.0.1",
        "--internal-netmask", "255.255.255.0", "--type", "vxlan",
    ];

    [SkippableFact]
    public async Task B001_B003_B013_Private_is_on_all_nodes_within_two_seconds_and_leaves_nothing_when_deleted_B113()
    {
        await ReadyAsync();
        Dictionary<LanNode, HostSnapshot> before = [];
        foreach (LanNode node in Lan.Nodes)
        {
            before[node] = await HostSnapshot.TakeAsync(node);
        }

        long begun = Stopwatch.GetTimestamp();
        (await A.KctlAsync(Create)).OrThrow();
        await Until.SeenAsync(TimeSpan.FromSeconds(2) - Stopwatch.GetElapsedTime(begun), "private is programmed on all three nodes", async () =>
        {
            foreach (LanNode node in Lan.Nodes)
            {
                if (await WrongOnAsync(node) is { } wrong)
                {
                    return $"{node.Name}: {wrong}";
                }
            }

            return null;
        });
        Output.WriteLine($"ready everywhere {Stopwatch.GetElapsedTime(begun).TotalMilliseconds:0} ms after the command was started");

        string[] addresses = [.. (await AttachEverywhereAsync()).Select(n => n.Address!)];
        Assert.Equal(["10.250.0.2/24", "10.250.0.3/24", "10.250.0.4/24"], addresses);

        // In use: refused, with the NICs named, and nothing changes (behaviour 94).
        KctlResult refused = await B.KctlAsync("delete", "network", "private");
        Assert.True(refused.ExitCode == 4 && refused.Stderr.Contains("FailedPrecondition", StringComparison.Ordinal), refused.ToString());
        Assert.True(refused.Stderr.Contains("in use", StringComparison.Ordinal) && refused.Stderr.Contains("tap-1", StringComparison.Ordinal), refused.ToString());

        for (int i = 0; i < Lan.Nodes.Count; i++)
        {
            (await Lan.Nodes[i].KctlAsync("detach", "nic", $"tap-{i + 1}", "--network", "private")).OrThrow();
        }

        (await C.KctlAsync("delete", "network", "private")).OrThrow();
        await Until.SeenAsync(TimeSpan.FromSeconds(5), "every node is as it was before private was created", async () =>
        {
            foreach (LanNode node in Lan.Nodes)
            {
                IReadOnlyList<string> differences = before[node].DifferencesTo(await HostSnapshot.TakeAsync(node));
                if (differences.Count > 0)
                {
                    return $"{node.Name}:\n{string.Join('\n', differences)}";
                }
            }

            return null;
        });
        Assert.Equal(3, (await A.KctlAsync("describe", "network", "private")).ExitCode);
    }

    private static async Task<string?> WrongOnAsync(LanNode node)
    {
        IReadOnlyList<Link> links = await Link.AllAsync(node.Namespace);
        Link? tunnel = links.FirstOrDefault(l => l.Name == "vxlan14416");
        Link? bridge = links.FirstOrDefault(l => l.Name == "kbr-private");
        if (tunnel is null || bridge is null)
        {
            return $"devices are {string.Join(' ', links.Select(l => l.Name))}";
        }

        string seen = $"kind {tunnel.Kind} id {tunnel.Data?["id"]} port {tunnel.Data?["port"]} learning {tunnel.Data?["learning"]} "
            + $"port-learning {tunnel.PortData?["learning"]} local {tunnel.Data?["local"]} master {tunnel.Master} mtu {tunnel.Mtu}/{bridge.Mtu} "
            + $"gateway-mac {bridge.Mac}";
        string wanted = $"kind vxlan id 14416 port 4789 learning false port-learning false local {node.Address} master kbr-private mtu 1450/1450 "
            + "gateway-mac 02:6b:00:00:38:50";
        if (seen != wanted)
        {
            return $"wanted {wanted}, seen {seen}";
        }

        IReadOnlyList<FdbEntry> fdb = await FdbEntry.OfAsync(node.Namespace, "vxlan14416");
        return fdb.Count == 2 && fdb.All(e => e.IsFlood && e.Destination != node.Address) && fdb.Distinct().Count() == 2
            ? null
            : $"forwarding entries are {string.Join("; ", fdb)}";
    }

    private async Task<IReadOnlyList<NicInfo>> AttachEverywhereAsync()
    {
        List<NicInfo> nics = [];
        for (int i = 0; i < Lan.Nodes.Count; i++)
        {
            nics.Add((await Lan.Nodes[i].KctlAsync("attach", "nic", $"tap-{i + 1}", "--network", "private", "-o", "json"))
                .OrThrow().Read(ApiJson.Default.NicInfo));
        }

        return nics;
    }
}

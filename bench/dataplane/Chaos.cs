using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;
using Kcore.Netlink;
using Kcore.TestKit;
using Kcore.TestKit.Lan;
using Kcore.TestKit.Processes;

namespace Kcore.Bench.Dataplane;

/// <summary>
/// A hand that deletes, corrupts and doubles kernel objects of three nodes at random while guests ping each other, on a plain and on an
/// encrypted network, and waits for each to be as it was. Not a byte of the encrypted one may be seen in clear, and no forwarding entry may lead
/// to a wrong host but those the hand itself makes. What belongs to others stands beside them and must not change. It keeps below what the data plane takes for a fight
/// (three repairs of one object within ten seconds), which is slowed down on purpose.
/// </summary>
internal static partial class Chaos
{
    private static readonly TimeSpan _limit = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan _giveUp = TimeSpan.FromSeconds(40);

    /// <returns>0 when every object came back within a second, nothing else changed and nothing secret was seen, else 1.</returns>
    public static async Task<int> RunAsync(TimeSpan duration, int seed)
    {
        Random random = new(seed);
        await using NodeLan lan = await NodeLan.CreateAsync(3);
        foreach (LanNode node in lan.Nodes)
        {
            await StrangerAsync(node);
            node.Start(new DaemonSettings { DefaultNetwork = true });
        }

        await NodeLan.OneClusterAsync(lan.Nodes, TimeSpan.FromMinutes(2));
        (await lan.Nodes[0].KctlAsync("create", "network", "chaos", "--type", "vxlan", "--gateway-ip", "10.90.0.1", "--wait")).OrThrow();
        List<Guest> guests = [];
        foreach (LanNode node in lan.Nodes)
        {
            guests.Add(await lan.AttachAsync(node, "chaos", $"{node.Name}-x"));
            (await node.KctlAsync("attach", "nic", $"{node.Name}-tap", "--network", "chaos")).OrThrow();
        }

        (await lan.Nodes[0].KctlAsync("create", "network", "secret", "--type", "vxlan", "--gateway-ip", "10.91.0.1", "--encryption", "wireguard", "--wait", "--timeout", "30s")).OrThrow();
        List<Guest> secret = [];
        foreach (LanNode node in lan.Nodes)
        {
            secret.Add(await lan.AttachAsync(node, "secret", $"{node.Name}-s"));
        }

        await Until.SeenAsync(TimeSpan.FromSeconds(20), "guests of the encrypted network answer", async () =>
            (await secret[0].ExecAsync("ping", "-n", "-c", "1", "-W", "1", secret[1].Address)).ExitCode == 0 ? null : "no answer");

        // Voters are promoted some seconds after the cluster formed; facts and entries settle.
        await Task.Delay(TimeSpan.FromSeconds(8));
        List<DamagedNode> nodes = [];
        foreach (LanNode node in lan.Nodes)
        {
            nodes.Add(await DamagedNode.OpenAsync(node));
        }

        List<PlacementWatch> places = [.. nodes.Select((n, i) => PlacementWatch.Start(lan.Nodes[i], n.ByHand))];
        SortedSet<string>[] before = [.. await Task.WhenAll(lan.Nodes.Select(SnapshotAsync))];
        ContinuousPing[] pings =
        [
            await ContinuousPing.StartAsync(guests[0].Namespace, guests[1].Address, Path.Combine(lan.Directory, "ping-0.log")),
            await ContinuousPing.StartAsync(guests[1].Namespace, guests[2].Address, Path.Combine(lan.Directory, "ping-1.log")),
        ];
        await using CanaryWatch watch = CanaryWatch.Start(lan, lan.Nodes);
        BackgroundProcess[] talks =
        [
            .. new[] { (From: 0, To: 1), (From: 1, To: 2), (From: 2, To: 0) }.Select(p => BackgroundProcess.Start(
                "ip",
                ["netns", "exec", secret[p.From].Namespace, "ping", "-n", "-q", "-i", "0.02", "-p", CanaryWatch.Canary, secret[p.To].Address],
                Path.Combine(lan.Directory, $"talk-{p.From}.log"))),
        ];
        Dictionary<string, Samples> took = new(StringComparer.Ordinal);
        List<string> late = [];
        long begun = Stopwatch.GetTimestamp();
        while (Stopwatch.GetElapsedTime(begun) < duration)
        {
            DamagedNode node = nodes[random.Next(nodes.Count)];
            if (node.Choose(random, Stopwatch.GetElapsedTime(begun)) is { } damage)
            {
                long struck = Stopwatch.GetTimestamp();
                if (Strike(damage) is { } missing)
                {
                    late.Add(string.Create(CultureInfo.InvariantCulture, $"{damage.Name} on {node.Name} after {Stopwatch.GetElapsedTime(begun).TotalSeconds:0} s: nothing there to be broken ({missing})"));
                    await Task.Delay(TimeSpan.FromSeconds(1));
                    continue;
                }

                struck = Stopwatch.GetTimestamp() - ((Stopwatch.GetTimestamp() - struck) / 2);
                while (!IsHealed(damage) && Stopwatch.GetElapsedTime(struck) < _giveUp)
                {
                    await Task.Yield();
                }

                TimeSpan healed = Stopwatch.GetElapsedTime(struck);
                if (!took.TryGetValue(damage.Name, out Samples? samples))
                {
                    took[damage.Name] = samples = new Samples();
                }

                samples.Add(healed.TotalMilliseconds);
                if (healed > _limit)
                {
                    late.Add(string.Create(CultureInfo.InvariantCulture, $"{damage.Name} on {node.Name} after {Stopwatch.GetElapsedTime(begun).TotalSeconds:0} s: {healed.TotalMilliseconds:0} ms"));
                }
            }

            await Task.Delay(random.Next(20, 200));
        }

        await Task.Delay(TimeSpan.FromSeconds(3));
        PingReport[] reports = [await pings[0].StopAsync(), await pings[1].StopAsync()];
        CanaryReport canary = await watch.StopAsync();
        List<string> talked = [];
        foreach (BackgroundProcess talk in talks)
        {
            talk.Signal(Signal.Interrupt);
            await talk.WaitForExitAsync();
            talked.Add(File.ReadLines(talk.LogPath).FirstOrDefault(l => l.Contains("packets transmitted", StringComparison.Ordinal)) ?? "ping said nothing");
            await talk.DisposeAsync();
        }

        string[] wrong = [.. places.SelectMany(p => p.Wrong)];
        int placed = places.Sum(p => p.Heard);
        foreach (PlacementWatch place in places)
        {
            await place.DisposeAsync();
        }

        SortedSet<string>[] after = [.. await Task.WhenAll(lan.Nodes.Select(SnapshotAsync))];
        string[] changed = [.. before.Zip(after, (b, a) => b.Except(a).Select(l => "- " + l).Concat(a.Except(b).Select(l => "+ " + l))).SelectMany(l => l)];
        foreach (DamagedNode node in nodes)
        {
            node.Dispose();
        }

        Console.WriteLine($"Chaos for {duration.TotalSeconds:0} s, seed {seed}, 3 nodes: {took.Values.Sum(s => s.Count)} damages; back after, in ms");
        foreach ((string name, Samples samples) in took.OrderBy(t => t.Key, StringComparer.Ordinal))
        {
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  {name,-34} {samples.Count,5} times, median {samples.Median,6:0.0}, 99 % {samples.At(0.99),7:0.0}, worst {samples.Max,7:0.0}"));
        }

        Console.WriteLine($"  guests: {string.Join("; ", reports.Select(r => $"{r.Sent} echo requests 10 ms apart, {r.Lost.Count} lost, {r.Duplicates} twice"))}");
        Console.WriteLine($"  encrypted guests: {string.Join("; ", talked)}");
        Console.WriteLine($"  on the LAN: {canary.Frames} frames, {canary.Secret} of WireGuard, with bytes of the encrypted network in clear: {canary.Leak ?? "none"}");
        Console.WriteLine($"  of {placed} forwarding entries that were made, to a wrong host and not by the hand: {(wrong.Length == 0 ? "none" : string.Join("; ", wrong))}");
        Console.WriteLine($"  load of the machine at the end: {File.ReadAllText("/proc/loadavg").Trim()}");
        Console.WriteLine($"  later than a second: {(late.Count == 0 ? "none" : string.Join("; ", late))}");
        Console.WriteLine($"  objects, ours and foreign, that differ from before: {(changed.Length == 0 ? "none" : string.Join("\n    ", changed.Prepend("")))}");
        return late.Count == 0 && changed.Length == 0 && wrong.Length == 0 && canary is { Leak: null, Secret: > 0 } ? 0 : 1;
    }

    /// <summary>Null, or why it could not be done: what an earlier blow took away and is not back cannot be broken again.</summary>
    private static string? Strike(Damage damage)
    {
        try
        {
            damage.Strike();
            return null;
        }
        catch (Exception e) when (e is NetlinkException or CommandFailedException or InvalidOperationException)
        {
            return e.Message;
        }
    }

    /// <summary>A device that is made anew may go between two questions about it.</summary>
    private static bool IsHealed(Damage damage)
    {
        try
        {
            return damage.IsHealed();
        }
        catch (NetlinkException)
        {
            return false;
        }
    }

    /// <summary>What somebody else has on the host: devices, entries, addresses, a table.</summary>
    private static async Task StrangerAsync(LanNode node)
    {
        foreach (string command in (string[])[
            "ip link add foreign0 type bridge",
            "ip link add foreign1 type veth peer name foreign2",
            "ip link set foreign1 master foreign0 up",
            "ip link set foreign0 up",
            "ip addr add 172.31.0.1/24 dev foreign0",
            "ip route add 172.31.9.0/24 via 172.31.0.9",
            "bridge fdb replace 02:00:00:00:00:77 dev foreign1 master static",
            "nft add table inet stranger",
            "nft add chain inet stranger input { type filter hook input priority 5 ; }",
            "nft add rule inet stranger input tcp dport 9 counter drop"])
        {
            (await Netns.ExecAsync(node.Namespace, command.Split(' '))).OrThrow();
        }
    }

    /// <summary>
    /// Without what a device made anew gets anew and nobody chose: its index, the MAC of our end of a guest's pair, the kernel's
    /// own multicast entries, and the random link-local address of the mesh's device. Without processes and files too.
    /// </summary>
    private static async Task<SortedSet<string>> SnapshotAsync(LanNode node) => new(
        (await HostSnapshot.TakeAsync(node)).Lines
            .Where(l => !l.StartsWith("process", StringComparison.Ordinal) && !l.StartsWith("file", StringComparison.Ordinal) && !l.StartsWith("fdb 33:33:", StringComparison.Ordinal))
            .Where(l => !MeshLinkLocal().IsMatch(l))
            .Select(l => PairMac().Replace(Index().Replace(l, " "), "${device}")),
        StringComparer.Ordinal);

    [GeneratedRegex(@" index \d+ ", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Index();

    [GeneratedRegex(@"^address fe80:\S+ on kwg0$", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex MeshLinkLocal();

    [GeneratedRegex(@"(?<device>^link kv-\S+ .*) mac \S+$|^fdb \S+ (?<device>dev kv-\S+) dst  master \S+ state permanent$", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex PairMac();
}

using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using Kcore.TestKit.Lan;
using Kcore.TestKit.Processes;

namespace Kcore.Bench.Dataplane;

/// <summary>
/// One TCP stream and echo requests between two guests, in turns over an overlay of Kcore's, over a VXLAN tunnel and bridges made
/// by hand between two more hosts of the same switch, and over a bare veth pair.
/// </summary>
internal static partial class Traffic
{
    private const int StreamSeconds = 3;

    private sealed record Way(string Name, string From, string To, string Target)
    {
        public Samples Gigabits { get; } = new();

        public Samples Microseconds { get; } = new();
    }

    public static async Task RunAsync(int rounds)
    {
        await using NodeLan lan = await NodeLan.CreateAsync(2);
        string prefix = $"kbt{Environment.ProcessId:x}";
        string[] made = [$"{prefix}a", $"{prefix}b", $"{prefix}c", $"{prefix}d"];
        List<BackgroundProcess> servers = [];
        try
        {
            foreach (string ns in made)
            {
                (await Command.RunAsync("ip", ["netns", "add", ns])).OrThrow();
                await IpAsync(ns, "link set lo up");
            }

            Way[] ways = [await KcoreAsync(lan), await ByHandAsync(lan, made[0], made[1]), await VethAsync(made[2], made[3])];
            foreach (Way way in ways)
            {
                servers.Add(BackgroundProcess.Start("ip", ["netns", "exec", way.To, "iperf3", "-s"], Path.Combine(lan.Directory, $"iperf-{servers.Count}.log")));
            }

            for (int round = 0; round <= rounds; round++)
            {
                foreach (Way way in ways)
                {
                    double gigabits = await StreamAsync(way);
                    double microseconds = await EchoAsync(way);
                    if (round > 0)
                    {
                        way.Gigabits.Add(gigabits);
                        way.Microseconds.Add(microseconds);
                    }
                }
            }

            Console.WriteLine($"One TCP stream of {StreamSeconds} s and 500 echo requests (median of each round), {rounds} rounds in turns; median (least to most)");
            foreach (Way way in ways)
            {
                Console.WriteLine($"  {way.Name,-24} {way.Gigabits.Text("0.00")} Gbit/s, {way.Microseconds.Text("0")} us");
            }

            Console.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"  Kcore beside the tunnel by hand: throughput {ways[0].Gigabits.Median / ways[1].Gigabits.Median:0.00}, latency {ways[0].Microseconds.Median / ways[1].Microseconds.Median:0.00}"));
        }
        finally
        {
            foreach (BackgroundProcess server in servers)
            {
                await server.DisposeAsync();
            }

            foreach (string ns in made)
            {
                await Command.RunAsync("ip", ["netns", "del", ns]);
            }
        }
    }

    private static async Task<Way> KcoreAsync(NodeLan lan)
    {
        foreach (LanNode node in lan.Nodes)
        {
            node.Start();
        }

        await NodeLan.OneClusterAsync(lan.Nodes, TimeSpan.FromMinutes(2));
        (await lan.Nodes[0].KctlAsync("create", "network", "bench", "--type", "vxlan", "--gateway-ip", "10.90.0.1", "--wait")).OrThrow();
        Guest a = await lan.AttachAsync(lan.Nodes[0], "bench", "a");
        Guest b = await lan.AttachAsync(lan.Nodes[1], "bench", "b");
        await a.PingAsync(b.Address);
        return new Way("overlay of Kcore's", a.Namespace, b.Namespace, b.Address);
    }

    /// <summary>As somebody who knows how would do it: unicast and flood entries, no learning, the same MTU.</summary>
    private static async Task<Way> ByHandAsync(NodeLan lan, string left, string right)
    {
        string[] hosts = [await lan.AddHostAsync("hand-a", 101), await lan.AddHostAsync("hand-b", 102)];
        string[] guests = [left, right];
        for (int i = 0; i < 2; i++)
        {
            string host = hosts[i];
            Netns.Sysctl(host, "net/bridge/bridge-nf-call-iptables", "0");
            Netns.Sysctl(host, "net/bridge/bridge-nf-call-ip6tables", "0");
            Netns.Sysctl(host, "net/bridge/bridge-nf-call-arptables", "0");
            await IpAsync(host, "link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0");
            await IpAsync(host, $"link add vx0 type vxlan id 42 dstport 4789 local 10.77.0.{101 + i} nolearning");
            await IpAsync(host, "link set vx0 mtu 1450 master br0 up");
            await IpAsync(host, $"link add g0 type veth peer name eth0 netns {guests[i]}");
            await IpAsync(host, "link set g0 mtu 1450 master br0 up");
            await IpAsync(host, "link set br0 mtu 1450 up");
            await IpAsync(guests[i], $"link set eth0 address 52:54:00:00:00:0{i + 1} mtu 1450 up");
            await IpAsync(guests[i], $"addr add 10.91.0.{i + 2}/24 dev eth0");
            await Command.OutputAsync("bridge", "-n", host, "fdb", "append", "00:00:00:00:00:00", "dev", "vx0", "dst", $"10.77.0.{102 - i}");
            await Command.OutputAsync("bridge", "-n", host, "fdb", "replace", $"52:54:00:00:00:0{2 - i}", "dev", "vx0", "dst", $"10.77.0.{102 - i}", "self", "master", "static");
        }

        return new Way("tunnel made by hand", left, right, "10.91.0.3");
    }

    private static async Task<Way> VethAsync(string left, string right)
    {
        await IpAsync(left, $"link add v0 type veth peer name v0 netns {right}");
        await IpAsync(left, "link set v0 mtu 1450 up");
        await IpAsync(right, "link set v0 mtu 1450 up");
        await IpAsync(left, "addr add 10.92.0.2/24 dev v0");
        await IpAsync(right, "addr add 10.92.0.3/24 dev v0");
        return new Way("bare veth pair", left, right, "10.92.0.3");
    }

    private static async Task<double> StreamAsync(Way way)
    {
        CommandResult result = (await Command.RunAsync("ip", ["netns", "exec", way.From, "iperf3", "-J", "-t", $"{StreamSeconds}", "-O", "1", "-c", way.Target])).OrThrow();
        using JsonDocument report = JsonDocument.Parse(result.Stdout);
        return report.RootElement.GetProperty("end").GetProperty("sum_received").GetProperty("bits_per_second").GetDouble() / 1e9;
    }

    private static async Task<double> EchoAsync(Way way)
    {
        CommandResult result = (await Command.RunAsync("ip", ["netns", "exec", way.From, "ping", "-n", "-c", "500", "-i", "0.002", way.Target])).OrThrow();
        Samples times = new();
        foreach (Match match in Time().Matches(result.Stdout))
        {
            times.Add(double.Parse(match.Groups["ms"].ValueSpan, CultureInfo.InvariantCulture) * 1000);
        }

        return times.Median;
    }

    private static Task IpAsync(string ns, string arguments) => Command.OutputAsync("ip", ["-n", ns, .. arguments.Split(' ')]);

    [GeneratedRegex(@"time=(?<ms>[0-9.]+) ms", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 5000)]
    private static partial Regex Time();
}

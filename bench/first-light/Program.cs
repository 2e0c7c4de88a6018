using System.Diagnostics;
using System.Globalization;
using Kcore.TestKit;
using Kcore.TestKit.Lan;

// What an operator waits for, measured with real daemons on three namespaces of this machine.
const int Networks = 10;
const int Attaches = 100;
const int Calls = 50;
TimeSpan idle = TimeSpan.FromSeconds(30);

await using NodeLan lan = await NodeLan.CreateAsync(3);
foreach (LanNode node in lan.Nodes)
{
    node.Start(new DaemonSettings { Mdns = true });
}

LanNode first = lan.Nodes[0];
TimeSpan formed = await NodeLan.OneClusterAsync(lan.Nodes, TimeSpan.FromSeconds(30));
await Task.Delay(idle);
List<double> resident = [];
foreach (LanNode node in lan.Nodes)
{
    resident.Add(await node.ResidentBytesAsync() / 1048576.0);
}

List<double> ready = [];
for (int i = 0; i < Networks; i++)
{
    string name = $"bench{i}";
    long begun = Stopwatch.GetTimestamp();
    (await first.KctlAsync("create", "network", name, "--type", "vxlan", "--gateway-ip", $"10.{100 + i}.0.1")).OrThrow();
    await Until.SeenAsync(TimeSpan.FromSeconds(10), $"{name} floods to two peers on every node", async () =>
    {
        foreach (LanNode node in lan.Nodes)
        {
            Link? tunnel = (await Link.AllAsync(node.Namespace)).FirstOrDefault(l => l.Master == "kbr-" + name && l.Kind == "vxlan");
            int floods = tunnel is null ? 0 : (await FdbEntry.OfAsync(node.Namespace, tunnel.Name)).Count(e => e.IsFlood);
            if (floods != 2)
            {
                return $"{node.Name} has {floods} flood entries";
            }
        }

        return null;
    });
    ready.Add(Stopwatch.GetElapsedTime(begun).TotalMilliseconds);
}

List<double> attach = [];
for (int i = 0; i < Attaches; i++)
{
    LanNode node = lan.Nodes[i % lan.Nodes.Count];
    attach.Add((await node.KctlAsync("attach", "nic", $"nic{i}", "--network", "bench0")).OrThrow().Command.Elapsed.TotalMilliseconds);
}

List<double> calls = [];
for (int i = 0; i < Calls; i++)
{
    calls.Add((await first.KctlAsync("get", "networks")).OrThrow().Command.Elapsed.TotalMilliseconds);
}

Console.WriteLine($"./dev bench first-light: {Environment.ProcessorCount} cores, kernel {Environment.OSVersion.Version}, 3 nodes in namespaces");
Console.WriteLine($"{"",-52}{"n",6}{"median",10}{"p99",10}");
Row("three daemons started to one cluster, s", [formed.TotalSeconds]);
Row("daemon resident memory, idle 30 s, MiB", resident);
Row("create (kctl included) to ready on all nodes, ms", ready);
Row("attach nic (kctl included), ms", attach);
Row("kctl get networks, wall time, ms", calls);

static void Row(string what, List<double> values)
{
    values.Sort();
    Console.WriteLine(string.Create(
        CultureInfo.InvariantCulture,
        $"{what,-52}{values.Count,6}{At(values, 0.5),10:0.0}{At(values, 0.99),10:0.0}"));
}

// Nearest rank: the smallest value that at least the given share of all values does not exceed.
static double At(List<double> sorted, double share) => sorted[Math.Max(0, (int)Math.Ceiling(share * sorted.Count) - 1)];

using System.Globalization;
using Kcore.TestKit.Lan;

namespace Kcore.Bench.Consensus;

/// <summary>Fresh clusters of one size, both sides on the same hosts at once, and everything that is asked of them in turn.</summary>
internal sealed class Round(Options options, Results results, int nodes)
{
    private const int RawWrites = 1000;
    private static readonly TimeSpan SettleTime = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan IdleTime = TimeSpan.FromSeconds(20);

    private readonly string _size = nodes == 1 ? "1 node" : $"{nodes} nodes";

    public async Task RunAsync()
    {
        await using NodeLan lan = await NodeLan.CreateAsync(nodes);
        await using var kcore = new KcoreSide(lan);
        await using var etcd = new EtcdSide(lan);
        ISide[] sides = [.. ((ISide[])[kcore, etcd]).Where(s => options.Wants(s.Name))];
        foreach (ISide side in sides)
        {
            Say($"{side.Name} starts");
            await side.StartAsync();

            // A daemon runs for months: what it compiles and allocates in its first seconds is not what is asked here.
            await Load.RunAsync(side, await side.LeaderAsync(), 64, options.WarmUpOperations);
        }

        await Task.Delay(SettleTime);
        foreach (int clients in options.Clients)
        {
            string what = string.Create(CultureInfo.InvariantCulture, $"{_size}, {clients} client{(clients == 1 ? "" : "s")}");
            List<double> raw = [.. RawDisk.Measure(lan.Directory, RawWrites)];
            foreach (ISide side in sides)
            {
                Say($"{what}: {side.Name}");
                Load load = await Load.RunAsync(side, await side.LeaderAsync(), clients, options.OperationsOf(clients));
                results.Add(what + ", p50 ms", side.Name, Results.At(load.Milliseconds, 0.5));
                results.Add(what + ", p99 ms", side.Name, Results.At(load.Milliseconds, 0.99));
                results.Add(what + ", 1/s", side.Name, load.PerSecond);
            }

            raw.AddRange(RawDisk.Measure(lan.Directory, RawWrites));
            results.Add(what + ", p50 ms", "raw", Results.At(raw, 0.5));
            results.Add(what + ", p99 ms", "raw", Results.At(raw, 0.99));
        }

        if (nodes < 3)
        {
            (double take, double install, int bytes) = SnapshotCost.Measure(lan.Directory, 10_000);
            results.Add(Words.Snapshot, "kcore", take + install);
            results.Add("  of these the taking side", "kcore", take);
            results.Add("  bytes of the snapshot", "kcore", bytes);
            return;
        }

        if (options.Wants(kcore.Name))
        {
            await CountSyncsAsync(lan, kcore);
        }

        foreach (ISide side in sides)
        {
            Say($"idle: {side.Name}");
            double before = Enumerable.Range(0, nodes).Sum(n => ProcessorSeconds(side.PidOf(n)));
            await Task.Delay(IdleTime);
            double used = Enumerable.Range(0, nodes).Sum(n => ProcessorSeconds(side.PidOf(n))) - before;
            results.Add(Words.Idle, side.Name, used / nodes / IdleTime.TotalSeconds * 100);
        }

        for (int i = 0; i < options.Transfers; i++)
        {
            foreach (ISide side in sides)
            {
                Say($"transfer: {side.Name}");
                results.Add(Words.Transferred, side.Name, await Outage.TransferAsync(side));
            }
        }

        for (int i = 0; i < options.Kills; i++)
        {
            foreach (ISide side in sides)
            {
                Say($"kill: {side.Name}");
                results.Add(Words.Killed, side.Name, await Outage.KillAsync(side));
            }
        }
    }

    private async Task CountSyncsAsync(NodeLan lan, KcoreSide kcore)
    {
        const int Clients = 64;
        Say("syncs: kcore");
        int leader = await kcore.LeaderAsync();
        int operations = options.OperationsOf(Clients);
        List<Syncs> watching = [];
        foreach (LanNode node in lan.Nodes)
        {
            watching.Add(await Syncs.WatchAsync(node.Pid, lan.Directory));
        }

        await Load.RunAsync(kcore, leader, Clients, operations);
        List<double> log = [], catalog = [];
        foreach (Syncs syncs in watching)
        {
            (int ofLog, int ofCatalog) = await syncs.EndAsync();
            log.Add(ofLog / (double)operations);
            catalog.Add(ofCatalog / (double)operations);
            await syncs.DisposeAsync();
        }

        results.Add("syncs of the log per allocation, 64 clients, most of 3 nodes", kcore.Name, log.Max());
        results.Add("  and of the catalog's copy", kcore.Name, catalog.Max());
    }

    private void Say(string text) => Console.Error.WriteLine($"{_size}: {text}");

    // Of the whole process, threads that have ended included (proc_pid_stat(5): ticks of 10 ms).
    private static double ProcessorSeconds(int pid)
    {
        string stat = File.ReadAllText($"/proc/{pid}/stat");
        string[] fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
        return (double.Parse(fields[11], CultureInfo.InvariantCulture) + double.Parse(fields[12], CultureInfo.InvariantCulture)) / 100;
    }
}

using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.NetworkInformation;
using System.Text;
using Kcore.Daemon.Dataplane;
using Kcore.Daemon.Dataplane.Apply;
using Kcore.Daemon.Dataplane.Desired;
using Kcore.Daemon.Dataplane.Observed;
using Kcore.Daemon.Dataplane.Plan;
using Kcore.Netlink.Monitor;
using Kcore.Netlink.Namespaces;
using Kcore.Netlink.Route;
using Kcore.TestKit.Processes;

namespace Kcore.Bench.Dataplane;

/// <summary>
/// 5,000 forwarding entries of one tunnel device behind 200 tunnel addresses, set in turns by the data plane's own steps, by
/// bare netlink messages that were built before, and by <c>bridge -batch</c>; the tables of nftables by the data plane and by
/// <c>nft -f</c> alone. Every way starts from an empty table.
/// </summary>
internal static class Programming
{
    private const int Entries = 5000;
    private const int Vteps = 200;
    private const string Device = "vxlan14458";

    public static async Task RunAsync(int rounds)
    {
        string ns = $"kbd{Environment.ProcessId:x}";
        string folder = Directory.CreateTempSubdirectory("kcore-bench-").FullName;
        (await Command.RunAsync("ip", ["netns", "add", ns])).OrThrow();
        try
        {
            await MeasureAsync(ns, folder, rounds);
        }
        finally
        {
            await Command.RunAsync("ip", ["netns", "del", ns]);
            Directory.Delete(folder, recursive: true);
        }
    }

    private static async Task MeasureAsync(string ns, string folder, int rounds)
    {
        HomeNamespace home = new(NetworkNamespace.Named(ns));
        using RouteSocket socket = home.OpenRoute();
        SysctlFiles sysctls = new(home, SysctlJournal.Open(Path.Combine(folder, "sysctl.json")));
        UplinkJournal uplinks = UplinkJournal.Open(Path.Combine(folder, "uplinks.json"));
        NftProcess nft = new(home, TimeProvider.System);
        KernelReader reader = new(socket, sysctls, uplinks);
        using RulesetReader rulesets = new(home, nft);
        StepExecutor executor = new(home, socket, sysctls, uplinks, rulesets);
        DataplanePass pass = new(reader, executor, rulesets);
        DesiredState empty = DesiredStateBuilder.From(Intent(0));
        DesiredState full = DesiredStateBuilder.From(Intent(Entries));
        await ApplyAsync(pass, empty);
        int tunnel = socket.FindLink(Device)!.Index;
        string batch = Path.Combine(folder, "bridge.batch");
        await File.WriteAllLinesAsync(batch, Enumerable.Range(0, Entries).Select(i => $"fdb replace {Text(Mac(i))} dev {Device} dst {Vtep(i)} self master static"));
        string rules = Path.Combine(folder, "tables.nft");
        await File.WriteAllTextAsync(rules, NftText.Render(DesiredStateBuilder.From(Networks(100)).State.Nft));

        Samples raw = new(), steps = new(), bridge = new(), whole = new(), noop = new(), apply = new(), bare = new();
        int silent = 0;
        for (int round = 0; round <= rounds; round++)
        {
            // The first round warms up: code, caches, the kernel's tables.
            bool counts = round > 0;
            Add(raw, Raw(socket, tunnel));
            await ApplyAsync(pass, empty);

            ObservedState observed = reader.Read(full, full.State.Nft);
            DataplanePlan plan = Planner.Plan(full, observed);
            DataplanePlan entries = plan with { Steps = [.. plan.Steps.Where(s => s is DataplaneStep.SetRemoteMac)] };
            long begun = Stopwatch.GetTimestamp();
            List<StepResult> results = await executor.ApplyAsync(entries, observed, CancellationToken.None);
            Add(steps, Entries / Stopwatch.GetElapsedTime(begun).TotalSeconds);
            if (results.Count != Entries || results.Exists(r => r.Error is not null))
            {
                throw new InvalidOperationException($"{results.Count} steps, {results.Count(r => r.Error is not null)} failed");
            }

            await ApplyAsync(pass, empty);
            begun = Stopwatch.GetTimestamp();
            (await Command.RunAsync("bridge", ["-n", ns, "-batch", batch])).OrThrow();
            Add(bridge, Entries / Stopwatch.GetElapsedTime(begun).TotalSeconds);
            await ApplyAsync(pass, empty);

            begun = Stopwatch.GetTimestamp();
            await ApplyAsync(pass, full);
            Add(whole, Stopwatch.GetElapsedTime(begun).TotalMilliseconds);
            using KernelMonitor monitor = home.OpenMonitor();
            begun = Stopwatch.GetTimestamp();
            await ApplyAsync(pass, full, readNft: false);
            Add(noop, Stopwatch.GetElapsedTime(begun).TotalMilliseconds);
            silent += counts && await IsSilentAsync(monitor) ? 1 : 0;
            await ApplyAsync(pass, empty);

            NftTables hundred = DesiredStateBuilder.From(Networks(100)).State.Nft!;
            begun = Stopwatch.GetTimestamp();
            await nft.ReplaceAsync(hundred, null, CancellationToken.None);
            Add(apply, Stopwatch.GetElapsedTime(begun).TotalMilliseconds);
            begun = Stopwatch.GetTimestamp();
            (await Command.RunAsync("ip", ["netns", "exec", ns, "nft", "-f", rules])).OrThrow();
            Add(bare, Stopwatch.GetElapsedTime(begun).TotalMilliseconds);
            await ApplyAsync(pass, empty);

            void Add(Samples samples, double value)
            {
                if (counts)
                {
                    samples.Add(value);
                }
            }
        }

        Console.WriteLine($"Programming {Entries} forwarding entries, {Vteps} tunnel addresses, {rounds} rounds in turns; median (least to most)");
        Console.WriteLine($"  bare netlink, messages built before   {raw.Text("0")} entries/s");
        Console.WriteLine($"  steps of the data plane               {steps.Text("0")} entries/s, {Ratio(steps, raw)} of bare netlink");
        Console.WriteLine($"  bridge -batch                         {bridge.Text("0")} entries/s; the data plane {Ratio(steps, bridge)} times that");
        Console.WriteLine($"  whole pass from empty (reads, plans, entries and {Entries} neighbours, reads again)  {whole.Text("0.0")} ms");
        Console.WriteLine($"  pass with nothing to do               {noop.Text("0.0")} ms; silent in {silent} of {rounds}");
        Console.WriteLine("nftables, 100 networks, tables replaced");
        Console.WriteLine($"  data plane                            {apply.Text("0.0")} ms");
        Console.WriteLine($"  ip netns exec … nft -f                {bare.Text("0.0")} ms");
    }

    private static string Ratio(Samples a, Samples b) => (a.Median / b.Median).ToString("0.00", CultureInfo.InvariantCulture);

    private static double Raw(RouteSocket socket, int tunnel)
    {
        RouteBatch batch = new();
        for (int i = 0; i < Entries; i++)
        {
            batch.ReplaceFdbUnicast(tunnel, Mac(i), Vtep(i));
        }

        long begun = Stopwatch.GetTimestamp();
        BatchResult result = socket.Execute(batch);
        TimeSpan took = Stopwatch.GetElapsedTime(begun);
        return result.Failures is [] ? Entries / took.TotalSeconds : throw new InvalidOperationException($"{result.Failures.Length} entries failed");
    }

    private static async Task ApplyAsync(DataplanePass pass, DesiredState desired, bool readNft = true)
    {
        PassResult result = await pass.RunAsync(desired, readNft, readForeign: false, _ => TimeSpan.Zero, _ => { }, TimeSpan.Zero, CancellationToken.None);
        if (!result.Plan.IsEmpty || !result.Failures.IsEmpty)
        {
            throw new InvalidOperationException(PlanRenderer.Text(result.Plan));
        }
    }

    /// <summary>Nothing was said within 50 ms: nothing was written.</summary>
    private static async Task<bool> IsSilentAsync(KernelMonitor monitor)
    {
        using CancellationTokenSource enough = new(TimeSpan.FromMilliseconds(50));
        try
        {
            await foreach (KernelChange change in monitor.ReadAsync(enough.Token))
            {
                Console.Error.WriteLine($"heard {change}");
                return false;
            }
        }
        catch (OperationCanceledException)
        {
            // Silence.
        }

        return true;
    }

    private static DataplaneIntent Intent(int remote) => new(
        new NodeIntent { Name = "bench", Uid = 1, Vtep = IPAddress.Parse("192.0.2.1"), EgressInterface = "eth0", UnderlayMtu = 1500 },
        [
            new OverlayIntent
            {
                Name = "prod",
                Uid = 1,
                Vni = 14458,
                Bridge = "kbr-prod",
                VxlanDevice = Device,
                Gateway = IPAddress.Parse("10.0.0.1"),
                PrefixLength = 8,
                OutboundNat = false,
                RemoteNics = [.. Enumerable.Range(0, remote).Select(i => new RemoteNicIntent($"n{i}", Mac(i), Guest(i), Vtep(i), "peer"))],
            },
        ],
        []);

    private static DataplaneIntent Networks(int count) => Intent(0) with
    {
        Overlays =
        [
            .. Enumerable.Range(0, count).Select(i => Intent(0).Overlays[0] with
            {
                Name = $"n{i}",
                Vni = (uint)(20000 + i),
                Bridge = $"kbr-n{i}",
                VxlanDevice = $"vxlan{20000 + i}",
                Gateway = new IPAddress([10, (byte)(100 + (i / 200)), (byte)(i % 200), 1]),
                PrefixLength = 24,
                OutboundNat = true,
            }),
        ],
    };

    private static PhysicalAddress Mac(int i) => new([0x52, 0x54, 0, 1, (byte)(i >> 8), (byte)i]);

    private static string Text(PhysicalAddress mac)
    {
        StringBuilder text = new();
        foreach (byte b in mac.GetAddressBytes())
        {
            text.Append(text.Length == 0 ? "" : ":").Append(b.ToString("x2", CultureInfo.InvariantCulture));
        }

        return text.ToString();
    }

    private static IPAddress Vtep(int i) => new([192, 0, 2, (byte)(2 + (i % Vteps))]);

    private static IPAddress Guest(int i) => new([10, 1, (byte)(i >> 8), (byte)i]);
}

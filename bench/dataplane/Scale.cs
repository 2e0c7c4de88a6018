using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.NetworkInformation;
using Kcore.Contracts;
using Kcore.Daemon.Catalog.Facts;
using Kcore.Daemon.Catalog.Naming;
using Kcore.Daemon.Storage;
using Kcore.Gossip;
using Kcore.Netlink.Monitor;
using Kcore.Netlink.Namespaces;
using Kcore.Netlink.Route;
using Kcore.TestKit.Lan;
using Kcore.TestKit.Processes;

namespace Kcore.Bench.Dataplane;

/// <summary>
/// One real daemon in a namespace of its own with 500 overlays, 100 peers in each and 5,000 remote NICs. The peers are origins of the
/// daemon's own stored catalog, written with its own store while it was down: from there on everything is the product's way, from
/// facts to the kernel. Nobody answers at their addresses.
/// </summary>
internal static class Scale
{
    private const int Networks = 500;
    private const int Peers = 100;
    private const int Nics = 5000;
    private const int Rounds = 9;
    private const ulong FirstPeer = 1000;

    private static readonly TimeSpan _patience = TimeSpan.FromMinutes(3);
    private static readonly TimeSpan _idle = TimeSpan.FromSeconds(60);

    public static async Task RunAsync(int applies)
    {
        await using NodeLan lan = await NodeLan.CreateAsync(1);
        LanNode node = lan.Nodes[0];
        node.Start(new DaemonSettings { Mdns = false });
        await node.AnswersAsync();
        long empty = await SettledBytesAsync(node);
        await node.TerminateAsync();
        string[] names = [.. Names()];
        Fill(Path.Combine(node.DataDirectory, "state.db"), names);

        Console.WriteLine($"A real daemon with {Networks} overlays, {Peers} peers in each, {Nics} remote NICs: {Networks * Peers} flood entries, {Nics} unicast entries and neighbours, {2 * Networks} devices");
        Samples first = new(), pass = new();
        for (int i = 0; i < applies; i++)
        {
            if (i > 0)
            {
                await node.TerminateAsync();
                await Command.RunAsync("ip", ["-n", node.Namespace, "link", "delete", "group", $"{KcoreMark.LinkGroup}"]);
                await Command.RunAsync("ip", ["netns", "exec", node.Namespace, "nft", "flush", "ruleset"]);
            }

            (TimeSpan took, double last) = await StartAsync(node);
            first.Add(took.TotalSeconds);
            pass.Add(last);
        }

        await Task.Delay(TimeSpan.FromSeconds(40));
        await node.TerminateAsync();
        (TimeSpan again, double looked) = await StartAsync(node);
        Console.WriteLine($"  first apply, from the start of the daemon to the last entry and a pass that was told: {first.Text("0.0")} s, of which {pass.Text("0")} ms in that pass");
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  a restart that finds all there: {again.TotalSeconds:0.0} s, of which {looked:0} ms in the pass"));

        await Task.Delay(TimeSpan.FromSeconds(40));
        await IdleAsync(node, empty);
        await PassesAsync(node);
        await RepairsAsync(node, names);
        await AttachAsync(node, names[0]);
    }

    /// <summary>Until every entry is in the kernel and the daemon has told of a pass; with how long that took, in milliseconds.</summary>
    private static async Task<(TimeSpan Took, double Pass)> StartAsync(LanNode node)
    {
        using var kernel = NetworkNamespace.Named(node.Namespace);
        using RouteSocket socket = RouteSocket.Open(kernel);
        long begun = Stopwatch.GetTimestamp();
        node.Start();
        while (Stopwatch.GetElapsedTime(begun) < _patience)
        {
            if (Entries(socket) == (Networks * Peers) + (2 * Nics))
            {
                await node.AnswersAsync(_patience);
                DataplaneStatus status = (await node.StatusAsync()).Dataplane;
                if (status is { Networks: Networks, LastPassMilliseconds: > 0 })
                {
                    return (Stopwatch.GetElapsedTime(begun), status.LastPassMilliseconds);
                }
            }

            await Task.Delay(100);
        }

        throw new TimeoutException($"{Entries(socket)} entries after {_patience.TotalSeconds:0} s:\n{node.LogTail(20)}");
    }

    /// <summary>Those towards peers, in the tables of tunnels and of bridges.</summary>
    private static int Entries(RouteSocket socket)
    {
        HashSet<int> tunnels = [.. socket.DumpLinks("vxlan").Select(l => l.Index)];
        return socket.DumpFdb().Count(e => tunnels.Contains(e.LinkIndex)
            && (e.Master is null ? e.Destination is not null : e.State.HasFlag(NeighbourState.NoArp) && !e.State.HasFlag(NeighbourState.Permanent)));
    }

    private static async Task IdleAsync(LanNode node, long empty)
    {
        TimeSpan before = await node.ProcessorTimeAsync();
        long faults = ChildFaults(node);
        long begun = Stopwatch.GetTimestamp();
        await Task.Delay(_idle);
        double share = ((await node.ProcessorTimeAsync()) - before) / Stopwatch.GetElapsedTime(begun);
        long bytes = await SettledBytesAsync(node);
        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"  idle for {_idle.TotalSeconds:0} s: {share * 100:0.0} % of a core; {(ChildFaults(node) == faults ? "no" : "some")} processes started; resident {bytes / 1048576.0:0} MiB, {(bytes - empty) / 1048576.0:0} more than without networks"));
    }

    /// <summary>Passes that find nothing to do, each caused by a change of a device that is nobody's business.</summary>
    private static async Task PassesAsync(LanNode node)
    {
        using var kernel = NetworkNamespace.Named(node.Namespace);
        using RouteSocket socket = RouteSocket.Open(kernel);
        string device = socket.DumpLinks("vxlan")[0].Name;
        Samples took = new(), used = new();
        int changes = 0, forked = 0;
        for (int i = 0; i < Rounds; i++)
        {
            DateTimeOffset? last = (await node.StatusAsync()).Dataplane.LastPass;
            long faults = ChildFaults(node);
            TimeSpan before = await node.ProcessorTimeAsync();
            using var stop = new CancellationTokenSource();
            Task<int> counting = CountAsync(kernel, stop.Token);
            await Command.OutputAsync("ip", "-n", node.Namespace, "link", "set", device, "txqueuelen", $"{1000 + i}");
            DataplaneStatus status;
            do
            {
                await Task.Delay(50);
                status = (await node.StatusAsync()).Dataplane;
            }
            while (status.LastPass == last);
            await Task.Delay(200);
            await stop.CancelAsync();
            used.Add(((await node.ProcessorTimeAsync()) - before).TotalMilliseconds);
            changes += Math.Max(0, await counting - 1);
            forked += ChildFaults(node) == faults ? 0 : 1;
            took.Add(status.LastPassMilliseconds);
        }

        Console.WriteLine($"  a pass with nothing to do: {took.Text("0.0")} ms, {used.Text("0")} ms of processor time with being asked for it; {changes} kernel changes made, {forked} of {Rounds} started a process");
    }

    /// <summary>Notifications of links, entries and addresses until told to stop.</summary>
    private static async Task<int> CountAsync(NetworkNamespace kernel, CancellationToken token)
    {
        int count = 0;
        using KernelMonitor monitor = KernelMonitor.Open(kernel);
        try
        {
            await foreach (KernelChange _ in monitor.ReadAsync(token))
            {
                count++;
            }
        }
        catch (OperationCanceledException) when (token.IsCancellationRequested)
        {
            // Told to.
        }

        return count;
    }

    /// <summary>One unicast entry, deleted by hand, is back.</summary>
    private static async Task RepairsAsync(LanNode node, string[] names)
    {
        using var kernel = NetworkNamespace.Named(node.Namespace);
        using RouteSocket socket = RouteSocket.Open(kernel);
        Samples took = new();
        for (int i = 0; i < Rounds; i++)
        {
            int tunnel = socket.FindLink(DerivedNames.VxlanDevice(DerivedNames.Vni(names[i])))!.Index;
            NeighbourInfo entry = Unicast(socket, tunnel).First();
            var batch = new RouteBatch();
            batch.DeleteFdbUnicast(tunnel, entry.Mac!, entry.Destination!, NeighbourFlags.Self);
            long begun = Stopwatch.GetTimestamp();
            socket.Execute(batch);
            while (!Unicast(socket, tunnel).Any(e => e.Mac!.Equals(entry.Mac)) && Stopwatch.GetElapsedTime(begun) < _patience)
            {
                await Task.Yield();
            }

            took.Add(Stopwatch.GetElapsedTime(begun).TotalMilliseconds);
            await Task.Delay(1000);
        }

        Console.WriteLine($"  one entry deleted by hand is back after: {took.Text("0.0")} ms");
    }

    private static IEnumerable<NeighbourInfo> Unicast(RouteSocket socket, int tunnel) =>
        socket.DumpFdb(tunnel).Where(e => e.Master is null && e.Destination is not null && e.Mac is { } mac && mac.GetAddressBytes().Any(b => b != 0));

    /// <summary>The whole way for one NIC more: request, log, facts, intent, kernel, answer.</summary>
    private static async Task AttachAsync(LanNode node, string network)
    {
        Samples took = new();
        for (int i = 0; i < 5; i++)
        {
            long begun = Stopwatch.GetTimestamp();
            (await node.KctlAsync("attach", "nic", $"local-{i}", "--network", network)).OrThrow();
            took.Add(Stopwatch.GetElapsedTime(begun).TotalMilliseconds);
        }

        Console.WriteLine($"  kctl attach nic, the first of this node on: {took.Text("0")} ms");
    }

    private static async Task<long> SettledBytesAsync(LanNode node)
    {
        await Task.Delay(TimeSpan.FromSeconds(3));
        return await node.ResidentBytesAsync();
    }

    /// <summary>Page faults of children that ended (cminflt of proc(5)): every process that was started and waited for adds some.</summary>
    private static long ChildFaults(LanNode node)
    {
        string stat = File.ReadAllText($"/proc/{node.Pid}/stat");
        return long.Parse(stat[(stat.LastIndexOf(')') + 2)..].Split(' ')[8], CultureInfo.InvariantCulture);
    }

    /// <summary>Names whose VNIs are all different, as those of networks that exist are.</summary>
    private static IEnumerable<string> Names()
    {
        HashSet<uint> vnis = [];
        for (int i = 0, found = 0; found < Networks; i++)
        {
            string name = string.Create(CultureInfo.InvariantCulture, $"net{i:000}");
            if (vnis.Add(DerivedNames.Vni(name)))
            {
                found++;
                yield return name;
            }
        }
    }

    private static void Fill(string path, string[] names)
    {
        using StateDatabase database = StateDatabase.Open(path);
        List<OriginHead> heads = [];
        List<CatalogEntry> entries = [];
        for (int p = 0; p < Peers; p++)
        {
            var peer = new NodeId(FirstPeer + (ulong)p);
            ulong version = 0;
            Add(FactKeys.Node, FactKind.Node, FactCodec.Encode(new NodeFact($"peer-{p}", new IPAddress([10, 79, 0, (byte)(p + 1)]), false, "0.1.0", 1500, "eth0", false)));
            for (int n = 0; n < names.Length; n++)
            {
                if (p == 0)
                {
                    var stamp = new ClaimStamp((ulong)n + 1, peer, (ulong)n);
                    Add(FactKeys.Claim(names[n]), FactKind.Claim, FactCodec.Encode(new ClaimFact(names[n], Uid(n), stamp, stamp, new NetworkSpec
                    {
                        Type = NetworkType.Vxlan,
                        Gateway = new IPAddress([10, (byte)(128 + (n / 250)), (byte)(n % 250), 1]),
                        PrefixLength = 24,
                        OutboundNat = true,
                    })));
                }

                Add(FactKeys.Participation(Uid(n)), FactKind.Participation, FactCodec.Encode(new ParticipationFact(Uid(n), ObjectState.Ready, null)));
            }

            for (int i = p; i < Nics; i += Peers)
            {
                int n = i % names.Length;
                int place = i / names.Length;
                string name = string.Create(CultureInfo.InvariantCulture, $"vm{i}");
                UInt128 id = 1_000_000 + (UInt128)i;
                Add(FactKeys.Nic(id), FactKind.Nic, FactCodec.Encode(new NicFact(
                    id, Uid(n), name, new PhysicalAddress([0x52, 0x54, 1, 0, (byte)(i >> 8), (byte)i]),
                    new IPAddress([10, (byte)(128 + (n / 250)), (byte)(n % 250), (byte)(100 + place)]), 0, DerivedNames.Tap(name), null, null, ObjectState.Ready, null)));
            }

            heads.Add(new OriginHead(peer, 1, version, 0, true));

            void Add(string key, FactKind kind, ReadOnlyMemory<byte> value) =>
                entries.Add(CatalogEntry.Create(peer, key, ++version, (ushort)kind, EntryFlags.None, value));
        }

        new CatalogStore(database).Save(new GossipEffect.Persist(true, [.. heads], [.. entries], [], []));
    }

    private static UInt128 Uid(int network) => 1000 + (UInt128)network;
}

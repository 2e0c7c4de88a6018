using System.Diagnostics;
using System.Globalization;
using System.Net.Http.Json;
using Kcore.Contracts;
using Kcore.TestKit.Lan;

namespace Kcore.Bench.Membership;

/// <summary>
/// What one update costs every node: processor time by the name of the thread, and packets, beyond what the same time costs
/// without updates. Unlike a latency it can be compared on a machine that has other things to do. Nobody is asked meanwhile:
/// answers would cost more than the update. The nodes without a vote are drained and serve again in turn.
/// </summary>
internal static class CostRun
{
    /// <summary>An own fact follows what the node was told within a second.</summary>
    private static readonly TimeSpan PauseOfOne = TimeSpan.FromSeconds(1.3);
    private static readonly TimeSpan Settling = TimeSpan.FromSeconds(45);
    private const int MostOrigins = 6;

    public static async Task RunAsync(Options options, int updates)
    {
        foreach (int nodes in options.Nodes.IsEmpty ? [8, 16] : options.Nodes)
        {
            await using NodeLan lan = await NodeLan.CreateAsync(nodes);
            using Interruption interruption = new(lan);
            await using var agents = new KcoreAgents(lan, options.Mdns);
            await new Course(agents, lan, options, new Results()).JoinAsync();
            await Task.Delay(Settling);
            await MeasureAsync(lan, agents, updates);
        }
    }

    private static async Task MeasureAsync(NodeLan lan, KcoreAgents agents, int updates)
    {
        int[] origins = [.. (await agents.WithoutVoteAsync()).Take(MostOrigins)];
        TimeSpan pause = PauseOfOne / origins.Length;

        // Once round, so that what is measured was called before.
        await TellAsync(agents, origins, origins.Length * 2, pause);
        long[] logs = [.. lan.Nodes.Select(n => new FileInfo(n.LogPath).Length)];

        Cost start = Cost.Take(agents, lan);
        await Task.Delay(pause * updates);
        Cost idle = Cost.Take(agents, lan);
        await TellAsync(agents, origins, updates, pause);
        Cost end = Cost.Take(agents, lan);

        double scale = (end.At - idle.At) / (double)(idle.At - start.At);
        double per = 1.0 / (updates * agents.Count);
        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"N = {agents.Count}, {updates} updates by {origins.Length} nodes, load average {File.ReadAllText("/proc/loadavg").Trim()}"));
        double all = 0;
        foreach (string name in end.Nanoseconds.Keys.Order(StringComparer.Ordinal))
        {
            double busy = end.Of(name) - idle.Of(name), quiet = (idle.Of(name) - start.Of(name)) * scale;
            all += busy - quiet;
            if (Math.Abs(busy - quiet) * per > 5_000)
            {
                Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  {name,-16} {(busy - quiet) * per / 1000,8:0} µs  (idle {quiet * per / 1000:0} µs in the same time)"));
            }
        }

        double packets = (end.Packets - idle.Packets - ((idle.Packets - start.Packets) * scale)) * per;
        double bytes = (end.Bytes - idle.Bytes - ((idle.Bytes - start.Bytes) * scale)) * per;
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  all threads      {all * per / 1000,8:0} µs   packets sent {packets:0.00}, bytes {bytes:0} a node and update"));
        List<double> spreads = Spreads(lan, logs);
        if (spreads.Count > 0)
        {
            spreads.Sort();
            Console.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"  known to its origin to known to all: median {spreads[spreads.Count / 2]:0.0}, 90 % {spreads[(int)(spreads.Count * 0.9)]:0.0}, p99 {spreads[Math.Min(spreads.Count - 1, (int)Math.Ceiling(spreads.Count * 0.99) - 1)]:0.0}, most {spreads[^1]:0.0} ms of {spreads.Count}"));
        }
    }

    private static async Task TellAsync(KcoreAgents agents, int[] origins, int updates, TimeSpan pause)
    {
        long begun = Stopwatch.GetTimestamp();
        for (int i = 0; i < updates; i++)
        {
            using HttpResponseMessage answer = await agents.Client(origins[i % origins.Length]).PostAsJsonAsync(
                Routes.Drain, new DrainRequest { Undo = i / origins.Length % 2 == 1 }, ApiJson.Default.DrainRequest);
            answer.EnsureSuccessStatusCode();
            TimeSpan left = (pause * (i + 1)) - Stopwatch.GetElapsedTime(begun);
            await Task.Delay(left > TimeSpan.Zero ? left : TimeSpan.Zero);
        }

        await Task.Delay(PauseOfOne);
    }

    /// <summary>Of every digest that all have noted: milliseconds from the first to the last.</summary>
    private static List<double> Spreads(NodeLan lan, long[] from)
    {
        Dictionary<string, List<DateTime>> seen = new(StringComparer.Ordinal);
        for (int i = 0; i < from.Length; i++)
        {
            foreach ((DateTime at, string digest) in KcoreAgents.Learnt(lan.Nodes[i], from[i]))
            {
                if (!seen.TryGetValue(digest, out List<DateTime>? times))
                {
                    seen[digest] = times = [];
                }

                times.Add(at);
            }
        }

        return [.. seen.Values.Where(t => t.Count == from.Length).Select(t => (t.Max() - t.Min()).TotalMilliseconds)];
    }

    /// <summary>What all agents have used up to a moment.</summary>
    private sealed record Cost(long At, Dictionary<string, double> Nanoseconds, long Bytes, long Packets)
    {
        public double Of(string thread) => Nanoseconds.GetValueOrDefault(thread);

        public static Cost Take(KcoreAgents agents, NodeLan lan)
        {
            Usage usage = Usage.Take(agents, lan);
            Dictionary<string, double> threads = new(StringComparer.Ordinal);
            for (int i = 0; i < agents.Count; i++)
            {
                foreach (string task in Directory.GetDirectories($"/proc/{agents.PidOf(i)}/task"))
                {
                    try
                    {
                        // Documentation/scheduler/sched-stats.rst: time on the processor, time waiting for one (nanoseconds), turns.
                        string name = File.ReadAllText($"{task}/comm").Trim();
                        string spent = File.ReadAllText($"{task}/schedstat").Split(' ')[0];
                        threads[name] = threads.GetValueOrDefault(name) + double.Parse(spent, CultureInfo.InvariantCulture);
                    }
                    catch (IOException)
                    {
                        // It has ended meanwhile.
                    }
                }
            }

            return new Cost(usage.At, threads, usage.Bytes, usage.Packets);
        }
    }
}

using System.Diagnostics;
using System.Globalization;
using Kcore.TestKit.Lan;

namespace Kcore.Bench.Membership;

/// <summary>What all agents together have used at one moment.</summary>
/// <param name="Processor">Seconds of user and system time.</param>
/// <param name="Bytes">Sent by the agents, as the switch counted them: Ethernet frames of every kind.</param>
internal sealed record Usage(long At, double Processor, long Bytes, long Packets)
{
    public static Usage Take(IAgents agents, NodeLan lan)
    {
        double processor = Enumerable.Range(0, agents.Count).Sum(i => ProcessorSeconds(agents.PidOf(i)));
        string[] lines = Netns.Run(lan.Switch, () => File.ReadAllLines("/proc/thread-self/net/dev"));
        long bytes = 0, packets = 0;
        foreach (string line in lines)
        {
            // proc_net_dev(5): what a port of the switch receives is what its node has sent.
            string[] parts = line.Split([' ', ':'], StringSplitOptions.RemoveEmptyEntries);
            if (parts.Length > 3 && parts[0].StartsWith('p') && int.TryParse(parts[0].AsSpan(1), out _))
            {
                bytes += long.Parse(parts[1], CultureInfo.InvariantCulture);
                packets += long.Parse(parts[2], CultureInfo.InvariantCulture);
            }
        }

        return new Usage(Stopwatch.GetTimestamp(), processor, bytes, packets);
    }

    /// <summary>Resident and proportional memory of one agent, MiB (proc_pid_smaps_rollup(5)).</summary>
    public static (double Resident, double Proportional) Memory(int pid)
    {
        Dictionary<string, double> fields = File.ReadLines($"/proc/{pid}/smaps_rollup")
            .Select(l => l.Split([' ', ':'], StringSplitOptions.RemoveEmptyEntries))
            .Where(p => p.Length == 3)
            .ToDictionary(p => p[0], p => double.Parse(p[1], CultureInfo.InvariantCulture) / 1024, StringComparer.Ordinal);
        return (fields["Rss"], fields["Pss"]);
    }

    /// <summary>How much of the machine was busy since a moment, and how much of that was the agents'.</summary>
    public static (long Busy, long All) Machine()
    {
        // proc_stat(5): user nice system idle iowait irq softirq steal.
        long[] ticks = [.. File.ReadLines("/proc/stat").First().Split(' ', StringSplitOptions.RemoveEmptyEntries).Skip(1).Take(8).Select(t => long.Parse(t, CultureInfo.InvariantCulture))];
        return (ticks.Sum() - ticks[3] - ticks[4], ticks.Sum());
    }

    /// <summary>Of the whole process, threads that have ended included (proc_pid_stat(5): ticks of 10 ms).</summary>
    private static double ProcessorSeconds(int pid)
    {
        string stat = File.ReadAllText($"/proc/{pid}/stat");
        string[] fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
        return (double.Parse(fields[11], CultureInfo.InvariantCulture) + double.Parse(fields[12], CultureInfo.InvariantCulture)) / 100;
    }
}

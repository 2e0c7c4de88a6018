using System.Globalization;

namespace Kcore.Bench.Consensus;

/// <summary>Values by what was measured, one list per side; printed with their medians and with what they were to reach.</summary>
internal sealed class Results
{
    private readonly List<string> _order = [];
    private readonly Dictionary<(string What, string Side), List<double>> _values = [];
    private readonly List<string> _notes = [];

    public void Add(string what, string side, params ReadOnlySpan<double> values)
    {
        if (!_order.Contains(what))
        {
            _order.Add(what);
        }

        if (!_values.TryGetValue((what, side), out List<double>? list))
        {
            _values[(what, side)] = list = [];
        }

        list.AddRange(values);
    }

    /// <summary>Something that must be read beside the numbers.</summary>
    public void Note(string text)
    {
        _notes.Add(text);
        Console.Error.WriteLine(text);
    }

    public void Print()
    {
        Console.WriteLine("| what | raw fdatasync | kcore: median (range) | n | etcd: median (range) | n | kcore / etcd |");
        Console.WriteLine("| --- | ---: | ---: | ---: | ---: | ---: | ---: |");
        foreach (string what in _order)
        {
            string ratio = Of(what, "kcore").Count > 0 && Of(what, "etcd").Count > 0 ? Text(Ratio(what, "kcore", "etcd")) : "";
            string raw = Of(what, "raw") is { Count: > 0 } disk ? Text(Middle(disk)) : "";
            Console.WriteLine($"| {what} | {raw} | {Cells(Of(what, "kcore"))} | {Cells(Of(what, "etcd"))} | {ratio} |");
        }

        Console.WriteLine();
        Console.WriteLine("Gates:");
        Gate("1 node, 1 client, p50 ≤ 2.0 × raw", "1 node, 1 client, p50 ms", "raw", 2.0);
        Gate("1 node, 1 client, p99 ≤ 3.0 × raw", "1 node, 1 client, p99 ms", "raw", 3.0);
        Gate("3 nodes, 1 client, p50 ≤ 0.5 × etcd", "3 nodes, 1 client, p50 ms", "etcd", 0.5);
        Gate("3 nodes, 64 clients, throughput ≥ 2.0 × etcd", "3 nodes, 64 clients, 1/s", "etcd", 2.0, isLeast: true);
        Gate("3 nodes, 64 clients, p99 ≤ 0.5 × etcd", "3 nodes, 64 clients, p99 ms", "etcd", 0.5);
        Bound("syncs of the log per allocation at 64 clients ≤ 0.1 per node", "syncs of the log per allocation, 64 clients, most of 3 nodes", 0.1, 0.5);
        Bound("leader killed to the next success, p99 ≤ 2,500 ms", Words.Killed, 2500, 0.99);
        Bound("planned transfer, longest gap ≤ 100 ms", Words.Transferred, 100, 1);
        Bound("10,000 leases, snapshot and install ≤ 200 ms", Words.Snapshot, 200, 0.5);
        Bound("idle, each of 3 nodes ≤ 0.5 % of a core", Words.Idle, 0.5, 0.5);
        foreach (string note in _notes)
        {
            Console.WriteLine($"- {note}");
        }
    }

    // Of one round each: what the machine did to one side in a bad minute it did to the other as well.
    private double Ratio(string what, string left, string right)
    {
        List<double> a = Of(what, left), b = Of(what, right);
        return a.Count == b.Count ? Middle([.. a.Zip(b, (x, y) => x / y)]) : Middle(a) / Middle(b);
    }

    private void Gate(string gate, string what, string against, double bound, bool isLeast = false)
    {
        if (Of(what, "kcore").Count == 0 || Of(what, against).Count == 0)
        {
            return;
        }

        double ratio = Ratio(what, "kcore", against);
        Console.WriteLine($"  {((isLeast ? ratio >= bound : ratio <= bound) ? "reached    " : "NOT REACHED")}  {gate}: {Text(ratio)}");
    }

    private void Bound(string gate, string what, double bound, double share)
    {
        if (Of(what, "kcore") is { Count: > 0 } values)
        {
            double value = At(values, share);
            Console.WriteLine($"  {(value <= bound ? "reached    " : "NOT REACHED")}  {gate}: {Text(value)} (n = {values.Count})");
        }
    }

    private List<double> Of(string what, string side) => _values.GetValueOrDefault((what, side)) ?? [];

    private static string Cells(List<double> values) => values.Count > 0
        ? $"{Text(Middle(values))} ({Text(values.Min())} … {Text(values.Max())}) | {values.Count}"
        : " | 0";

    private static string Text(double value) => value.ToString(Math.Abs(value) switch { >= 100 => "0", >= 10 => "0.0", >= 0.1 => "0.00", _ => "0.0000" }, CultureInfo.InvariantCulture);

    // Of two middle values neither is chosen: with few rounds that would be the better or the worse half.
    private static double Middle(List<double> values)
    {
        double[] sorted = [.. values.Order()];
        int half = sorted.Length / 2;
        return sorted.Length % 2 == 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
    }

    /// <summary>Nearest rank: the smallest value that at least the given share of all values does not exceed.</summary>
    public static double At(IReadOnlyList<double> values, double share)
    {
        double[] sorted = [.. values.Order()];
        return sorted[Math.Max(0, (int)Math.Ceiling(share * sorted.Length) - 1)];
    }
}

/// <summary>Names of rows that more than one place needs.</summary>
internal static class Words
{
    public const string Killed = "3 nodes, leader killed to the next success, ms";
    public const string Transferred = "3 nodes, planned transfer, longest gap, ms";
    public const string Snapshot = "10,000 leases: snapshot taken, stored, stored again and restored, ms";
    public const string Idle = "3 nodes, idle, % of a core per node";
}

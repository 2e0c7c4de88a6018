using System.Globalization;

namespace Kcore.Bench.GossipSim;

/// <summary>One line of the table: a goal, where it was measured, and how far it is.</summary>
internal sealed record Row(string Goal, int Nodes, string What, string Target, string Median, string P99, string Runs, string Seeds, string Verdict, double Speed)
{
    public const string Head =
        "| Goal | N | What | Target | Median | p99 (max) | Runs | Seeds | Verdict | Virtual s / CPU s |\n|---|---:|---|---|---:|---:|---:|---|---|---:|";

    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture, $"| {Goal} | {Nodes} | {What} | {Target} | {Median} | {P99} | {Runs} | {Seeds} | {Verdict} | {Speed:0.0} |");
}

/// <summary>Values of one cell, and how they are shown and judged.</summary>
internal sealed class Sample
{
    private readonly List<double> _values = [];
    private bool _sorted;

    public int Count => _values.Count;

    public double Median => At(0.5);

    public double P99 => At(0.99);

    public double Max => At(1);

    public void Add(double value)
    {
        _values.Add(value);
        _sorted = false;
    }

    public void Add(TimeSpan value) => Add(value.TotalSeconds);

    public static string Seconds(double value) =>
        value < 1 ? string.Create(CultureInfo.InvariantCulture, $"{value * 1000:0.0} ms") : string.Create(CultureInfo.InvariantCulture, $"{value:0.00} s");

    public string MedianSeconds => Count == 0 ? "–" : Seconds(Median);

    public string P99Seconds => Count == 0 ? "–" : $"{Seconds(P99)} ({Seconds(Max)})";

    /// <summary>"reached", or by how much it was missed.</summary>
    public static string Judge(params (double Measured, double Goal)[] claims)
    {
        List<string> missed =
        [
            .. claims.Where(c => !(c.Measured <= c.Goal)).Select(c => c.Goal == 0
                ? string.Create(CultureInfo.InvariantCulture, $"+{c.Measured:0.##}")
                : string.Create(CultureInfo.InvariantCulture, $"+{((c.Measured / c.Goal) - 1) * 100:0} %")),
        ];
        return missed.Count == 0 ? "reached" : $"**missed by {string.Join(", ", missed)}**";
    }

    // Nearest rank: the smallest value that at least the given share of all values does not exceed.
    private double At(double share)
    {
        if (_values.Count == 0)
        {
            return double.NaN;
        }

        if (!_sorted)
        {
            _values.Sort();
            _sorted = true;
        }

        return _values[Math.Max(0, (int)Math.Ceiling(share * _values.Count) - 1)];
    }
}

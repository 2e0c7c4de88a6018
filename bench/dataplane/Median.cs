using System.Globalization;

namespace Kcore.Bench.Dataplane;

/// <summary>Samples of one kind, told by their median and their ends.</summary>
internal sealed class Samples
{
    private readonly List<double> _values = [];

    public int Count => _values.Count;

    public double Median => At(0.5);

    public double Max => _values.Max();

    public void Add(double value) => _values.Add(value);

    /// <param name="share">0.5 is the median, 0.99 the 99th percentile.</param>
    public double At(double share)
    {
        double[] sorted = [.. _values.Order()];
        return sorted.Length == 0 ? double.NaN : sorted[Math.Min(sorted.Length - 1, (int)(share * sorted.Length))];
    }

    public string Text(string format) => string.Create(
        CultureInfo.InvariantCulture, $"{Median.ToString(format, CultureInfo.InvariantCulture)} ({_values.Min().ToString(format, CultureInfo.InvariantCulture)} to {_values.Max().ToString(format, CultureInfo.InvariantCulture)})");
}

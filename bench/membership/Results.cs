using System.Globalization;

namespace Kcore.Bench.Membership;

/// <summary>All values measured, by cluster size, question and side; printed as one table.</summary>
internal sealed class Results
{
    private readonly SortedDictionary<int, Dictionary<string, Dictionary<string, List<double>>>> _values = [];
    private readonly List<string> _notes = [];

    public void Add(int nodes, string side, string question, params IEnumerable<double> values)
    {
        if (!_values.TryGetValue(nodes, out Dictionary<string, Dictionary<string, List<double>>>? questions))
        {
            _values[nodes] = questions = [];
        }

        if (!questions.TryGetValue(question, out Dictionary<string, List<double>>? sides))
        {
            questions[question] = sides = [];
        }

        if (!sides.TryGetValue(side, out List<double>? list))
        {
            sides[side] = list = [];
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
        Console.WriteLine("| N | | kcored: median (range) | p99 | n | Serf: median (range) | p99 | n | Serf / kcored |");
        Console.WriteLine("| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
        foreach ((int nodes, Dictionary<string, Dictionary<string, List<double>>> questions) in _values)
        {
            foreach ((string question, Dictionary<string, List<double>> sides) in questions)
            {
                List<double>? ours = sides.GetValueOrDefault("kcored"), theirs = sides.GetValueOrDefault("serf");
                string ratio = ours is { Count: > 0 } && theirs is { Count: > 0 } && At(ours, 0.5) > 0 ? Text(At(theirs, 0.5) / At(ours, 0.5)) : "";
                Console.WriteLine($"| {nodes} | {question} | {Cells(ours)} | {Cells(theirs)} | {ratio} |");
            }
        }

        foreach (string note in _notes)
        {
            Console.WriteLine($"- {note}");
        }
    }

    private static string Cells(List<double>? values) => values is { Count: > 0 }
        ? $"{Text(At(values, 0.5))} ({Text(values.Min())} … {Text(values.Max())}) | {Text(At(values, 0.99))} | {values.Count}"
        : "n/a | | 0";

    private static string Text(double value) => value.ToString(Math.Abs(value) >= 100 ? "0" : Math.Abs(value) >= 10 ? "0.0" : "0.00", CultureInfo.InvariantCulture);

    // Nearest rank: the smallest value that at least the given share of all values does not exceed.
    private static double At(List<double> values, double share)
    {
        values.Sort();
        return values[Math.Max(0, (int)Math.Ceiling(share * values.Count) - 1)];
    }
}

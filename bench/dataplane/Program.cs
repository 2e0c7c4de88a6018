using System.Globalization;
using Kcore.Bench.Dataplane;

// What the data plane costs beside the kernel's own limit and hand-made set-ups, and how it stands a hand that breaks it.
// dataplane [program] [traffic] [scale] [chaos] [--rounds N] [--seconds N] [--seed N]; without words: program and traffic.
List<string> words = [];
Dictionary<string, int> numbers = new(StringComparer.Ordinal) { ["--rounds"] = 7, ["--seconds"] = 600, ["--seed"] = 1 };
for (int i = 0; i < args.Length; i++)
{
    if (args[i] is "program" or "traffic" or "scale" or "chaos")
    {
        words.Add(args[i]);
    }
    else if (numbers.ContainsKey(args[i]) && i + 1 < args.Length && int.TryParse(args[i + 1], NumberStyles.None, CultureInfo.InvariantCulture, out int value) && value > 0)
    {
        numbers[args[i++]] = value;
    }
    else
    {
        Console.Error.WriteLine("usage: dataplane [program] [traffic] [scale] [chaos] [--rounds N] [--seconds N] [--seed N]");
        return 2;
    }
}

if (words.Count == 0)
{
    words = ["program", "traffic"];
}

if (words.Contains("program"))
{
    await Programming.RunAsync(numbers["--rounds"]);
}

if (words.Contains("traffic"))
{
    await Traffic.RunAsync(numbers["--rounds"]);
}

if (words.Contains("scale"))
{
    await Scale.RunAsync(Math.Min(numbers["--rounds"], 3));
}

return words.Contains("chaos") ? await Chaos.RunAsync(TimeSpan.FromSeconds(numbers["--seconds"]), numbers["--seed"]) : 0;

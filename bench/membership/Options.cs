using System.Collections.Immutable;
using System.Globalization;

namespace Kcore.Bench.Membership;

/// <summary>What the command line asked for.</summary>
internal sealed record Options
{
    public const string Usage =
        """
        ./dev bench membership [--nodes 3,8,16,32] [--runs 3] [--quick] [--only kcore|serf] [--mdns]
        ./dev bench membership --false-deaths 30m [--nodes 8] [--loss 20] [--only kcore|serf]
        ./dev bench membership --replay 60m [--nodes 4] [--one-stays-dead]
        ./dev bench membership --absence 11m [--nodes 4]
        ./dev bench membership --split 10m [--nodes 8] [--only kcore|serf]
        ./dev bench membership --updates 200 [--nodes 16,32] [--runs 1] [--only kcore|serf]
        ./dev bench membership --cost 120 [--nodes 8,16]
        """;

    public static readonly ImmutableArray<string> Sides = ["kcore", "serf"];

    public ImmutableArray<int> Nodes { get; init; } = [];

    /// <summary>Times the whole course is run with each side, in turn.</summary>
    public int Runs { get; init; } = 3;

    /// <summary>Fewer updates and crashes, shorter windows.</summary>
    public bool Quick { get; init; }

    /// <summary>Null: both sides.</summary>
    public string? Only { get; init; }

    /// <summary>kcored with discovery, as it is installed; Serf has none unless it is asked for.</summary>
    public bool Mdns { get; init; }

    /// <summary>Per cent of all frames.</summary>
    public int Loss { get; init; } = 20;

    public TimeSpan? FalseDeaths { get; init; }

    public TimeSpan? Replay { get; init; }

    /// <summary>The last node is not started again before the replay.</summary>
    public bool OneStaysDead { get; init; }

    public TimeSpan? Absence { get; init; }

    public TimeSpan? Split { get; init; }

    /// <summary>Nothing but so many updates after the join; null: the whole course.</summary>
    public int? Updates { get; init; }

    /// <summary>Measures what each of so many updates costs the nodes, and nothing else.</summary>
    public int? Cost { get; init; }

    /// <exception cref="FormatException">The message says what is wrong.</exception>
    public static Options Parse(IReadOnlyList<string> arguments)
    {
        Options options = new();
        for (int i = 0; i < arguments.Count; i++)
        {
            string name = arguments[i];
            string Value() => ++i < arguments.Count ? arguments[i] : throw new FormatException($"{name} needs a value");
            options = name switch
            {
                "--nodes" => options with { Nodes = [.. Value().Split(',').Select(n => Number(n, 3, 250))] },
                "--runs" => options with { Runs = Number(Value(), 1, 1000) },
                "--quick" => options with { Quick = true },
                "--only" => options with { Only = Value() is var side and ("kcore" or "serf") ? side : throw new FormatException("--only takes kcore or serf") },
                "--mdns" => options with { Mdns = true },
                "--loss" => options with { Loss = Number(Value(), 0, 100) },
                "--false-deaths" => options with { FalseDeaths = Duration(Value()) },
                "--replay" => options with { Replay = Duration(Value()) },
                "--one-stays-dead" => options with { OneStaysDead = true },
                "--absence" => options with { Absence = Duration(Value()) },
                "--updates" => options with { Updates = Number(Value(), 1, 100_000) },
                "--cost" => options with { Cost = Number(Value(), 1, 100_000) },
                "--split" => options with { Split = Duration(Value()) },
                _ => throw new FormatException($"unknown word '{name}'"),
            };
        }

        return options;
    }

    public bool Wants(string side) => Only is null || Only == side;

    private static int Number(string text, int least, int most) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int value) && value >= least && value <= most
            ? value
            : throw new FormatException($"'{text}' is not a number from {least} to {most}");

    private static TimeSpan Duration(string text)
    {
        double unit = text.Length == 0 ? 0 : text[^1] switch { 's' => 1, 'm' => 60, 'h' => 3600, _ => 0 };
        return unit > 0 && double.TryParse(text[..^1], NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double value)
            ? TimeSpan.FromSeconds(value * unit)
            : throw new FormatException($"'{text}' is not a time such as 90s, 30m, 1h");
    }
}

using System.Collections.Immutable;
using System.Globalization;

namespace Kcore.Bench.Consensus;

/// <summary>What the command line asked for.</summary>
internal sealed record Options
{
    public const string Usage =
        """
        ./dev bench consensus [--nodes 1,3] [--clients 1,16,64,256] [--rounds 5] [--kills 5] [--transfers 5] [--only kcore|etcd] [--quick]
          --rounds     times everything is measured with fresh clusters, the two sides in turn for each number of clients
          --kills      leaders killed with SIGKILL per round, three nodes
          --transfers  planned changes of leader per round, three nodes
          --quick      one round of one third of the operations
        """;

    public ImmutableArray<int> Nodes { get; init; } = [1, 3];

    public ImmutableArray<int> Clients { get; init; } = [1, 16, 64, 256];

    public int Rounds { get; init; } = 5;

    public int Kills { get; init; } = 5;

    public int Transfers { get; init; } = 5;

    /// <summary>Null: both sides.</summary>
    public string? Only { get; init; }

    public bool Quick { get; init; }

    public bool Wants(string side) => Only is null || Only == side;

    /// <summary>Operations of one measurement: enough for a p99, and no more leases than a large installation has.</summary>
    public int OperationsOf(int clients) => Math.Clamp(clients * 60, 500, 6000) / (Quick ? 3 : 1);

    public int WarmUpOperations => Quick ? 1000 : 4000;

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
                "--nodes" => options with { Nodes = [.. Value().Split(',').Select(n => Number(n, 1, 3))] },
                "--clients" => options with { Clients = [.. Value().Split(',').Select(n => Number(n, 1, 1024))] },
                "--rounds" => options with { Rounds = Number(Value(), 1, 100) },
                "--kills" => options with { Kills = Number(Value(), 0, 1000) },
                "--transfers" => options with { Transfers = Number(Value(), 0, 1000) },
                "--only" => options with { Only = Value() is var side and ("kcore" or "etcd") ? side : throw new FormatException("--only takes kcore or etcd") },
                "--quick" => options with { Quick = true, Rounds = 1 },
                _ => throw new FormatException($"unknown word '{name}'"),
            };
        }

        return options.Nodes.Contains(2) ? throw new FormatException("two nodes have one voter and a learner; measure 1 or 3") : options;
    }

    private static int Number(string text, int least, int most) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int value) && value >= least && value <= most
            ? value
            : throw new FormatException($"'{text}' is not a number from {least} to {most}");
}

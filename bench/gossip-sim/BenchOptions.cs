using System.Globalization;

namespace Kcore.Bench.GossipSim;

/// <summary>What the command line asks for.</summary>
internal sealed record BenchOptions
{
    public const string Usage = """
        ./dev bench gossip-sim [--quick] [--goal Gn[,Gn]] [--nodes N[,N]] [--runs R] [--hours H] [--seed S]
        ./dev bench gossip-sim --replay SEED [--journal FILE]
        ./dev bench gossip-sim --swarm COUNT [--seed FIRST]

        --quick    a tenth of the runs and no cluster above 100 nodes
        --goal     only these goals
        --nodes    only these sizes, also ones the table does not have by itself (above
                   3,000 a machine needs some 700 bytes for each pair of nodes)
        --runs     runs of each cell instead of its own number (seeds for G17, seconds for G13)
        --hours    virtual hours of G9's trial and of G14's split
        --seed     the first seed, 1 if not given
        --replay   one swarm seed with its plan, twice, comparing the traces
        --journal  everything that happens in the replay, a line each
        --swarm    so many swarm seeds; failures are printed
        """;

    public bool Quick { get; private set; }

    public HashSet<string> Goals { get; } = new(StringComparer.OrdinalIgnoreCase);

    public List<int> Nodes { get; } = [];

    public int? Runs { get; private set; }

    public double? Hours { get; private set; }

    public ulong Seed { get; private set; } = 1;

    public ulong? Replay { get; private set; }

    public string? Journal { get; private set; }

    public ulong? Swarm { get; private set; }

    /// <summary>Null when the arguments make no sense.</summary>
    public static BenchOptions? Parse(string[] arguments)
    {
        var options = new BenchOptions();
        for (int i = 0; i < arguments.Length; i++)
        {
            if (arguments[i] == "--quick")
            {
                options.Quick = true;
            }
            else if (i + 1 == arguments.Length || !options.Set(arguments[i], arguments[++i]))
            {
                return null;
            }
        }

        return options;
    }

    public bool Wants(string goal) => Goals.Count == 0 || Goals.Contains(goal);

    /// <summary>The sizes of a goal: those asked for, else its own up to what the mode allows.</summary>
    public IEnumerable<int> Sizes(params int[] own) => Nodes.Count > 0 ? Nodes : own.Where(n => !Quick || n <= 100);

    public int RunsOf(int full) => Runs ?? (Quick ? Math.Max(1, full / 10) : full);

    private bool Set(string name, string value)
    {
        switch (name)
        {
            case "--goal":
                Goals.UnionWith(value.Split(','));
                return true;
            case "--nodes":
                foreach (string part in value.Split(','))
                {
                    if (!int.TryParse(part, CultureInfo.InvariantCulture, out int nodes) || nodes is < 2 or > 10_000)
                    {
                        return false;
                    }

                    Nodes.Add(nodes);
                }

                return true;
            case "--journal":
                Journal = value;
                return true;
            case "--hours" when double.TryParse(value, CultureInfo.InvariantCulture, out double hours) && hours > 0:
                Hours = hours;
                return true;
            case "--runs" when int.TryParse(value, CultureInfo.InvariantCulture, out int runs) && runs > 0:
                Runs = runs;
                return true;
            default:
                return ulong.TryParse(value, CultureInfo.InvariantCulture, out ulong number) && SetNumber(name, number);
        }
    }

    private bool SetNumber(string name, ulong number)
    {
        switch (name)
        {
            case "--seed":
                Seed = number;
                return true;
            case "--replay":
                Replay = number;
                return true;
            case "--swarm":
                Swarm = number;
                return true;
            default:
                return false;
        }
    }
}

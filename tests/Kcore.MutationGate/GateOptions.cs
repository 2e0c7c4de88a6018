namespace Kcore.MutationGate;

/// <summary>What the command line asks for.</summary>
internal sealed record GateOptions
{
    public const string Usage =
        """
        Kcore.MutationGate [--filter WORD] [--every-suite] [--configuration C] [--out DIR] [--jobs N] [--limit SECONDS]

        Plants each bug of tests/Kcore.Mutations into a copy of the sources and runs its suites: a bug that no test
        notices is a hole in the tests. Everything must have been built before.

        --filter WORD      only mutations whose folder/name contains the word, of all; / stands in every name (default:
                           those that are tried by default)
        --every-suite      try each suite, not only those up to the first that catches
        --configuration C  Debug or Release (default Debug)
        --out DIR          where compiled mutations, mutations.txt and the .trx go (default out/test)
        --jobs N           mutations tried at once (default: one per core)
        --limit SECONDS    one suite against one mutation (default 120)
        """;

    public string Filter { get; private init; } = "";

    public bool IsEverySuite { get; private init; }

    public string Configuration { get; private init; } = "Debug";

    public string Out { get; private init; } = Path.Combine("out", "test");

    public int Jobs { get; private init; } = Environment.ProcessorCount;

    public TimeSpan Limit { get; private init; } = TimeSpan.FromSeconds(120);

    /// <summary>Whether a mutation is to be tried.</summary>
    public bool Wants(Mutation mutation) =>
        Filter.Length == 0 ? mutation.IsByDefault : mutation.FullName.Contains(Filter, StringComparison.Ordinal);

    /// <summary>Null when the arguments make no sense.</summary>
    public static GateOptions? Parse(string[] arguments)
    {
        var options = new GateOptions();
        for (int i = 0; i < arguments.Length; i++)
        {
            string? value = i + 1 < arguments.Length ? arguments[i + 1] : null;
            GateOptions? next = (arguments[i], value) switch
            {
                ("--every-suite", _) => options with { IsEverySuite = true },
                ("--filter", { } word) => options with { Filter = word },
                ("--configuration", { } name) => options with { Configuration = name },
                ("--out", { } folder) => options with { Out = folder },
                ("--jobs", { } number) when int.TryParse(number, out int jobs) && jobs > 0 => options with { Jobs = jobs },
                ("--limit", { } number) when int.TryParse(number, out int seconds) && seconds > 0 =>
                    options with { Limit = TimeSpan.FromSeconds(seconds) },
                _ => null,
            };
            if (next is null)
            {
                return null;
            }

            i += arguments[i] == "--every-suite" ? 0 : 1;
            options = next;
        }

        return options;
    }
}

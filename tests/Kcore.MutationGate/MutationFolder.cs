using System.Collections.Immutable;

namespace Kcore.MutationGate;

/// <summary>One set of tests that may catch a mutation.</summary>
/// <param name="Project">A test project below tests/.</param>
/// <param name="Contains">Run are the tests whose full name contains one of these; all of them if there are none.</param>
internal sealed record Suite(string Project, ImmutableArray<string> Contains)
{
    public override string ToString() => Contains.IsEmpty ? Project : $"{Project} ({string.Join(", ", Contains)})";
}

/// <summary>
/// A folder of mutations and its file <c>suites</c>: a line for each suite, in the order in which they are tried – the
/// project and words of which the test's full name must contain one – and lines NAME=VALUE for their environment.
/// </summary>
internal sealed record MutationFolder(
    string Name,
    ImmutableArray<Suite> Suites,
    ImmutableDictionary<string, string> Environment,
    ImmutableArray<Mutation> Mutations)
{
    private const string SuitesFile = "suites";

    public static ImmutableArray<MutationFolder> ReadAll(string root) =>
    [
        .. Directory.EnumerateDirectories(root)
            .Where(folder => File.Exists(Path.Combine(folder, SuitesFile)))
            .Order(StringComparer.Ordinal)
            .Select(Read),
    ];

    private static MutationFolder Read(string folder)
    {
        string[][] lines =
        [
            .. File.ReadAllLines(Path.Combine(folder, SuitesFile))
                .Where(line => line.Length > 0 && line[0] != '#')
                .Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries)),
        ];
        return new MutationFolder(
            Path.GetFileName(folder),
            [.. lines.Where(words => !words[0].Contains('=')).Select(words => new Suite(words[0], [.. words[1..]]))],
            lines.Where(words => words[0].Contains('=')).Select(words => words[0].Split('=', 2)).ToImmutableDictionary(pair => pair[0], pair => pair[1]),
            [
                .. Directory.EnumerateFiles(folder, "*" + Mutation.Extension)
                    .Order(StringComparer.Ordinal)
                    .Select(Mutation.Read),
            ]);
    }
}

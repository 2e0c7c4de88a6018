using System.Collections.Immutable;
using System.Text.RegularExpressions;

namespace Kcore.MutationGate;

/// <summary>How a mutation fared.</summary>
internal enum Verdict
{
    /// <summary>A test failed.</summary>
    Caught,

    /// <summary>Every suite passed: the tests have a hole.</summary>
    Survived,

    /// <summary>Its text is not in the sources exactly once, or the result does not compile: the mutation must be renewed.</summary>
    NotApplied,
}

/// <summary>What one suite said to one mutation.</summary>
/// <param name="Test">The test that failed, or null when all passed.</param>
/// <param name="Seed">The seed at which a simulation failed, where the failure names one.</param>
/// <param name="Text">The first line of the failure.</param>
/// <param name="IsEnded">False when it was stopped at its time limit.</param>
internal sealed partial record SuiteAnswer(Suite Suite, string? Test, int? Seed, string Text, TimeSpan Took, bool IsEnded = true)
{
    public bool IsCatch => Test is not null;

    /// <summary>Reads what <see cref="SuiteRunner"/> wrote.</summary>
    /// <exception cref="MutationException">The suite could not be run at all.</exception>
    public static SuiteAnswer Of(Suite suite, ChildOutcome outcome, TimeSpan limit, TimeSpan took)
    {
        string[] lines = outcome.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        int at = Array.FindIndex(lines, line => line.StartsWith("FAILED ", StringComparison.Ordinal));
        if (at >= 0)
        {
            string text = at + 1 < lines.Length ? lines[at + 1] : "";
            Match seed = SeedPattern().Match(string.Join('\n', lines[at..Math.Min(lines.Length, at + 6)]));
            return new SuiteAnswer(suite, lines[at]["FAILED ".Length..], seed.Success ? int.Parse(seed.Groups["seed"].Value) : null, text, took);
        }

        return outcome.ExitCode switch
        {
            0 => new SuiteAnswer(suite, null, null, lines is [.., var last] ? last : "", took),

            // A busy machine looks the same, so it proves nothing.
            null => new SuiteAnswer(suite, null, null, $"stopped after {limit.TotalSeconds:0} s", took, IsEnded: false),
            2 => throw new MutationException($"{suite}: no test was found or none passed"),
            _ => new SuiteAnswer(suite, "(the process died)", null, lines is [var first, ..] ? first : $"exit code {outcome.ExitCode}", took),
        };
    }

    [GeneratedRegex(@"\bseed:? (?<seed>\d+)", RegexOptions.ExplicitCapture | RegexOptions.IgnoreCase, matchTimeoutMilliseconds: 1000)]
    private static partial Regex SeedPattern();
}

/// <summary>One mutation with everything that was said to it.</summary>
internal sealed record Trial(Mutation Mutation, Verdict Verdict, ImmutableArray<SuiteAnswer> Answers, string Text)
{
    public SuiteAnswer? Catch => Answers.FirstOrDefault(answer => answer.IsCatch);

    public double Seconds => Answers.Sum(answer => answer.Took.TotalSeconds);
}

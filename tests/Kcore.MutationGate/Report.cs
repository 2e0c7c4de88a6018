using System.Collections.Immutable;
using System.Text;
using System.Xml.Linq;

namespace Kcore.MutationGate;

/// <summary>The outcome for people and for the script that counts tests.</summary>
internal static class Report
{
    private const int TestWidth = 72;

    /// <summary>One line for each mutation: name, what it stands for, the test that caught it, seeds, seconds.</summary>
    public static string Table(ImmutableArray<Trial> trials, bool isEverySuite)
    {
        string[][] rows =
        [
            ["mutation", "stands for", "caught by", "seeds", "seconds"],
            .. trials.SelectMany(trial => Rows(trial, isEverySuite)),
        ];
        int[] widths = [.. Enumerable.Range(0, rows[0].Length).Select(column => rows.Max(row => row[column].Length))];
        var text = new StringBuilder();
        foreach (string[] row in rows)
        {
            text.AppendLine(string.Join(" | ", row.Select((cell, column) => cell.PadRight(widths[column]))).TrimEnd());
        }

        return text.ToString();
    }

    /// <summary>The form <c>dotnet test</c> leaves its results in, as far as the script reads it.</summary>
    public static XDocument Trx(ImmutableArray<Trial> trials, ImmutableArray<string> wrong) => new(
        new XElement(
            "TestRun",
            trials.Select(trial => Result(trial.Mutation.FullName, trial.Verdict == Verdict.Caught ? null : $"{trial.Verdict}: {trial.Text}")),
            wrong.Select(text => Result("unchanged", text))));

    private static XElement Result(string name, string? failure) => new(
        "UnitTestResult",
        new XAttribute("testName", "mutation " + name),
        new XAttribute("outcome", failure is null ? "Passed" : "Failed"),
        failure is null ? null : new XElement("Message", failure));

    private static IEnumerable<string[]> Rows(Trial trial, bool isEverySuite)
    {
        SuiteAnswer[] shown = [.. trial.Answers.Where(answer => answer.IsCatch || isEverySuite)];
        return shown.Length == 0
            ? [Row(trial, $"{trial.Verdict}: {trial.Text}", null, trial.Seconds)]
            : shown.Select(answer => Row(trial, answer.Test ?? $"nobody in {answer.Suite.Project}", answer.Seed, answer.Took.TotalSeconds));
    }

    private static string[] Row(Trial trial, string caughtBy, int? seeds, double seconds) =>
    [
        trial.Mutation.FullName,
        trial.Mutation.StandsFor,
        caughtBy.Length <= TestWidth ? caughtBy : "…" + caughtBy[^(TestWidth - 1)..],
        seeds?.ToString() ?? "–",
        seconds.ToString("0.0"),
    ];
}

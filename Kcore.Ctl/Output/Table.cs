using System.Collections.Immutable;

namespace Kcore.Ctl.Output;

/// <param name="Width">Least width; a longer cell widens its column, for names are never cut.</param>
internal sealed record Column(string Title, int Width, bool Right = false);

internal static class Table
{
    public static void Write(TextWriter output, ImmutableArray<Column> columns, IEnumerable<ImmutableArray<string>> rows)
    {
        ImmutableArray<ImmutableArray<string>> all =
        [
            [.. columns.Select(c => c.Title)],
            .. rows.Select(row => row.Select(cell => cell.Length == 0 ? "-" : Printable.Of(cell)).ToImmutableArray()),
        ];
        int[] widths = [.. columns.Select((column, i) => Math.Max(column.Width, all.Max(row => row[i].Length)))];
        foreach (ImmutableArray<string> row in all)
        {
            output.WriteLine(string.Join("  ", row.Select((cell, i) =>
                columns[i].Right ? cell.PadLeft(widths[i]) : cell.PadRight(widths[i]))).TrimEnd());
        }
    }
}

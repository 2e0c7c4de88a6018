namespace Kcore.Ctl.Output;

/// <summary>The lines of a description: label, colon, value, values aligned.</summary>
internal sealed class Labels
{
    private readonly List<(string Label, string Value, bool Indented)> _lines = [];

    public Labels Add(string label, string? value)
    {
        _lines.Add((label, Printable.Of(value), false));
        return this;
    }

    /// <summary>A line that belongs to the label above it.</summary>
    public Labels Indent(string? text)
    {
        _lines.Add(("", Printable.Of(text), true));
        return this;
    }

    public Labels Indent(IEnumerable<string> texts)
    {
        foreach (string text in texts)
        {
            Indent(text);
        }

        return this;
    }

    public void Write(TextWriter output)
    {
        int width = _lines.Max(line => line.Label.Length) + 1;
        foreach ((string label, string value, bool indented) in _lines)
        {
            output.WriteLine(indented ? $"  {value}" : $"{$"{label}:".PadRight(width)} {value}".TrimEnd());
        }
    }
}

using System.Text.Json;
using Kcore.Contracts;

namespace Kcore.Ctl.Output;

/// <summary>One refusal on standard error: for people, or with <c>-o json</c> as one object.</summary>
internal static class ErrorText
{
    public static void Write(TextWriter error, Problem problem, OutputFormat format, bool colour)
    {
        if (format == OutputFormat.Json)
        {
            error.WriteLine(JsonText.Text(writer => Write(writer, problem), indented: false));
            return;
        }

        string label = colour ? "\u001b[1;31mError:\u001b[0m" : "Error:";
        error.WriteLine($"{label} {problem.Code}: {Printable.Of(problem.Message)}");
        foreach (string detail in problem.Details)
        {
            error.WriteLine($"  {Printable.Of(detail)}");
        }

        if (!string.IsNullOrEmpty(problem.Next))
        {
            error.WriteLine($"Next: {Printable.Of(problem.Next)}");
        }
    }

    private static void Write(Utf8JsonWriter writer, Problem problem)
    {
        writer.WriteStartObject();
        writer.WriteString("code", problem.Code.ToString());
        writer.WriteString("message", problem.Message);
        writer.WriteStartArray("details");
        foreach (string? detail in problem.Details)
        {
            writer.WriteStringValue(detail);
        }

        writer.WriteEndArray();
        if (problem.Next is not null)
        {
            writer.WriteString("next", problem.Next);
        }

        writer.WriteEndObject();
    }
}

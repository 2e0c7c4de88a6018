using System.Globalization;
using System.Text;

namespace Kcore.Ctl.Output;

/// <summary>
/// Text from elsewhere made fit for a terminal: a network name or an error must not move the cursor, set the window
/// title or reverse the reading order.
/// </summary>
internal static class Printable
{
    public static string Of(string? text) => Escape(text ?? "", keepLines: false);

    /// <summary>Keeps line breaks and tabs, for text that is laid out by its author.</summary>
    public static string Lines(string? text) => Escape(text ?? "", keepLines: true);

    /// <summary>The same in JSON text, where every such character can only stand inside a string.</summary>
    public static string Json(string json)
    {
        if (!json.Any(c => c is not ('\n' or '\r' or '\t') && IsUnsafe(c)))
        {
            return json;
        }

        var safe = new StringBuilder(json.Length + 32);
        foreach (char c in json)
        {
            _ = c is not ('\n' or '\r' or '\t') && IsUnsafe(c) ? safe.Append($"\\u{(int)c:x4}") : safe.Append(c);
        }

        return safe.ToString();
    }

    private static bool IsUnsafe(char c) => c >= 0x7f || c < 0x20
        ? char.GetUnicodeCategory(c) is UnicodeCategory.Control or UnicodeCategory.Format
            or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator
        : false;

    private static string Escape(string text, bool keepLines)
    {
        if (!text.Any(c => IsUnsafe(c)))
        {
            return text;
        }

        var safe = new StringBuilder(text.Length + 16);
        foreach (char c in text)
        {
            if (!IsUnsafe(c) || (keepLines && (c is '\n' or '\t')))
            {
                safe.Append(c);
            }
            else
            {
                safe.Append(c <= 0xff ? $"\\x{(int)c:x2}" : $"\\u{(int)c:x4}");
            }
        }

        return safe.ToString();
    }
}

using System.Text;
using System.Text.Json;

namespace Kcore.Ctl.Output;

/// <summary>A JSON document as block YAML 1.2 that also reads the same under YAML 1.1 (where <c>no</c> is false).</summary>
internal static class YamlText
{
    public static string Of(JsonElement element)
    {
        var text = new StringBuilder();
        Node(text, element, indent: 0, afterDash: true);
        return text.ToString();
    }

    private static void Node(StringBuilder text, JsonElement element, int indent, bool afterDash)
    {
        switch (element.ValueKind)
        {
            case JsonValueKind.Object when element.EnumerateObject().Any():
                foreach (JsonProperty property in element.EnumerateObject())
                {
                    Start(text, indent, ref afterDash);
                    text.Append(Scalar(property.Name)).Append(':');
                    Child(text, property.Value, indent);
                }

                break;
            case JsonValueKind.Array when element.GetArrayLength() > 0:
                foreach (JsonElement item in element.EnumerateArray())
                {
                    Start(text, indent, ref afterDash);
                    text.Append("- ");
                    Node(text, item, indent + 2, afterDash: true);
                }

                break;
            default:
                text.Append(Leaf(element)).Append('\n');
                break;
        }
    }

    /// <summary>The first line of a node that follows a dash stands on the dash's line.</summary>
    private static void Start(StringBuilder text, int indent, ref bool afterDash)
    {
        text.Append(' ', afterDash ? 0 : indent);
        afterDash = false;
    }

    private static void Child(StringBuilder text, JsonElement value, int indent)
    {
        bool nested = value.ValueKind switch
        {
            JsonValueKind.Object => value.EnumerateObject().Any(),
            JsonValueKind.Array => value.GetArrayLength() > 0,
            _ => false,
        };
        text.Append(nested ? '\n' : ' ');
        Node(text, value, indent + 2, afterDash: !nested);
    }

    private static string Leaf(JsonElement element) => element.ValueKind switch
    {
        JsonValueKind.Object => "{}",
        JsonValueKind.Array => "[]",
        JsonValueKind.String => Scalar(element.GetString()!),
        _ => element.GetRawText(),
    };

    /// <summary>
    /// Plain only where no reader can take it for anything else than a string: letters first, harmless characters, and
    /// none of the words of YAML 1.1. A number, an address or a time gets quotes, which is never wrong.
    /// </summary>
    private static string Scalar(string text)
    {
        bool plain = text.Length > 0
            && char.IsAsciiLetter(text[0])
            && text.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.' or '/')
            && text.ToLowerInvariant() is not ("y" or "n" or "yes" or "no" or "on" or "off" or "true" or "false" or "null");
        return plain ? text : Quoted(text);
    }

    private static string Quoted(string text)
    {
        var quoted = new StringBuilder(text.Length + 2).Append('"');
        foreach (Rune rune in text.EnumerateRunes())
        {
            _ = rune.Value switch
            {
                '"' => quoted.Append("\\\""),
                '\\' => quoted.Append("\\\\"),
                '\n' => quoted.Append("\\n"),
                '\t' => quoted.Append("\\t"),
                '\r' => quoted.Append("\\r"),
                _ when Rune.IsControl(rune) || Rune.GetUnicodeCategory(rune) is System.Globalization.UnicodeCategory.Format
                    or System.Globalization.UnicodeCategory.LineSeparator or System.Globalization.UnicodeCategory.ParagraphSeparator
                    => quoted.Append(rune.Value > 0xffff ? $"\\U{rune.Value:X8}" : $"\\u{rune.Value:X4}"),
                _ => quoted.Append(rune.ToString()),
            };
        }

        return quoted.Append('"').ToString();
    }
}

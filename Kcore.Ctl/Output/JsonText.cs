using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Kcore.Ctl.Output;

/// <summary>JSON for people and scripts: what the daemon sent, indented, nothing renamed or lost.</summary>
internal static class JsonText
{
    public static JsonDocument Parse(byte[] body)
    {
        try
        {
            return JsonDocument.Parse(body);
        }
        catch (JsonException e)
        {
            throw CommandFailure.BadReply("kcored's answer is not JSON", e.Message);
        }
    }

    public static string Indented(JsonElement element) => Text(element.WriteTo, indented: true);

    /// <summary>Runs <paramref name="write"/> on a writer. The relaxed encoder keeps names readable; terminals are seen to afterwards.</summary>
    public static string Text(Action<Utf8JsonWriter> write, bool indented)
    {
        using var buffer = new MemoryStream();
        using (var writer = new Utf8JsonWriter(buffer, new JsonWriterOptions
        {
            Indented = indented,
            NewLine = "\n",
            Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        }))
        {
            write(writer);
        }

        return Printable.Json(Encoding.UTF8.GetString(buffer.GetBuffer(), 0, (int)buffer.Length));
    }
}

using System.Globalization;
using Kcore.Contracts;

namespace Kcore.Ctl.Output;

internal static class EventText
{
    public static string Line(EventInfo e) => Printable.Of(
        $"{Time(e.Time)}  {e.Type,-16}  {e.Node ?? "-",-12}  {e.Network ?? "-",-12}  {e.Message}");

    /// <summary>UTC with microseconds, so that lines of several hosts sort as text.</summary>
    public static string Time(DateTimeOffset time) =>
        time.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.ffffff'Z'", CultureInfo.InvariantCulture);
}

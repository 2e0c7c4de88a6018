using System.Globalization;

namespace Kcore.Ctl.Commands;

/// <summary>Durations as people type them: <c>500ms</c>, <c>30s</c>, <c>2m</c>, <c>1h</c>; a bare number is seconds.</summary>
internal static class Durations
{
    public static TimeSpan Parse(string text) => Parse(text, TimeSpan.FromHours(24));

    public static TimeSpan Parse(string text, TimeSpan most)
    {
        (string number, double unit) = text switch
        {
            [.. var n, 'm', 's'] => (n, 0.001),
            [.. var n, 's'] => (n, 1),
            [.. var n, 'm'] => (n, 60),
            [.. var n, 'h'] => (n, 3600),
            _ => (text, 1.0),
        };
        return double.TryParse(number, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double value)
            && value * unit >= 0 && value * unit <= most.TotalSeconds
            ? TimeSpan.FromSeconds(value * unit)
            : throw CommandFailure.Invalid($"'{text}' is not a duration between 0 and {most.TotalHours:0}h", "for example 500ms, 30s or 2m");
    }
}

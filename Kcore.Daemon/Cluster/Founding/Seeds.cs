using System.Collections.Immutable;
using System.Globalization;

namespace Kcore.Daemon.Cluster.Founding;

/// <summary>The value of <c>--join</c>: <c>HOST[:PORT]</c>, comma-separated.</summary>
internal static class Seeds
{
    private const int MaxSeeds = 64;

    /// <exception cref="FormatException">An item is empty, too long, or has a port outside 1 to 65535.</exception>
    public static ImmutableArray<(string Host, int Port)> Parse(string? text, int defaultPort)
    {
        if (string.IsNullOrWhiteSpace(text))
        {
            return [];
        }

        string[] items = text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        if (items.Length > MaxSeeds)
        {
            throw new FormatException($"cluster.join: at most {MaxSeeds} hosts");
        }

        return [.. items.Select(item => ParseOne(item, defaultPort))];
    }

    private static (string Host, int Port) ParseOne(string item, int defaultPort)
    {
        string[] parts = item.Split(':');
        int port = defaultPort;
        bool valid = parts.Length is 1 or 2
            && parts[0].Length is > 0 and <= 253
            && parts[0].All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '-')
            && (parts.Length == 1 || (int.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out port) && port is > 0 and <= 65535));
        return valid ? (parts[0], port) : throw new FormatException($"cluster.join: '{item}' is not HOST or HOST:PORT");
    }
}

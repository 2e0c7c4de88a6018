using Kcore.Contracts;

namespace Kcore.Ctl.Client;

/// <summary>Paths with names in them. Names are what the user typed and may contain anything.</summary>
internal static class Paths
{
    public static string Network(string name) => $"{Routes.Networks}/{Segment(name)}";

    public static string Node(string name) => $"{Routes.Nodes}/{Segment(name)}";

    public static string Nic(string network, string name) => $"{Routes.Nics}/{Segment(network)}/{Segment(name)}";

    public static string With(string path, string key, string? value) =>
        value is null ? path : $"{path}{(path.Contains('?', StringComparison.Ordinal) ? '&' : '?')}{key}={Uri.EscapeDataString(value)}";

    /// <summary>Dot segments vanish on the way to the handler (RFC 3986 §5.2.4), even when they are escaped.</summary>
    private static string Segment(string name) => name is "." or ".."
        ? throw CommandFailure.Invalid($"'{name}' is not a name: use letters, digits, '-' and '_'")
        : Uri.EscapeDataString(name);
}

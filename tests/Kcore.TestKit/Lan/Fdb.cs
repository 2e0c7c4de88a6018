using System.Text.Json.Nodes;
using Kcore.TestKit.Processes;

namespace Kcore.TestKit.Lan;

/// <summary>One forwarding entry of a VXLAN device that names a remote endpoint.</summary>
public sealed record FdbEntry(string Mac, string Destination)
{
    private const string AllZero = "00:00:00:00:00:00";

    public bool IsFlood => Mac == AllZero;

    /// <summary>The entries of the device that have a destination, in order.</summary>
    public static async Task<IReadOnlyList<FdbEntry>> OfAsync(string netns, string device)
    {
        string text = await Command.OutputAsync("bridge", "-n", netns, "-j", "fdb", "show", "dev", device);
        return
        [
            .. JsonNode.Parse(text)!.AsArray()
                .Where(e => e!["dst"] is not null)
                .Select(e => new FdbEntry((string)e!["mac"]!, (string)e["dst"]!))
                .OrderBy(e => e.Mac, StringComparer.Ordinal).ThenBy(e => e.Destination, StringComparer.Ordinal),
        ];
    }
}

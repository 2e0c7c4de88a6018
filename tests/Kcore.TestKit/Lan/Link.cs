using System.Text.Json.Nodes;
using Kcore.TestKit.Processes;

namespace Kcore.TestKit.Lan;

/// <summary>A network device as <c>ip -d -j link</c> tells it.</summary>
public sealed record Link(string Name, int Index, int Mtu, string? Kind, string? Master, string? Mac, JsonNode? Data, JsonNode? PortData)
{
    public static async Task<IReadOnlyList<Link>> AllAsync(string netns)
    {
        string text = await Command.OutputAsync("ip", "-n", netns, "-d", "-j", "link", "show");
        return [.. JsonNode.Parse(text)!.AsArray().Where(l => l!["ifname"] is not null).Select(l => Read(l!))];
    }

    /// <summary>The device, or null when there is none of that name.</summary>
    public static async Task<Link?> FindAsync(string netns, string name) =>
        (await AllAsync(netns)).FirstOrDefault(l => l.Name == name);

    private static Link Read(JsonNode link) => new(
        (string)link["ifname"]!,
        (int)link["ifindex"]!,
        (int)link["mtu"]!,
        (string?)link["linkinfo"]?["info_kind"],
        (string?)link["master"],
        (string?)link["address"],
        link["linkinfo"]?["info_data"],
        link["linkinfo"]?["info_slave_data"]);
}

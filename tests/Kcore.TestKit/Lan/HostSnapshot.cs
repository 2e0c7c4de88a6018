using System.Text.Json.Nodes;
using Kcore.TestKit.Processes;

namespace Kcore.TestKit.Lan;

/// <summary>What Kcore may touch on one node, as comparable lines: devices, addresses, forwarding entries, rules, processes, files.</summary>
public sealed class HostSnapshot
{
    private readonly SortedSet<string> _lines;

    private HostSnapshot(IEnumerable<string> lines) => _lines = new(lines, StringComparer.Ordinal);

    /// <summary>In order, each once.</summary>
    public IReadOnlyCollection<string> Lines => _lines;

    public static async Task<HostSnapshot> TakeAsync(LanNode node)
    {
        string ns = node.Namespace;
        List<string> lines = [];
        foreach (Link link in await Link.AllAsync(ns))
        {
            lines.Add($"link {link.Name} index {link.Index} kind {link.Kind} mtu {link.Mtu} master {link.Master} mac {link.Mac}");
        }

        foreach (JsonNode? link in await JsonAsync("ip", "-n", ns, "-j", "addr", "show"))
        {
            lines.AddRange((link!["addr_info"]?.AsArray() ?? [])
                .Where(a => a!["local"] is not null)
                .Select(a => $"address {a!["local"]}/{a["prefixlen"]} on {link["ifname"]}"));
        }

        foreach (JsonNode? e in await JsonAsync("bridge", "-n", ns, "-j", "fdb", "show"))
        {
            lines.Add($"fdb {e!["mac"]} dev {e["ifname"]} dst {e["dst"]} master {e["master"]} state {e["state"]}");
        }

        foreach (JsonNode? r in await JsonAsync("ip", "-n", ns, "-j", "-4", "route", "show", "table", "all"))
        {
            lines.Add($"route {r!["type"]} {r["dst"]} via {r["gateway"]} dev {r["dev"]} table {r["table"]}");
        }

        string ruleset = (await Netns.ExecAsync(ns, "nft", "-j", "list", "ruleset")).OrThrow().Stdout;
        foreach (JsonNode? item in JsonNode.Parse(ruleset)!["nftables"]!.AsArray())
        {
            if (item!["metainfo"] is null)
            {
                lines.Add("nft " + WithoutCounters(item)!.ToJsonString());
            }
        }

        string pids = await Command.OutputAsync("ip", "netns", "pids", ns);
        lines.AddRange(pids.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(p => "process " + NameOf(p.Trim())));
        lines.AddRange(Directory.EnumerateFiles(node.DataDirectory, "*", SearchOption.AllDirectories)
            .Select(f => Path.GetRelativePath(node.DataDirectory, f))
            .Where(f => !IsJournal(f))
            .Select(f => "file " + f));
        return new HostSnapshot(lines);
    }

    /// <summary>One line per thing that is only before (<c>-</c>) or only after (<c>+</c>).</summary>
    public IReadOnlyList<string> DifferencesTo(HostSnapshot after) =>
    [
        .. _lines.Except(after._lines, StringComparer.Ordinal).Select(l => "- " + l),
        .. after._lines.Except(_lines, StringComparer.Ordinal).Select(l => "+ " + l),
    ];

    // Databases and the Raft log keep side files that come and go by their own rules.
    private static bool IsJournal(string file) =>
        file.EndsWith("-wal", StringComparison.Ordinal)
        || file.EndsWith("-shm", StringComparison.Ordinal)
        || file.StartsWith("raft", StringComparison.Ordinal);

    private static string NameOf(string pid)
    {
        try
        {
            return File.ReadAllText($"/proc/{pid}/comm").Trim();
        }
        catch (IOException)
        {
            return "gone";
        }
    }

    private static async Task<JsonArray> JsonAsync(string file, params string[] arguments)
    {
        string text = await Command.OutputAsync(file, arguments);
        return string.IsNullOrWhiteSpace(text) ? [] : JsonNode.Parse(text)!.AsArray();
    }

    // Handles and counters differ without any change of meaning, and a set has no order.
    private static JsonNode? WithoutCounters(JsonNode? node) => node switch
    {
        JsonObject o => new JsonObject(o
            .Where(p => p.Key is not ("handle" or "packets" or "bytes" or "expires"))
            .Select(p => KeyValuePair.Create(p.Key, p.Key == "elem" ? Sorted(WithoutCounters(p.Value)) : WithoutCounters(p.Value)))),
        JsonArray a => new JsonArray([.. a.Select(WithoutCounters)]),
        _ => node?.DeepClone(),
    };

    private static JsonNode? Sorted(JsonNode? elements) => elements is JsonArray a
        ? new JsonArray([.. a.Select(e => e?.DeepClone()).OrderBy(e => e?.ToJsonString(), StringComparer.Ordinal)])
        : elements;
}

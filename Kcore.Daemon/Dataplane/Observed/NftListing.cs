using System.Collections.Immutable;
using System.Globalization;
using System.Net;
using System.Text.Json;
using Kcore.Daemon.Dataplane.Desired;

namespace Kcore.Daemon.Dataplane.Observed;

/// <summary>Reads what `nft -j list table` prints (libnftables-json(5)) into the same form as the desired tables.</summary>
internal static class NftListing
{
    /// <summary>
    /// Null when no listing has a table of ours. Unknown objects make a skeleton line of their own, so that an
    /// added map or rule is a difference like any other.
    /// </summary>
    /// <exception cref="JsonException">The text is not JSON of the documented form.</exception>
    public static NftTables? Read(IEnumerable<string> listings)
    {
        try
        {
            return ReadAll(listings);
        }
        catch (Exception e) when (e is InvalidOperationException or FormatException)
        {
            throw new JsonException("an nft listing has a value of an unexpected kind", e);
        }
    }

    private static NftTables? ReadAll(IEnumerable<string> listings)
    {
        List<string> sets = [];
        List<string> chains = [];
        List<(string, string)> rules = [];
        Dictionary<string, ImmutableSortedSet<string>> elements = new(StringComparer.Ordinal);
        Dictionary<(string Set, string Element), FrameCount> counts = [];
        bool any = false;
        foreach (string listing in listings)
        {
            using JsonDocument document = JsonDocument.Parse(listing);
            foreach (JsonElement entry in Property(document.RootElement, "nftables").EnumerateArray())
            {
                JsonProperty item = entry.EnumerateObject().First();
                switch (item.Name)
                {
                    case "metainfo":
                        break;
                    case "table":
                        any = true;
                        break;
                    case "set" or "map":
                        ReadSet(item.Value, sets, elements, counts);
                        break;
                    case "chain":
                        chains.Add(ReadChain(item.Value));
                        break;
                    case "rule":
                        rules.Add(($"{Text(item.Value, "family")} {Text(item.Value, "chain")}", Text(item.Value, "comment")));
                        break;
                    default:
                        sets.Add($"{item.Name} {Text(item.Value, "family")} {Text(item.Value, "name")}");
                        break;
                }
            }
        }

        return any
            ? new NftTables(
                NftSkeleton.Arrange(sets, chains, rules),
                elements.ToImmutableSortedDictionary(StringComparer.Ordinal))
            {
                Counts = counts.ToImmutableDictionary(),
            }
            : null;
    }

    private static string ReadChain(JsonElement chain) => NftSkeleton.ChainLine(
        Text(chain, "family"), Text(chain, "name"), Text(chain, "type"), Text(chain, "hook"),
        chain.TryGetProperty("prio", out JsonElement priority) && priority.TryGetInt32(out int value) ? value : 0,
        Text(chain, "policy"));

    private static void ReadSet(
        JsonElement set,
        List<string> sets,
        Dictionary<string, ImmutableSortedSet<string>> elements,
        Dictionary<(string Set, string Element), FrameCount> counts)
    {
        string family = Text(set, "family");
        string name = Text(set, "name");
        bool interval = set.TryGetProperty("flags", out JsonElement flags)
            && (flags.ValueKind == JsonValueKind.Array ? flags.EnumerateArray().Any(f => f.ValueEquals("interval")) : flags.ValueEquals("interval"));
        string? data = set.TryGetProperty("map", out JsonElement leadsTo) ? TypeText(leadsTo) : null;
        sets.Add(NftSkeleton.SetLine(family, name, TypeText(Property(set, "type")), interval, data));
        elements[$"{family} {name}"] = set.TryGetProperty("elem", out JsonElement list)
            ? [.. list.EnumerateArray().Select(e => Counted(e, $"{family} {name}", counts))]
            : [];
    }

    /// <summary>An element that only counts is the element; its count is kept beside it.</summary>
    private static string Counted(JsonElement element, string set, Dictionary<(string Set, string Element), FrameCount> counts)
    {
        if (element.ValueKind != JsonValueKind.Object
            || !element.TryGetProperty("elem", out JsonElement inner)
            || inner.ValueKind != JsonValueKind.Object
            || inner.EnumerateObject().Any(p => p.Name is not ("val" or "counter"))
            || !inner.TryGetProperty("val", out JsonElement value)
            || !inner.TryGetProperty("counter", out JsonElement counter))
        {
            return Element(element);
        }

        string text = Element(value);
        counts[(set, text)] = new FrameCount(Property(counter, "packets").GetUInt64(), Property(counter, "bytes").GetUInt64());
        return text;
    }

    private static string TypeText(JsonElement type) => type.ValueKind switch
    {
        JsonValueKind.Array => string.Join(" . ", type.EnumerateArray().Select(TypeText)),

        // Newer versions of nft tell the expression whose type it is.
        JsonValueKind.Object => NftSkeleton.Integer,
        _ => type.GetString() ?? "",
    };

    private static string Element(JsonElement element)
    {
        // Of a map: what leads, and where to.
        if (element.ValueKind == JsonValueKind.Array && element.GetArrayLength() == 2)
        {
            return $"{Element(element[0])} : {Element(element[1])}";
        }

        if (element.ValueKind == JsonValueKind.String)
        {
            string text = element.GetString()!;
            // nft and .NET may abbreviate IPv6 differently.
            return text.Contains(':') && IPAddress.TryParse(text, out IPAddress? address) ? address.ToString() : text;
        }

        if (element.ValueKind == JsonValueKind.Object)
        {
            if (element.TryGetProperty("concat", out JsonElement parts))
            {
                return string.Join(" . ", parts.EnumerateArray().Select(Element));
            }

            if (element.TryGetProperty("prefix", out JsonElement prefix))
            {
                return string.Create(CultureInfo.InvariantCulture,
                    $"{Element(Property(prefix, "addr"))}/{Property(prefix, "len").GetInt32()}");
            }
        }

        // A range, a timeout, a counter: not ours, and must differ from everything that is.
        return element.GetRawText();
    }

    private static JsonElement Property(JsonElement element, string name) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out JsonElement value)
            ? value
            : throw new JsonException($"nft listing lacks '{name}'");

    private static string Text(JsonElement element, string name) =>
        element.TryGetProperty(name, out JsonElement value) && value.ValueKind == JsonValueKind.String
            ? value.GetString()!
            : "-";
}

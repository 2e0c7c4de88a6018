using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Text.Json;
using Kcore.Daemon.Dataplane.Desired;

namespace Kcore.Daemon.Dataplane.Observed;

/// <summary>The chains of other people's tables, as `nft -j list ruleset` prints them (libnftables-json(5)).</summary>
internal sealed class ForeignRuleset
{
    private readonly FrozenDictionary<(string Family, string Table, string Chain), ForeignChain> _chains;

    private ForeignRuleset(IEnumerable<ForeignChain> chains)
    {
        _chains = chains.DistinctBy(c => (c.Family, c.Table, c.Name)).ToFrozenDictionary(c => (c.Family, c.Table, c.Name));
        BaseChains =
        [
            .. _chains.Values.Where(c => c.Hook is not null)
                .OrderBy(c => c.Family, StringComparer.Ordinal).ThenBy(c => c.Table, StringComparer.Ordinal).ThenBy(c => c.Name, StringComparer.Ordinal),
        ];
    }

    public static ForeignRuleset Empty { get; } = new([]);

    /// <summary>Those that the kernel calls, in a fixed order.</summary>
    public ImmutableArray<ForeignChain> BaseChains { get; }

    public ForeignChain? Find(ForeignChain caller, string name) => _chains.GetValueOrDefault((caller.Family, caller.Table, name));

    /// <summary>Names of all chains of a table, which often tell whose it is.</summary>
    public IEnumerable<string> ChainsOf(string family, string table) =>
        _chains.Keys.Where(k => k.Family == family && k.Table == table).Select(k => k.Chain);

    /// <exception cref="JsonException">The text is not JSON of the documented form.</exception>
    public static ForeignRuleset Read(string listing)
    {
        // Half a surrogate pair is JSON to the parser and no text to whoever asks for it. nft prints characters, never such escapes.
        if (HasSurrogateEscape(listing))
        {
            throw new JsonException("the listing has escapes nft does not write");
        }

        Dictionary<(string Family, string Table, string Chain), (ForeignChain Chain, List<ForeignRule> Rules)> chains = [];
        using JsonDocument document = JsonDocument.Parse(listing);
        if (document.RootElement.ValueKind != JsonValueKind.Object
            || !document.RootElement.TryGetProperty("nftables", out JsonElement entries)
            || entries.ValueKind != JsonValueKind.Array)
        {
            throw new JsonException("the listing lacks 'nftables'");
        }

        foreach (JsonElement entry in entries.EnumerateArray())
        {
            if (Object(entry, "chain") is { } chain && Text(chain, "table") != NftSkeleton.TableName)
            {
                string name = Text(chain, "name");
                chains.TryAdd(
                    (Text(chain, "family"), Text(chain, "table"), name),
                    (new ForeignChain(Text(chain, "family"), Text(chain, "table"), name, TextOrNull(chain, "hook"), Text(chain, "policy") == "drop", []), []));
            }
            else if (Object(entry, "rule") is { } rule
                && chains.TryGetValue((Text(rule, "family"), Text(rule, "table"), Text(rule, "chain")), out (ForeignChain Chain, List<ForeignRule> Rules) of)
                && rule.TryGetProperty("expr", out JsonElement expressions) && expressions.ValueKind == JsonValueKind.Array)
            {
                long handle = rule.TryGetProperty("handle", out JsonElement number) && number.ValueKind == JsonValueKind.Number && number.TryGetInt64(out long value) ? value : 0;
                of.Rules.Add(new ForeignRule(handle, [.. expressions.EnumerateArray().Select(e => e.Clone())]));
            }
        }

        return new ForeignRuleset(chains.Values.Select(c => c.Chain with { Rules = [.. c.Rules] }));
    }

    private static bool HasSurrogateEscape(string text)
    {
        for (int at = text.IndexOf("\\u", StringComparison.Ordinal); at >= 0; at = text.IndexOf("\\u", at + 2, StringComparison.Ordinal))
        {
            // An odd number of backslashes before it makes this one an escaped backslash, and the rest plain text.
            int backslashes = 0;
            while (at - backslashes > 0 && text[at - backslashes - 1] == '\\')
            {
                backslashes++;
            }

            if (backslashes % 2 == 0 && at + 3 < text.Length
                && text[at + 2] is 'd' or 'D'
                && text[at + 3] is '8' or '9' or (>= 'a' and <= 'f') or (>= 'A' and <= 'F'))
            {
                return true;
            }
        }

        return false;
    }

    private static JsonElement? Object(JsonElement entry, string name) =>
        entry.ValueKind == JsonValueKind.Object && entry.TryGetProperty(name, out JsonElement value) && value.ValueKind == JsonValueKind.Object ? value : null;

    private static string? TextOrNull(JsonElement element, string name) =>
        element.TryGetProperty(name, out JsonElement value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    private static string Text(JsonElement element, string name) => TextOrNull(element, name) ?? "";
}

/// <param name="Hook">Null for a chain that only others jump to.</param>
/// <param name="DropsByPolicy">What no rule decides is dropped.</param>
internal sealed record ForeignChain(string Family, string Table, string Name, string? Hook, bool DropsByPolicy, ImmutableArray<ForeignRule> Rules);

/// <param name="Handle">As `nft -a list ruleset` shows it.</param>
/// <param name="Expressions">What it asks and does, in order.</param>
internal sealed record ForeignRule(long Handle, ImmutableArray<JsonElement> Expressions);

using System.Collections.Immutable;
using System.Globalization;
using System.Text;

namespace Kcore.Daemon.Dataplane.Desired;

/// <summary>Our tables as input for nft -f: one transaction, nobody sees a state in between.</summary>
internal static class NftText
{
    /// <summary>
    /// Declares, deletes and declares again each table, so the same text works whether it exists or not.
    /// Null removes the tables.
    /// </summary>
    /// <param name="counts">What was counted in the tables that are replaced, so that counting goes on.</param>
    public static string Render(NftTables? tables, ImmutableDictionary<(string Set, string Element), FrameCount>? counts = null)
    {
        counts ??= ImmutableDictionary<(string Set, string Element), FrameCount>.Empty;
        StringBuilder text = new();
        foreach (string family in NftSkeleton.Families)
        {
            text.Append(CultureInfo.InvariantCulture, $"table {family} {NftSkeleton.TableName} {{\n}}\n");
            text.Append(CultureInfo.InvariantCulture, $"delete table {family} {NftSkeleton.TableName}\n");
        }

        if (tables is null)
        {
            return text.ToString();
        }

        foreach (string family in NftSkeleton.Families)
        {
            text.Append(CultureInfo.InvariantCulture, $"table {family} {NftSkeleton.TableName} {{\n");
            foreach (NftSkeleton.SetDefinition set in NftSkeleton.Sets.Where(s => s.Family == family))
            {
                RenderSet(text, set, tables.Elements.GetValueOrDefault(set.Key) ?? [], counts);
            }

            foreach (NftSkeleton.ChainDefinition chain in NftSkeleton.ChainsOf(tables).Where(c => c.Family == family))
            {
                RenderChain(text, chain);
            }

            text.Append("}\n");
        }

        return text.ToString();
    }

    private static void RenderSet(StringBuilder text, NftSkeleton.SetDefinition set, ImmutableSortedSet<string> elements, ImmutableDictionary<(string Set, string Element), FrameCount> counts)
    {
        text.Append(set.Expression is { } expression
            ? $"  set {set.Name} {{\n    typeof {expression}\n"
            : set.Data is null
            ? $"  set {set.Name} {{\n    type {set.Type}\n"
            : $"  map {set.Name} {{\n    type {set.Type} : {set.Data}\n");
        if (set.Interval)
        {
            text.Append("    flags interval\n");
        }

        if (set.Counts)
        {
            text.Append("    counter\n");
        }

        if (!elements.IsEmpty)
        {
            text.Append(CultureInfo.InvariantCulture,
                $"    elements = {{ {string.Join(", ", elements.Select(e => Spell(e, set) + Counted(counts, set, e)))} }}\n");
        }

        text.Append("  }\n");
    }

    private static string Counted(ImmutableDictionary<(string Set, string Element), FrameCount> counts, NftSkeleton.SetDefinition set, string element) =>
        set.Counts && counts.TryGetValue((set.Key, element), out FrameCount count)
            ? string.Create(CultureInfo.InvariantCulture, $" counter packets {count.Packets} bytes {count.Bytes}")
            : "";

    private static string Spell(string element, NftSkeleton.SetDefinition set) => set.Data is null
        ? Spell(element, set.Type.Split(" . "))
        : string.Join(" : ", element.Split(" : ").Zip([set.Type, set.Data], (side, type) => Spell(side, type.Split(" . "))));

    private static string Spell(string element, string[] types) =>
        string.Join(" . ", element.Split(" . ").Select((part, i) => types[i] == "ifname" ? $"\"{part}\"" : part));

    private static void RenderChain(StringBuilder text, NftSkeleton.ChainDefinition chain)
    {
        text.Append(CultureInfo.InvariantCulture,
            $"  chain {chain.Name} {{\n    type {chain.Type} hook {chain.Hook} priority {chain.Priority}; policy accept;\n");
        foreach (string rule in chain.Rules)
        {
            text.Append(CultureInfo.InvariantCulture, $"    {rule} comment \"{NftSkeleton.CommentOf(rule)}\"\n");
        }

        text.Append("  }\n");
    }
}

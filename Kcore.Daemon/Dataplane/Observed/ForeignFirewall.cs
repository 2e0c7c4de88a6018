using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;
using Kcore.Daemon.Dataplane.Desired;
using Kcore.Daemon.Dataplane.Mesh;

namespace Kcore.Daemon.Dataplane.Observed;

/// <summary>Somebody else's rule that drops what we need.</summary>
/// <param name="Traffic">What is dropped, for people.</param>
/// <param name="Rule">"policy drop" or "rule N", its handle.</param>
/// <param name="Owner">Whose table it probably is: firewalld, ufw, Docker …</param>
/// <param name="Next">What helps.</param>
internal sealed record FirewallBlock(string Traffic, string Family, string Table, string Chain, string Hook, string Rule, string Owner, string Next)
{
    /// <summary>Only guests of this bridge of ours suffer; null: all overlays of the node, or all its bridges.</summary>
    public string? Bridge { get; init; }

    public override string ToString() =>
        $"{Traffic}: dropped by {Rule} of chain {Chain} in table {Family} {Table} (hook {Hook}, {Owner}); {Next}";
}

/// <summary>
/// Which foreign rules drop our packets, found by walking the chains with packets as we send them: whoever drops wins, an
/// accept of ours does not help. A question that cannot be answered from the listing is not taken for a drop, and counts as
/// an accept only in a rule that is about our device or port. So this names what certainly drops; it cannot prove that nothing does.
/// </summary>
internal sealed class ForeignFirewall(ForeignRuleset ruleset)
{
    /// <summary>The kernel's own limit of nested jumps (NFT_JUMP_STACK_SIZE).</summary>
    private const int DepthMax = 16;

    /// <summary>Rules looked at for one packet; a ruleset that takes more is not judged.</summary>
    private const int RulesMax = 20_000;

    /// <summary>Networks that are walked one by one.</summary>
    private const int BridgesMax = 64;

    private int _budget;

    /// <param name="tables">Our tables, which say what we need.</param>
    /// <param name="bridgedPasses">Frames between guests of one bridge pass the host's firewall as well (br_netfilter).</param>
    public static ImmutableArray<FirewallBlock> Blocks(ForeignRuleset ruleset, NftTables? tables, bool bridgedPasses) =>
        tables is null || ruleset.BaseChains.IsEmpty ? [] : [.. new ForeignFirewall(ruleset).Find(tables, bridgedPasses).Distinct()];

    private IEnumerable<FirewallBlock> Find(NftTables tables, bool bridgedPasses)
    {
        bool v6 = !Elements(tables, "inet vteps6").IsEmpty && Elements(tables, "inet vteps4").IsEmpty;
        if (!Elements(tables, NftSkeleton.Tunnels).IsEmpty)
        {
            ProbePacket tunnel = new(null, null, "udp", 4789, "untracked") { V6 = v6 };
            foreach (FirewallBlock block in Walk("tunnel packets from other nodes (UDP 4789)", ["prerouting", "input"], tunnel)
                .Concat(Walk("tunnel packets to other nodes (UDP 4789)", ["output", "postrouting"], tunnel)))
            {
                yield return block;
            }
        }

        if (!Elements(tables, NftSkeleton.SecretVnis).IsEmpty)
        {
            ProbePacket secret = new(null, null, "udp", MeshIntent.Port, "new") { V6 = v6 };
            foreach (FirewallBlock block in Walk("WireGuard packets from other nodes (UDP 51820)", ["prerouting", "input"], secret)
                .Concat(Walk("WireGuard packets to other nodes (UDP 51820)", ["output", "postrouting"], secret)))
            {
                yield return block;
            }
        }

        ImmutableSortedSet<string> egress = Elements(tables, "inet egress");
        HashSet<string> translated = [.. Elements(tables, "inet nat4").Select(e => e.Split(" . ")[0])];
        foreach (string bridge in Elements(tables, "inet bridges").Take(BridgesMax))
        {
            foreach (string device in egress.Where(translated.Contains))
            {
                foreach (FirewallBlock block in Walk($"guests of {bridge} to the outside", ["forward"], new(bridge, device, null, null, "new"), bridge: bridge)
                    .Concat(Walk($"answers from the outside to guests of {bridge}", ["forward"], new(device, bridge, null, null, "established"), bridge: bridge)))
                {
                    yield return block;
                }
            }

            foreach (FirewallBlock block in Walk($"guests of {bridge} to their gateway", ["input"], new(bridge, null, "icmp", null, "new"), bridge: bridge)
                .Concat(bridgedPasses ? Walk($"guests of {bridge} among themselves", ["forward"], new(bridge, bridge, null, null, "new"), bridge: bridge) : []))
            {
                yield return block;
            }
        }

        foreach (FirewallBlock block in Walk("frames of all our bridges", ["prerouting", "forward", "postrouting"], new(null, null, null, null, "untracked"), "bridge"))
        {
            yield return block;
        }
    }

    private IEnumerable<FirewallBlock> Walk(string traffic, string[] hooks, ProbePacket packet, string? family = null, string? bridge = null)
    {
        foreach (ForeignChain chain in ruleset.BaseChains.Where(c =>
            hooks.Contains(c.Hook) && (family is null ? c.Family == "inet" || c.Family == (packet.V6 ? "ip6" : "ip") : c.Family == family)))
        {
            _budget = RulesMax;
            Verdict verdict = Judge(chain, packet, 0);
            string? rule = verdict switch
            {
                Verdict.Drop drop => string.Create(CultureInfo.InvariantCulture, $"rule {drop.Handle}"),
                Verdict.None when chain.DropsByPolicy && _budget > 0 => "policy drop",
                _ => null,
            };
            if (rule is not null)
            {
                string where = verdict is Verdict.Drop { Chain: { } inner } ? inner.Name : chain.Name;
                (string owner, string next) = OwnerOf(chain, packet);
                yield return new FirewallBlock(traffic, chain.Family, chain.Table, where, chain.Hook!, rule, owner, next) { Bridge = bridge };
            }
        }
    }

    private abstract record Verdict
    {
        public sealed record None : Verdict;

        public sealed record Accept : Verdict;

        public sealed record Drop(ForeignChain Chain, long Handle) : Verdict;
    }

    private static readonly Verdict _none = new Verdict.None();
    private static readonly Verdict _accept = new Verdict.Accept();

    private Verdict Judge(ForeignChain chain, ProbePacket packet, int depth)
    {
        if (depth >= DepthMax)
        {
            return _none;
        }

        bool left = false;
        foreach (ForeignRule rule in chain.Rules)
        {
            if (--_budget <= 0)
            {
                return _accept;
            }

            if (Ask(chain, rule, packet, depth, ref left) is { } verdict && !(left && verdict is Verdict.Drop))
            {
                return verdict;
            }
        }

        return _none;
    }

    /// <summary>What one rule decides; null when the next one is asked.</summary>
    /// <param name="left">Set when the packet may have left the chain here: what the chain drops further down is not certain any more.</param>
    private Verdict? Ask(ForeignChain chain, ForeignRule rule, ProbePacket packet, int depth, ref bool left)
    {
        bool? applies = true;
        bool specific = false;
        foreach (JsonElement expression in rule.Expressions)
        {
            if (applies == false)
            {
                return null;
            }

            switch (Only(expression))
            {
                case ("match", { ValueKind: JsonValueKind.Object } match):
                    applies = And(applies, RuleMatch.Match(match, packet, ref specific));
                    break;
                case ("vmap", { ValueKind: JsonValueKind.Object } map):
                    if (RuleMatch.Lookup(map, packet) is { } leadsTo && Decide(chain, rule, Only(leadsTo), applies, specific, packet, depth) is { } mapped)
                    {
                        return mapped;
                    }

                    break;
                case ("accept" or "drop" or "reject" or "jump" or "goto" or "return", _) and var verdict:
                    left |= applies is null && verdict.Name == "return";
                    if (Decide(chain, rule, verdict, applies, specific, packet, depth) is { } decided)
                    {
                        return decided;
                    }

                    break;
                case ("counter" or "log" or "comment" or "notrack" or "mangle", _):
                    break;
                case ("xt", { ValueKind: JsonValueKind.Object } extension) when packet.State == "established" && extension.TryGetProperty("name", out JsonElement name) && name.ValueEquals("conntrack"):
                    // iptables' own question about the connection, of which the listing shows no more than that: one that accepts is about packets like this one.
                    specific = true;
                    applies = And(applies, null);
                    break;
                default:
                    // A limit, an extension of iptables, something newer than this: it may or may not apply.
                    applies = And(applies, null);
                    break;
            }
        }

        return null;
    }

    /// <summary>The one member of an object; an empty name when it is none.</summary>
    private static (string Name, JsonElement Value) Only(JsonElement element)
    {
        if (element.ValueKind == JsonValueKind.Object)
        {
            foreach (JsonProperty property in element.EnumerateObject())
            {
                return (property.Name, property.Value);
            }
        }

        return ("", default);
    }

    /// <summary>What a rule's verdict comes to; null when the next rule is asked.</summary>
    private Verdict? Decide(ForeignChain chain, ForeignRule rule, (string Name, JsonElement Value) verdict, bool? applies, bool specific, ProbePacket packet, int depth)
    {
        switch (verdict.Name)
        {
            case "accept":
                return applies == true || (applies is null && specific) ? _accept : null;
            case "drop" or "reject":
                return applies == true ? new Verdict.Drop(chain, rule.Handle) : null;
            case "return":
                return applies == true ? _none : null;
            case "jump" or "goto":
                if (applies == false
                    || verdict.Value.ValueKind != JsonValueKind.Object
                    || !verdict.Value.TryGetProperty("target", out JsonElement target)
                    || target.ValueKind != JsonValueKind.String
                    || ruleset.Find(chain, target.GetString()!) is not { } next)
                {
                    return null;
                }

                Verdict there = Judge(next, packet, depth + 1);
                return there switch
                {
                    Verdict.Accept => there,
                    Verdict.Drop when applies == true => there,
                    Verdict.None when applies == true && verdict.Name == "goto" => there,
                    _ => null,
                };
            default:
                return null;
        }
    }

    private static bool? And(bool? a, bool? b) => a == false || b == false ? false : a is null || b is null ? null : true;

    private (string Owner, string Next) OwnerOf(ForeignChain chain, ProbePacket packet)
    {
        string device = packet.In ?? packet.Out ?? "kbr-*";
        if (chain.Table == "firewalld")
        {
            return ("firewalld", packet.DestinationPort is { } port
                ? $"firewall-cmd --permanent --add-port={port}/udp && firewall-cmd --reload"
                : $"firewall-cmd --permanent --zone=trusted --add-interface={device} && firewall-cmd --reload");
        }

        string[] names = [.. ruleset.ChainsOf(chain.Family, chain.Table)];
        if (Array.Exists(names, n => n.StartsWith("ufw", StringComparison.Ordinal)))
        {
            return ("ufw", packet.DestinationPort is { } port ? $"ufw allow {port}/udp"
                : chain.Hook == "forward" ? $"ufw route allow in on {device} out on {packet.Out ?? device}" : $"ufw allow in on {device}");
        }

        if (chain.Hook == "forward" && Array.Exists(names, n => n.StartsWith("DOCKER", StringComparison.Ordinal)))
        {
            return ("Docker", $"iptables -I DOCKER-USER -i {device} -o {packet.Out ?? device} -j ACCEPT");
        }

        string what = packet.DestinationPort is { } p ? $"udp dport {p}" : packet.Out is not null && packet.In is not null ? $"iifname \"{packet.In}\" oifname \"{packet.Out}\"" : $"iifname \"{device}\"";
        return ("owner unknown", chain.Family == "bridge"
            ? "accept there what our bridges carry"
            : $"nft insert rule {chain.Family} {chain.Table} {chain.Name} {what} accept");
    }

    private static ImmutableSortedSet<string> Elements(NftTables tables, string set) => tables.Elements.GetValueOrDefault(set) ?? [];
}

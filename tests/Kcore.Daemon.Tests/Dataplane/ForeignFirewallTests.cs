using System.Collections.Immutable;
using System.Text.Json;
using Kcore.Daemon.Dataplane;
using Kcore.Daemon.Dataplane.Apply;
using Kcore.Daemon.Dataplane.Desired;
using Kcore.Daemon.Dataplane.Observed;
using Kcore.Netlink.Namespaces;

namespace Kcore.Daemon.Tests.Dataplane;

/// <summary>Which of other people's rules drop what we need.</summary>
public sealed class ForeignFirewallTests
{
    private const string Firewalld = """
        table inet firewalld {
          chain filter_INPUT {
            type filter hook input priority filter + 10; policy accept;
            ct state { established, related } accept
            iifname "lo" accept
            jump filter_INPUT_ZONES
            ct state { invalid } drop
            reject with icmpx type admin-prohibited
          }
          chain filter_FORWARD {
            type filter hook forward priority filter + 10; policy accept;
            ct state { established, related } accept
            jump filter_FORWARD_ZONES
            reject with icmpx type admin-prohibited
          }
          chain filter_INPUT_ZONES {
            iifname "eth0" goto filter_IN_public
            goto filter_IN_public
          }
          chain filter_FORWARD_ZONES { }
          chain filter_IN_public {
            jump filter_IN_public_allow
            meta l4proto icmp accept
            return
          }
          chain filter_IN_public_allow {
            tcp dport 22 accept
          }
        }
        """;

    private const string Ufw = """
        table ip filter {
          chain INPUT { type filter hook input priority filter; policy drop; jump ufw-before-input; jump ufw-user-input; }
          chain FORWARD { type filter hook forward priority filter; policy drop; jump ufw-before-forward; }
          chain ufw-before-input { iifname "lo" accept; ct state established,related accept; meta l4proto icmp icmp type echo-request accept; }
          chain ufw-before-forward { ct state established,related accept; }
          chain ufw-user-input { tcp dport 22 accept; }
        }
        """;

    private const string Docker = """
        table ip filter {
          chain DOCKER-USER { counter return; }
          chain DOCKER { }
          chain FORWARD {
            type filter hook forward priority filter; policy drop;
            jump DOCKER-USER
            oifname "docker0" ct state established,related accept
            iifname "docker0" oifname != "docker0" accept
          }
        }
        """;

    [SkippableTheory]
    [InlineData(Firewalld, "firewalld", "tunnel packets from other nodes (UDP 4789): dropped by rule N of chain filter_INPUT in table inet firewalld (hook input, firewalld); firewall-cmd --permanent --add-port=4789/udp && firewall-cmd --reload")]
    [InlineData(Firewalld, "firewalld", "guests of kbr-prod to the outside: dropped by rule N of chain filter_FORWARD in table inet firewalld (hook forward, firewalld); firewall-cmd --permanent --zone=trusted --add-interface=kbr-prod && firewall-cmd --reload")]
    [InlineData(Ufw, "ufw", "tunnel packets from other nodes (UDP 4789): dropped by policy drop of chain INPUT in table ip filter (hook input, ufw); ufw allow 4789/udp")]
    [InlineData(Ufw, "ufw", "guests of kbr-prod to the outside: dropped by policy drop of chain FORWARD in table ip filter (hook forward, ufw); ufw route allow in on kbr-prod out on eth0")]
    [InlineData(Docker, "Docker", "guests of kbr-prod to the outside: dropped by policy drop of chain FORWARD in table ip filter (hook forward, Docker); iptables -I DOCKER-USER -i kbr-prod -o eth0 -j ACCEPT")]
    [InlineData("table inet mine { chain guard { type filter hook input priority 0; udp dport { 53, 4789 } drop; } }", "owner unknown", "tunnel packets from other nodes (UDP 4789): dropped by rule N of chain guard in table inet mine (hook input, owner unknown); nft insert rule inet mine guard udp dport 4789 accept")]
    [InlineData("table bridge mine { chain f { type filter hook forward priority 0; policy drop; } }", "owner unknown", "frames of all our bridges: dropped by policy drop of chain f in table bridge mine (hook forward, owner unknown); accept there what our bridges carry")]
    public async Task What_drops_is_named_with_its_owner_and_what_helps_049(string rules, string owner, string expected)
    {
        FirewallBlock[] blocks = await BlocksAsync(rules);

        Assert.Contains(expected, blocks.Select(b => System.Text.RegularExpressions.Regex.Replace(b.ToString(), @"rule \d+", "rule N", System.Text.RegularExpressions.RegexOptions.NonBacktracking)));
        Assert.All(blocks, b => Assert.Equal(owner, b.Owner));
    }

    [SkippableTheory]
    [InlineData("table inet mine { chain i { type filter hook input priority 0; policy drop; udp dport 4789 accept; iifname \"kbr-*\" accept; } chain f { type filter hook forward priority 0; policy drop; iifname \"kbr-*\" accept; oifname \"kbr-*\" accept; } }")]
    [InlineData("table inet mine { chain i { type filter hook input priority 0; policy drop; ip saddr 192.0.2.0/24 udp dport 4789 accept; iifname \"kbr-prod\" limit rate 100/second accept; } }")]
    [InlineData("table inet mine { chain i { type filter hook input priority 0; tcp dport 4789 drop; udp dport 1-4000 drop; ip saddr 203.0.113.1 drop; iifname \"docker0\" drop; ct state invalid drop; limit rate over 5/second drop; } }")]
    [InlineData("table inet mine { chain i { type filter hook input priority 0; policy drop; meta l4proto vmap { tcp : drop, udp : goto u, icmp : accept } } chain u { udp dport vmap { 53 : drop, 4789 : accept } } }")]
    [InlineData("table inet mine { chain never { drop; } chain i { type filter hook input priority 0; meta mark 7 jump never; } }")]
    [InlineData("table netdev mine { chain c { drop; } } table ip6 mine { chain i { type filter hook input priority 0; policy drop; } }")]
    public async Task What_lets_us_through_is_not_accused(string rules) => Assert.Empty(await BlocksAsync(rules));

    [SkippableFact]
    public async Task Frames_between_guests_are_asked_about_only_where_the_firewall_sees_them()
    {
        const string Rules = "table inet mine { chain f { type filter hook forward priority 0; policy drop; oifname \"eth0\" accept; iifname \"eth0\" accept; } }";

        Assert.Empty(await BlocksAsync(Rules));
        Assert.Equal("guests of kbr-prod among themselves", Assert.Single(await BlocksAsync(Rules, bridged: true)).Traffic);
    }

    /// <summary>As nft lists what ufw 0.36 has made with iptables-nft: of the extensions of iptables it tells the name and nothing else.</summary>
    [Theory]
    [InlineData("", "tunnel packets from other nodes (UDP 4789), guests of kbr-prod to the outside, guests of kbr-prod to their gateway")]
    [InlineData("""{"match":{"op":"==","left":{"payload":{"protocol":"udp","field":"dport"}},"right":4789}},{"accept":null}""", "guests of kbr-prod to the outside, guests of kbr-prod to their gateway")]
    [InlineData("""{"match":{"op":"==","left":{"meta":{"key":"iifname"}},"right":"kbr-prod"}},{"accept":null}""", "tunnel packets from other nodes (UDP 4789), guests of kbr-prod to the outside")]
    public void What_ufw_asks_in_a_way_that_is_not_listed_is_not_said_to_drop(string allowed, string dropped)
    {
        const string Rules = """
            {"chain":{"family":"ip","table":"filter","name":"INPUT","handle":1,"type":"filter","hook":"input","prio":0,"policy":"drop"}},
            {"chain":{"family":"ip","table":"filter","name":"FORWARD","handle":2,"type":"filter","hook":"forward","prio":0,"policy":"drop"}},
            {"chain":{"family":"ip","table":"filter","name":"ufw-before-input","handle":3}},
            {"chain":{"family":"ip","table":"filter","name":"ufw-before-forward","handle":4}},
            {"chain":{"family":"ip","table":"filter","name":"ufw-not-local","handle":5}},
            {"chain":{"family":"ip","table":"filter","name":"ufw-user-input","handle":6}},
            {"rule":{"family":"ip","table":"filter","chain":"INPUT","handle":11,"expr":[{"counter":{"packets":0,"bytes":0}},{"jump":{"target":"ufw-before-input"}}]}},
            {"rule":{"family":"ip","table":"filter","chain":"FORWARD","handle":12,"expr":[{"counter":{"packets":0,"bytes":0}},{"jump":{"target":"ufw-before-forward"}}]}},
            {"rule":{"family":"ip","table":"filter","chain":"ufw-before-forward","handle":13,"expr":[{"xt":{"type":"match","name":"conntrack"}},{"counter":{"packets":0,"bytes":0}},{"accept":null}]}},
            {"rule":{"family":"ip","table":"filter","chain":"ufw-before-input","handle":14,"expr":[{"xt":{"type":"match","name":"conntrack"}},{"counter":{"packets":0,"bytes":0}},{"accept":null}]}},
            {"rule":{"family":"ip","table":"filter","chain":"ufw-before-input","handle":15,"expr":[{"xt":{"type":"match","name":"conntrack"}},{"counter":{"packets":0,"bytes":0}},{"drop":null}]}},
            {"rule":{"family":"ip","table":"filter","chain":"ufw-before-input","handle":16,"expr":[{"counter":{"packets":0,"bytes":0}},{"jump":{"target":"ufw-not-local"}}]}},
            {"rule":{"family":"ip","table":"filter","chain":"ufw-before-input","handle":17,"expr":[{"counter":{"packets":0,"bytes":0}},{"jump":{"target":"ufw-user-input"}}]}},
            {"rule":{"family":"ip","table":"filter","chain":"ufw-not-local","handle":18,"expr":[{"xt":{"type":"match","name":"addrtype"}},{"counter":{"packets":0,"bytes":0}},{"return":null}]}},
            {"rule":{"family":"ip","table":"filter","chain":"ufw-not-local","handle":19,"expr":[{"counter":{"packets":0,"bytes":0}},{"drop":null}]}},
            {"rule":{"family":"ip","table":"filter","chain":"ufw-user-input","handle":20,"expr":[ALLOWED]}}
            """;
        ForeignRuleset ruleset = ForeignRuleset.Read($$"""{"nftables":[{{Rules.Replace("ALLOWED", allowed, StringComparison.Ordinal)}}]}""");

        ImmutableArray<FirewallBlock> blocks = ForeignFirewall.Blocks(ruleset, Tables, bridgedPasses: false);
        Assert.Equal(dropped, string.Join(", ", blocks.Select(b => b.Traffic)));
        Assert.All(blocks, b => Assert.Equal(("policy drop", "ufw"), (b.Rule, b.Owner)));
    }

    [Fact]
    public void Chains_that_jump_in_circles_are_left()
    {
        ForeignRuleset ruleset = ForeignRuleset.Read(
            """
            {"nftables":[{"chain":{"family":"inet","table":"t","name":"a","hook":"input","policy":"drop"}},{"chain":{"family":"inet","table":"t","name":"b"}},
            {"rule":{"family":"inet","table":"t","chain":"a","expr":[{"jump":{"target":"b"}},{"jump":{"target":"b"}}]}},
            {"rule":{"family":"inet","table":"t","chain":"b","expr":[{"jump":{"target":"b"}}]}},{"rule":{"family":"inet","table":"t","chain":"b","expr":[{"jump":{"target":"b"}}]}}]}
            """);

        Assert.NotEmpty(ruleset.BaseChains);
        Assert.All(ForeignFirewall.Blocks(ruleset, Tables, bridgedPasses: true), b => Assert.Equal("policy drop", b.Rule));
    }

    [Theory]
    [InlineData("")]
    [InlineData("[]")]
    [InlineData("""{"nftables":7}""")]
    [InlineData("""{"nftables":[{"chain":{"family":"inet","table":"t","name":"\ud800","hook":"input"}}]}""")]
    public void A_listing_that_is_not_one_is_an_error_and_nothing_else(string text) => Assert.ThrowsAny<JsonException>(() => ForeignRuleset.Read(text));

    [Fact]
    public void A_name_with_a_backslash_is_a_name() => Assert.Equal(
        @"x\ud800", Assert.Single(ForeignRuleset.Read("""{"nftables":[{"chain":{"family":"inet","table":"t","name":"x\\ud800","hook":"input"}}]}""").BaseChains).Name);

    [Theory]
    [InlineData("""[7, "x", {}, null, {"match":7}, {"match":{}}, {"match":{"op":"==","left":7,"right":{}}}, {"match":{"op":7,"left":{"meta":{"key":"l4proto"}},"right":[{"range":[1]},{"set":{}},{"prefix":1}]}}, {"vmap":7}, {"vmap":{"key":{"meta":{"key":"l4proto"}},"data":{"set":[[],["udp",7],["udp",{}]]}}}, {"jump":7}, {"jump":{"target":"nobody"}}, {"goto":{}}, {"xt":null}]""")]
    [InlineData("""[{"match":{"op":"==","left":{"payload":{"protocol":"udp","field":"dport"}},"right":{"range":["a",1e99]}}},{"drop":null}]""")]
    public void Expressions_of_any_form_are_looked_at_without_a_crash(string expressions)
    {
        string text = $$$"""{"nftables":[{"chain":{"family":"inet","table":"t","name":"a","hook":"input"}},{"rule":{"family":"inet","table":"t","chain":"a","handle":"x","expr":{{{expressions}}}}},{"rule":7},{"chain":{}}]}""";

        Assert.Empty(ForeignFirewall.Blocks(ForeignRuleset.Read(text), Tables, bridgedPasses: true));
    }

    private static NftTables Tables { get; } = DesiredStateBuilder.From(Intents.With(Intents.Prod)).State.Nft!;

    /// <summary>By way of the kernel and its own listing, so that no form of it is of our making.</summary>
    private static async Task<FirewallBlock[]> BlocksAsync(string rules, bool bridged = false)
    {
        await using KernelLab lab = new();
        string ns = lab.AddNamespace("fw");
        string file = Path.Combine(lab.Folder, "rules.nft");
        // This nft wants a line's end before a brace that follows a rule.
        await File.WriteAllTextAsync(
            file, rules.Replace("; }", ";\n}\n", StringComparison.Ordinal).Replace("} }", "}\n}", StringComparison.Ordinal).Replace("} }", "}\n}", StringComparison.Ordinal)
                .Replace("} chain", "}\nchain", StringComparison.Ordinal).Replace("} table", "}\ntable", StringComparison.Ordinal));
        KernelLab.In(ns, $"nft -f {file}");
        ForeignRuleset ruleset = await new NftProcess(new HomeNamespace(NetworkNamespace.Named(ns)), TimeProvider.System).ReadForeignAsync(CancellationToken.None);
        return [.. ForeignFirewall.Blocks(ruleset, Tables, bridged)];
    }
}

using System.Text.Json;
using static Kcore.Ctl.Tests.FakeDaemon;

namespace Kcore.Ctl.Tests;

public sealed class OutputTests
{
    [Fact]
    public void The_network_list_has_the_promised_header_widths_and_order_63()
    {
        (ExitCode code, string output, string error) = Kctl.Against(_ => Reply(Samples.Networks), "get", "networks");
        Assert.Equal((ExitCode.Done, ""), (code, error));
        Assert.Equal(
            """
            NAME                  TYPE     GATEWAY           NETMASK           VLAN  OVERLAY   BRIDGE            NODES
            lan                   bridge   192.168.7.1       255.255.255.0      120  no        kbr-lan           1
            private               vxlan    10.250.0.1        255.255.255.0        -  yes       kbr-private       3

            """,
            output);
    }

    [Theory]
    [InlineData("network", "GET /v1/networks?all=true", "--all")]
    [InlineData("nic", "GET /v1/nics?network=a%20b", "--network", "a b")]
    [InlineData("node", "GET /v1/nodes")]
    public void Singular_nouns_ask_the_same_66(string noun, string request, params string[] flags)
    {
        using var daemon = new FakeDaemon(_ => Reply("[]"));
        Assert.Equal(ExitCode.Done, Kctl.Run(daemon.Path, ["get", noun, .. flags]).Code);
        Assert.Equal([request], daemon.Requests);
    }

    [Fact]
    public void An_empty_network_list_is_a_sentence_and_success_64()
    {
        (ExitCode code, string output, _) = Kctl.Against(_ => Reply("[]"), "get", "networks");
        Assert.Equal(ExitCode.Done, code);
        Assert.Contains("no custom networks", output, StringComparison.Ordinal);
    }

    [Fact]
    public void Describe_network_shows_every_label_aligned_65()
    {
        (_, string output, _) = Kctl.Against(_ => Reply(Samples.Network("Pending")), "describe", "network", "private");
        Assert.Equal(
            """
            Name:              private
            Type:              vxlan
            Overlay:           yes
            Bridge:            kbr-private
            Gateway IP:        10.250.0.1
            Internal netmask:  255.255.255.0
            Network CIDR:      10.250.0.0/24
            VLAN:              -
            Outbound NAT:      enabled
            Allowed TCP ports: (none)
            Allowed UDP ports: 53, 67
            VNI:               14416
            VXLAN device:      vxlan14416
            MTU:               1450
            Next address:      10.250.0.3
            Used addresses:    1 of 253
            Free addresses:    252
            Nodes:             2 participating
              node-a (vtep: 10.0.0.1) Ready
              node-b (vtep: 10.0.0.2) Pending

            """,
            output);
    }

    [Fact]
    public void B118_Describe_network_says_that_it_is_encrypted_and_create_asks_for_it()
    {
        string secret = Samples.Network("Ready").Replace("\"mtu\":1450", "\"encryption\":\"wireguard\",\"mtu\":1390", StringComparison.Ordinal);
        Assert.Contains("Encryption:        wireguard\n", Kctl.Against(_ => Reply(secret), "describe", "network", "private").Out, StringComparison.Ordinal);

        using var daemon = new FakeDaemon(_ => Reply(Samples.Receipt));
        Assert.Equal(ExitCode.Done, Kctl.Run(daemon.Path, "create", "network", "private", "--gateway-ip", "10.250.0.1", "--type", "vxlan", "--encryption", "wireguard").Code);
        Assert.Contains("\"encryption\":\"wireguard\"", daemon.LastBody, StringComparison.Ordinal);
    }

    [Fact]
    public void Describe_network_of_one_node_leaves_the_others_out()
    {
        (_, string output, _) = Kctl.Against(_ => Reply(Samples.Network("Ready")), "describe", "network", "private", "--target-node", "node-b");
        Assert.Contains("node-b", output, StringComparison.Ordinal);
        Assert.DoesNotContain("node-a", output, StringComparison.Ordinal);
        Assert.Equal(ExitCode.NotFound, Kctl.Against(_ => Reply(Samples.Network("Ready")), "describe", "network", "private", "--target-node", "x").Code);
    }

    [Fact]
    public void Json_keeps_every_member_the_daemon_sent_known_or_not()
    {
        (_, string output, _) = Kctl.Against(_ => Reply(Samples.Networks), "get", "networks", "-o", "json");
        using JsonDocument sent = JsonDocument.Parse(Samples.Networks);
        using JsonDocument printed = JsonDocument.Parse(output);
        Assert.True(JsonElement.DeepEquals(sent.RootElement, printed.RootElement));
    }

    [Fact]
    public void Names_are_bare_and_one_a_line() =>
        Assert.Equal("private\nlan\n", Kctl.Against(_ => Reply(Samples.Networks), "get", "networks", "-o", "name").Out);

    [Fact]
    public void Attach_sends_the_request_and_prints_a_summary()
    {
        using var daemon = new FakeDaemon(_ => Reply(Samples.Nic));
        (ExitCode code, string output, _) = Kctl.Run(daemon.Path, "attach", "nic", "web", "--network", "private", "--netns", "web", "--ip", "10.250.0.2");
        Assert.Equal(ExitCode.Done, code);
        Assert.Equal("""{"name":"web","network":"private","netns":"web","ip":"10.250.0.2"}""", daemon.LastBody);
        Assert.StartsWith("attached NIC 'web' to Network 'private' on node node-a\nAddress: 10.250.0.2/24\n", output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--to node-b", "", "moved", "moved NIC 'web' of Network 'private' from node node-a to node node-b\nAddress: 10.250.0.2/24\n")]
    [InlineData("--to node-b --prepare --netns web --force", ",\"step\":\"prepare\",\"netns\":\"web\",\"force\":true", "prepared", "prepared NIC 'web' of Network 'private' from node node-a to node node-b\n")]
    [InlineData("--to node-b --complete", ",\"step\":\"complete\"", "unchanged", "unchanged NIC 'web' of Network 'private' on node node-b\n")]
    [InlineData("--to node-b --abort", ",\"step\":\"abort\"", "aborted", "aborted NIC 'web' of Network 'private' to node node-b; it stays on node node-a\n")]
    public void Move_sends_the_step_and_says_where_the_NIC_is(string words, string sent, string verb, string expected)
    {
        using var daemon = new FakeDaemon(_ => Reply($$"""{"verb":"{{verb}}","from":"node-a","to":"node-b","nic":{{Samples.Nic}}}"""));
        (ExitCode code, string output, _) = Kctl.Run(daemon.Path, ["move", "nic", "web", "--network", "private", .. words.Split(' ')]);
        Assert.Equal(ExitCode.Done, code);
        Assert.Equal($"{{\"to\":\"node-b\"{sent}}}", daemon.LastBody);
        Assert.StartsWith(expected, output, StringComparison.Ordinal);
    }

    [Fact]
    public void Attach_as_json_is_the_contract_s_object()
    {
        (_, string output, _) = Kctl.Against(_ => Reply(Samples.Nic), "attach", "nic", "web", "--network", "private", "-o", "json");
        using JsonDocument nic = JsonDocument.Parse(output);
        Assert.Equal(
            ["name", "network", "node", "mac", "address", "gateway", "mtu", "device", "bridge", "attachmentId", "state"],
            nic.RootElement.EnumerateObject().Select(p => p.Name));
    }

    [Theory]
    [InlineData("created", "create")]
    [InlineData("deleted", "delete")]
    public void A_write_prints_what_happened_where_67(string verb, string command) =>
        Assert.Equal(
            $"{verb} Network 'private' on node node-a\n",
            Kctl.Against(_ => Reply(Samples.Receipt.Replace("created", verb, StringComparison.Ordinal)), command, "network", "private").Out);

    [Fact]
    public void Create_sends_what_was_typed_62()
    {
        using var daemon = new FakeDaemon(_ => Reply(Samples.Receipt));
        Kctl.Run(
            daemon.Path, "create", "network", " private ", "--external-ip", "1.2.3.4", "--gateway-ip", "10.250.0.1", "--internal-netmask", "255.255.0.0",
            "--type", "vxlan", "--vlan-id", "7", "--enable-outbound-nat", "--no-outbound-nat", "--target-node", "node-a");
        Assert.Equal(
            """{"name":"private","type":"vxlan","externalIp":"1.2.3.4","gatewayIp":"10.250.0.1","internalNetmask":"255.255.0.0","vlanId":7,"enableOutboundNat":true,"noOutboundNat":true,"targetNode":"node-a"}""",
            daemon.LastBody);
    }

    [Fact]
    public void Create_of_a_network_of_one_node_sends_uplink_and_every_port_047()
    {
        using var daemon = new FakeDaemon(_ => Reply(Samples.Receipt));
        Kctl.Run(daemon.Path, "create", "network", "lab", "--gateway-ip", "10.40.0.1", "--uplink", "eth1", "--publish", "80:web:8080", "--publish", "53:dns:53/udp");
        Assert.Equal(
            """{"name":"lab","gatewayIp":"10.40.0.1","vlanId":0,"enableOutboundNat":false,"noOutboundNat":false,"uplink":"eth1","publish":["80:web:8080","53:dns:53/udp"]}""",
            daemon.LastBody);
    }

    [Fact]
    public void Describe_of_a_nat_network_shows_its_ports_and_its_range_065()
    {
        const string Network = """
            {"name":"lab","uid":"00","type":"nat","overlay":false,"bridge":"kbr-lab","gatewayIp":"10.40.0.1","internalNetmask":"255.255.255.0",
             "networkCidr":"10.40.0.0/24","vlan":120,"outboundNat":true,"allowedTcpPorts":[],"allowedUdpPorts":[],"uplink":"eth0","vlanDevice":"eth0.120",
             "published":["10.0.0.1:80/tcp -> web:8080"],"dhcpRange":"10.40.0.100 - 10.40.0.199","mtu":1500,
             "addresses":{"size":100,"used":1,"free":99,"next":"10.40.0.101"},
             "nodes":[{"node":"node-a","nodeId":"00","state":"Ready","health":"alive","external":"10.0.0.1"}],"conflicts":[]}
            """;
        (_, string output, _) = Kctl.Against(_ => Reply(Network), "describe", "network", "lab");
        Assert.Equal(
            """
            Name:              lab
            Type:              nat
            Overlay:           no
            Bridge:            kbr-lab
            Gateway IP:        10.40.0.1
            Internal netmask:  255.255.255.0
            Network CIDR:      10.40.0.0/24
            VLAN:              120
            Outbound NAT:      enabled
            Allowed TCP ports: (none)
            Allowed UDP ports: (none)
            Uplink:            eth0.120 on eth0
            Published ports:   1
              10.0.0.1:80/tcp -> web:8080
            DHCP range:        10.40.0.100 - 10.40.0.199
            MTU:               1500
            Next address:      10.40.0.101
            Used addresses:    1 of 100
            Free addresses:    99
            Nodes:             1 participating
              node-a (external: 10.0.0.1) Ready

            """,
            output);
    }

    [Fact]
    public void Status_is_compact_and_names_what_is_degraded()
    {
        (ExitCode code, string output, _) = Kctl.Against(_ => Reply(Samples.Status("\"node-bb is dead\"")), "status");
        Assert.Equal(ExitCode.Degraded, code);
        Assert.Equal(
            """
            Health:    degraded
              node-bb is dead
            Node:      node-a (aaaaaaaa11111111), kcored 0.1.0
            Cluster:   c1 epoch 1, member
            Digest:    00112233aabbccdd
            Members:   2, 1 alive
              node-a   10.0.0.1         alive
              node-bb  10.0.0.2         dead
            Consensus: leader, leader node-a, quorum yes, 0 more may fail
              term 3, commit 17, applied 17, voters node-a
            Dataplane: 1 networks, 2 NICs, 4 repairs
              last pass 2026-01-02T03:04:05.678901Z, 1.2 ms

            """,
            output);
    }

    [Fact]
    public void Cluster_status_shows_who_decides_and_how_much_can_be_lost()
    {
        (ExitCode code, string output, _) = Kctl.Against(_ => Reply(Samples.Cluster), "cluster", "status");
        Assert.Equal(ExitCode.Degraded, code);
        Assert.Equal(
            """
            Health:    degraded
              voter node-c is silent
            Cluster:   c1 epoch 1
            Leader:    node-a, term 6
            Log:       commit 19, applied 19, last 20
            Quorum:    yes, 3 voters, 0 more may fail
            Source:    the leader
            Observers: node-e, node-f

            NODE              ROLE      HEALTH    STATE          MATCH     LAG     HEARD   DURABLE
            node-a            leader    alive     ok                20       0     0.0 s     0.0 s
            node-b            voter     alive     ok                19       1     0.1 s     0.1 s
            node-c            voter     dead      silent             9      11    71.2 s    71.2 s
            node-d            learner   alive     installing         0      20     0.1 s     2.0 s

            """,
            output);
    }

    [Fact]
    public void Cluster_status_without_the_leader_shows_dashes_and_since_when()
    {
        (_, string output, _) = Kctl.Against(_ => Reply(Samples.LostCluster), "cluster", "status");
        Assert.Contains("Quorum:    NO, since 2026-01-02T03:04:05.678901Z\n", output, StringComparison.Ordinal);
        Assert.Contains("Source:    node-b alone: the leader does not answer\n", output, StringComparison.Ordinal);
        Assert.Contains("node-b            voter     alive     -                  -       -         -         -\n", output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{\"node\":\"node-b\"}", "node-b")]
    [InlineData("{}")]
    public void Transfer_leader_names_a_voter_or_leaves_the_choice(string body, params string[] node)
    {
        using var daemon = new FakeDaemon(_ => Reply("""{"verb":"transferred","kind":"Leader","name":"node-b","node":"node-a"}"""));
        (ExitCode code, string output, _) = Kctl.Run(daemon.Path, ["cluster", "transfer-leader", .. node]);
        Assert.Equal((ExitCode.Done, "node node-b leads\n"), (code, output));
        Assert.Equal(["POST /v1/cluster/transfer-leader"], daemon.Requests);
        Assert.Equal(body, daemon.LastBody);
    }

    [Fact]
    public void Describe_node_without_a_name_asks_for_the_serving_node()
    {
        using var daemon = new FakeDaemon(line => Reply(line.EndsWith("/status", StringComparison.Ordinal)
            ? Samples.Status()
            : """{"summary":{"id":"aaaaaaaa11111111","name":"node-a","address":"10.0.0.1","status":"alive","role":"leader","vxlanDisabled":true,"networks":0,"version":"0.1.0"},"addressReason":"default route","epoch":1,"incarnation":2,"gossipPort":7946,"raftPort":7947,"networks":[],"warnings":["clock is off"]}"""));
        (_, string output, _) = Kctl.Run(daemon.Path, "describe", "node");
        Assert.Equal("GET /v1/nodes/aaaaaaaa11111111", daemon.Requests[1]);
        Assert.Contains("10.0.0.1 (default route)", output, StringComparison.Ordinal);
        Assert.EndsWith("Warnings:    1\n  clock is off\n", output, StringComparison.Ordinal);
    }

    [Fact]
    public void Events_are_one_line_each_and_json_lines_pass_unchanged()
    {
        const string First = """{"sequence":1,"time":"2026-01-02T03:04:05.678901+01:00","type":"MemberDead","node":"node-b","reporter":"node-a","message":"gone", "later":1}""";
        byte[] stream = Chunked(First[..20], First[20..] + "\n" + First, "\n");
        Assert.Equal($"{First}\n{First}\n", Kctl.Against(_ => stream, "events", "-o", "json").Out);
        Assert.StartsWith(
            "2026-01-02T02:04:05.678901Z  MemberDead        node-b        -             gone\n",
            Kctl.Against(_ => stream, "events", "--since", "0").Out,
            StringComparison.Ordinal);
    }

    [Fact]
    public void Control_characters_of_the_cluster_never_reach_the_terminal()
    {
        string evil = Samples.Networks.Replace("\"lan\"", "\"\\u001b]0;x\\u0007\\u009b\\u202e\"", StringComparison.Ordinal);
        foreach (string format in new[] { "table", "wide", "json", "yaml", "name" })
        {
            string output = Kctl.Against(_ => Reply(evil), "get", "networks", "-o", format).Out;
            Assert.DoesNotContain(output, c => c != '\n' && (char.IsControl(c) || c == '\u202e'));
        }

        string error = Kctl.Against(_ => Reply("""{"code":"NotFound","message":"\u001b[2J","details":["\u001b"]}""", 404), "status").Error;
        Assert.DoesNotContain(error, c => c != '\n' && char.IsControl(c));
    }

    [Theory]
    [InlineData("bash")]
    [InlineData("zsh")]
    [InlineData("fish")]
    public void Completion_covers_every_command_and_flag(string shell)
    {
        string script = Kctl.Run("/nowhere", "completion", shell).Out;
        foreach (string word in "create get describe delete attach detach move prepare complete abort force ips status doctor plan events version completion external-ip gateway-ip internal-netmask type vlan-id enable-outbound-nat no-outbound-nat target-node uplink publish exclude address-reuse emergency-reserve reclaim release-orphans wait timeout all network netns ifname ip mac allow-spoofing since follow socket output".Split(' '))
        {
            Assert.Contains(word, script, StringComparison.Ordinal);
        }
    }
}

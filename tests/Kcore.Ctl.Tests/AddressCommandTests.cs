using System.Text.Json;
using static Kcore.Ctl.Tests.FakeDaemon;

namespace Kcore.Ctl.Tests;

public sealed class AddressCommandTests
{
    private const string Addresses = """
        {"network":"private","type":"vxlan","subnet":"10.250.0.0/24","size":243,"used":2,"free":240,"next":"10.250.0.5",
         "reserved":[{"first":"10.250.0.1","last":"10.250.0.1","reason":"gateway"},{"first":"10.250.0.10","last":"10.250.0.19","reason":"excluded"}],
         "leases":[
         {"address":"10.250.0.2","nic":"web","node":"node-a","nodeId":"aaaaaaaa11111111","mac":"52:54:00:01:02:03","state":"held","attachmentId":"0123456789abcdef0123456789abcdef"},
         {"address":"10.250.0.4","nic":"db","node":"node-b","nodeId":"bbbbbbbb22222222","mac":"52:54:00:01:02:04","state":"orphaned","attachmentId":"1123456789abcdef0123456789abcdef"}],
         "newerField":1}
        """;

    private const string Doubtful = """
        {"network":"private","type":"vxlan","subnet":"10.250.0.0/24","size":253,"used":1,"free":252,"next":"10.250.0.3","reserved":[],
         "leases":[{"address":"10.250.0.2","nic":"web","node":"node-a","nodeId":"aaaaaaaa11111111","mac":"52:54:00:01:02:03","state":"held","attachmentId":"0123456789abcdef0123456789abcdef"}],
         "confirmed":false,"unconfirmed":"no quorum of the voters confirmed it within 2 s","logIndex":31}
        """;

    private const string Empty = """
        {"network":"lab","type":"nat","subnet":"10.40.0.0/24","dhcpRange":"10.40.0.100 - 10.40.0.199","size":100,"used":0,"free":100,
         "reserved":[{"first":"10.40.0.1","last":"10.40.0.1","reason":"gateway"}],"leases":[]}
        """;

    [Fact]
    public void The_addresses_of_a_network_are_a_summary_and_a_table_32()
    {
        (ExitCode code, string output, string error) = Kctl.Against(_ => Reply(Addresses), "get", "ips", "--network", "private");
        Assert.Equal((ExitCode.Done, ""), (code, error));
        Assert.Equal(
            """
            Network:  private
            Subnet:   10.250.0.0/24
            Used:     2 of 243
            Free:     240
            Next:     10.250.0.5
            Reserved: 10.250.0.1 (gateway), 10.250.0.10-10.250.0.19 (excluded)
            Orphaned: 1

            ADDRESS           NIC               NODE          MAC                STATE
            10.250.0.2        web               node-a        52:54:00:01:02:03  held
            10.250.0.4        db                node-b        52:54:00:01:02:04  orphaned

            """,
            output);
    }

    [Fact]
    public void Wide_tells_the_ids_too()
    {
        (_, string output, _) = Kctl.Against(_ => Reply(Addresses), "get", "ips", "--network", "private", "-o", "wide");
        Assert.Contains("STATE     NODE ID                           ATTACHMENT", output, StringComparison.Ordinal);
        Assert.Contains("bbbbbbbb22222222                  1123456789abcdef0123456789abcdef", output, StringComparison.Ordinal);
    }

    [Fact]
    public void A_network_nobody_is_on_is_a_sentence_and_success()
    {
        (ExitCode code, string output, _) = Kctl.Against(_ => Reply(Empty), "get", "ips", "--network", "lab");
        Assert.Equal(ExitCode.Done, code);
        Assert.Contains("DHCP range: 10.40.0.100 - 10.40.0.199\n", output, StringComparison.Ordinal);
        Assert.Contains("Next:       none left\n", output, StringComparison.Ordinal);
        Assert.EndsWith("No address is held.\n", output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("ips")]
    [InlineData("ip")]
    public void Both_nouns_ask_the_same_66(string noun)
    {
        using var daemon = new FakeDaemon(_ => Reply(Empty));
        Assert.Equal(ExitCode.Done, Kctl.Run(daemon.Path, "get", noun, "--network", "a b").Code);
        Assert.Equal(["GET /v1/ips?network=a%20b"], daemon.Requests);
    }

    [Theory]
    [InlineData("table")]
    [InlineData("name")]
    public void An_answer_no_quorum_confirmed_is_shown_and_said_to_be_so(string format)
    {
        (ExitCode code, string output, string error) = Kctl.Against(_ => Reply(Doubtful), "get", "ips", "--network", "private", "-o", format);
        Assert.Equal(ExitCode.Done, code);
        Assert.Contains("10.250.0.2", output, StringComparison.Ordinal);
        Assert.Equal("not confirmed: no quorum of the voters confirmed it within 2 s; shown is what this node knows, up to log index 31\n", error);
    }

    [Fact]
    public void Who_asked_for_what_the_node_knows_is_not_told_so()
    {
        using var daemon = new FakeDaemon(_ => Reply(Doubtful));
        (ExitCode code, string output, string error) = Kctl.Run(daemon.Path, "get", "ips", "--network", "private", "--local");
        Assert.Equal((ExitCode.Done, ""), (code, error));
        Assert.Contains("10.250.0.2", output, StringComparison.Ordinal);
        Assert.Equal(["GET /v1/ips?network=private&local=true"], daemon.Requests);
    }

    [Fact]
    public void Json_says_itself_that_it_is_not_confirmed()
    {
        (ExitCode code, string output, string error) = Kctl.Against(_ => Reply(Doubtful), "get", "ips", "--network", "private", "-o", "json");
        Assert.Equal((ExitCode.Done, ""), (code, error));
        using var document = JsonDocument.Parse(output);
        Assert.False(document.RootElement.GetProperty("confirmed").GetBoolean());
        Assert.Equal(31, document.RootElement.GetProperty("logIndex").GetInt64());
    }

    [Fact]
    public void Names_are_the_addresses_one_a_line() =>
        Assert.Equal("10.250.0.2\n10.250.0.4\n", Kctl.Against(_ => Reply(Addresses), "get", "ips", "--network", "private", "-o", "name").Out);

    [Fact]
    public void Json_and_yaml_keep_every_member_the_daemon_sent()
    {
        (_, string output, _) = Kctl.Against(_ => Reply(Addresses), "get", "ips", "--network", "private", "-o", "json");
        using JsonDocument sent = JsonDocument.Parse(Addresses);
        using JsonDocument printed = JsonDocument.Parse(output);
        Assert.True(JsonElement.DeepEquals(sent.RootElement, printed.RootElement));
        Assert.Contains("\nnewerField: 1\n", Kctl.Against(_ => Reply(Addresses), "get", "ips", "--network", "private", "-o", "yaml").Out, StringComparison.Ordinal);
    }

    [Fact]
    public void A_network_must_be_named()
    {
        (ExitCode code, _, string error) = Kctl.Run("/nowhere", "get", "ips");
        Assert.Equal(ExitCode.Usage, code);
        Assert.Contains("--network is required", error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("null")]
    [InlineData("[]")]
    [InlineData("""{"network":"x","type":"nat","subnet":"x","size":1,"used":1,"free":1,"reserved":null,"leases":[null]}""")]
    public void A_strange_answer_is_an_error_or_a_table_and_never_a_crash(string answer)
    {
        (ExitCode code, _, string error) = Kctl.Against(_ => Reply(answer), "get", "ips", "--network", "x");
        Assert.True(code == ExitCode.Done || error.Length > 0);
        Assert.DoesNotContain("   at ", error, StringComparison.Ordinal);
    }

    [Fact]
    public void Create_sends_every_exclusion_as_it_was_typed()
    {
        using var daemon = new FakeDaemon(_ => Reply(Samples.Receipt));
        Kctl.Run(daemon.Path, "create", "network", "private", "--type", "vxlan", "--gateway-ip", "10.250.0.1", "--exclude", "10.250.0.9", "--exclude", "10.250.0.20-10.250.0.30");
        Assert.Equal(
            """{"name":"private","type":"vxlan","gatewayIp":"10.250.0.1","vlanId":0,"enableOutboundNat":false,"noOutboundNat":false,"exclude":["10.250.0.9","10.250.0.20-10.250.0.30"]}""",
            daemon.LastBody);
    }

    [Fact]
    public void Whether_addresses_come_back_is_told_and_how_many_rest()
    {
        (_, string output, _) = Kctl.Against(
            _ => Reply("""{"network":"p","type":"vxlan","subnet":"10.9.0.0/29","size":5,"used":2,"free":0,"resting":3,"addressReuse":"quarantine","reserved":[],"leases":[]}"""),
            "get", "ips", "--network", "p");
        Assert.Contains("Address reuse: quarantine\nResting:       3\n", output, StringComparison.Ordinal);
    }

    [Fact]
    public void The_emergency_reserves_are_rows_of_their_own()
    {
        (ExitCode code, string output, _) = Kctl.Against(
            _ => Reply("""{"network":"p","type":"vxlan","subnet":"10.9.0.0/24","size":253,"used":0,"free":249,"emergencyReserve":2,"reserved":[],"leases":[],"parked":[{"address":"10.9.0.253","node":"node-b","nodeId":"0b","state":"parked"},{"address":"10.9.0.254","node":"node-a","nodeId":"0a","state":"used","nic":"web"}]}"""),
            "get", "ips", "--network", "p");
        Assert.Equal(ExitCode.Done, code);
        Assert.Contains("Emergency reserve: 2 for each node, 2 parked\n", output, StringComparison.Ordinal);
        Assert.Matches(@"10\.9\.0\.253 +- +node-b +- +parked\n10\.9\.0\.254 +web +node-a +- +used\n", output);
        Assert.DoesNotContain("No address is held", output, StringComparison.Ordinal);
    }

    [Fact]
    public void Create_sends_the_emergency_reserve()
    {
        using var daemon = new FakeDaemon(_ => Reply(Samples.Receipt));
        Kctl.Run(daemon.Path, "create", "network", "private", "--type", "vxlan", "--gateway-ip", "10.250.0.1", "--emergency-reserve", "4");
        Assert.Contains("\"emergencyReserve\":4", daemon.LastBody, StringComparison.Ordinal);
    }

    [Fact]
    public void Create_sends_the_rule_of_reuse()
    {
        using var daemon = new FakeDaemon(_ => Reply(Samples.Receipt));
        Kctl.Run(daemon.Path, "create", "network", "private", "--type", "vxlan", "--gateway-ip", "10.250.0.1", "--address-reuse", "quarantine");
        Assert.Contains("\"addressReuse\":\"quarantine\"", daemon.LastBody, StringComparison.Ordinal);
    }

    [Fact]
    public void A20_reclaim_asks_for_one_network()
    {
        using var daemon = new FakeDaemon(_ => Reply("""{"verb":"reclaimed","kind":"Network","name":"a b","node":"node-a"}"""));
        (ExitCode code, string output, _) = Kctl.Run(daemon.Path, "network", "reclaim", "a b");
        Assert.Equal((ExitCode.Done, "reclaimed Network 'a b' on node node-a\n"), (code, output));
        Assert.Equal(["POST /v1/networks/a%20b/reclaim"], daemon.Requests);
        Assert.Equal(ExitCode.Usage, Kctl.Run(daemon.Path, "network", "reclaim").Code);
    }

    [Theory]
    [InlineData("""{"network":"p","released":["10.9.0.2","10.9.0.4"]}""", "released 10.9.0.2, 10.9.0.4 of network 'p'\n", "10.9.0.2\n10.9.0.4\n")]
    [InlineData("""{"network":"p","released":[]}""", "no address of network 'p' is orphaned\n", "")]
    [InlineData("""{"network":"p"}""", "no address of network 'p' is orphaned\n", "")]
    public void Orphans_are_released_and_named(string answer, string text, string names)
    {
        using var daemon = new FakeDaemon(_ => Reply(answer));
        Assert.Equal(text, Kctl.Run(daemon.Path, "network", "release-orphans", "p").Out);
        Assert.Equal("{}", daemon.LastBody);
        Assert.Equal(names, Kctl.Run(daemon.Path, "network", "release-orphans", "p", "--ip", "10.9.0.4", "-o", "name").Out);
        Assert.Equal("""{"address":"10.9.0.4"}""", daemon.LastBody);
        Assert.Equal("POST /v1/networks/p/release-orphans", daemon.Requests[0]);
    }
}

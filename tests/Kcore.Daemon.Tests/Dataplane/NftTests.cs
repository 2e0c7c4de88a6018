using System.Net;
using System.Text.Json;
using Kcore.Daemon.Catalog.Naming;
using Kcore.Daemon.Dataplane;
using Kcore.Daemon.Dataplane.Desired;
using Kcore.Daemon.Dataplane.Observed;

namespace Kcore.Daemon.Tests.Dataplane;

public sealed class NftTests
{
    private static NftTables Tables(params OverlayIntent[] overlays) =>
        DesiredStateBuilder.From(Intents.With(overlays)).State.Nft!;

    [Fact]
    public void Tables_exist_only_with_an_overlay_046()
    {
        Assert.Null(DesiredStateBuilder.From(Intents.With()).State.Nft);
        Assert.DoesNotContain("4789", NftText.Render(null), StringComparison.Ordinal);
        string text = NftText.Render(Tables(Intents.Prod));
        Assert.True(
            text.IndexOf("udp dport 4789 ip saddr @vteps4 accept", StringComparison.Ordinal) is > 0 and int accepted
            && text.IndexOf("udp dport 4789 drop", StringComparison.Ordinal) > accepted);
    }

    [Fact]
    public void Masquerade_is_there_by_default_and_absent_when_switched_off_041()
    {
        Assert.Equal(["eth0 . 10.88.0.0/24"], Tables(Intents.Prod).Elements["inet nat4"]);
        Assert.Empty(Tables(Intents.Prod with { OutboundNat = false }).Elements["inet nat4"]);
    }

    [Fact]
    public void Frames_that_name_no_gateway_are_told_by_the_first_bytes_that_all_gateways_have()
    {
        byte[] gateway = KernelFacts.GatewayMac(0xff_ffff).GetAddressBytes();

        Assert.Equal(KernelFacts.GatewayMac(1).GetAddressBytes()[..3], gateway[..3]);
        Assert.Contains($"@ll,48,24 != 0x{(gateway[0] << 16) | (gateway[1] << 8) | gateway[2]:x}", NftSkeleton.NoGateway, StringComparison.Ordinal);
    }

    [Fact]
    public void A_guests_port_has_no_name_of_a_tunnel_for_those_are_not_judged()
    {
        LocalNicIntent nic = Intents.Tap("vm", 5) with { Device = DerivedNames.VxlanDevice(7) };
        DesiredState desired = DesiredStateBuilder.From(Intents.With(Intents.Prod with { LocalNics = [nic] }));

        Assert.Contains("name of a tunnel device", Assert.Single(desired.Refusals).Reason, StringComparison.Ordinal);
        Assert.DoesNotContain(desired.Links, l => l.Value.Name == nic.Device);
    }

    [Fact]
    public void Without_an_overlay_nothing_is_said_about_the_tunnel_port_046()
    {
        NftTables tables = DesiredStateBuilder.From(Intents.With() with { Locals = [Intents.Lan] }).State.Nft!;
        string text = NftText.Render(tables);

        Assert.DoesNotContain("4789", text, StringComparison.Ordinal);
        Assert.Empty(tables.Elements["inet vteps4"]);
        Assert.Contains("iifname @bridges accept", text, StringComparison.Ordinal);
        Assert.Equal(["eth0 . 10.99.0.0/24"], tables.Elements["inet nat4"]);
    }

    [Fact]
    public void A_published_port_leads_from_the_outer_address_to_the_guest_047()
    {
        NftTables tables = DesiredStateBuilder.From(Intents.With() with { Locals = [Intents.Lan] }).State.Nft!;

        Assert.Equal(["192.0.2.11 . tcp . 8080 : 10.99.0.100 . 80"], tables.Elements["inet published4"]);
        Assert.Contains("elements = { 192.0.2.11 . tcp . 8080 : 10.99.0.100 . 80 }", NftText.Render(tables), StringComparison.Ordinal);
    }

    [Fact]
    public void One_port_published_by_two_networks_goes_to_the_first_because_a_map_leads_to_one_place_047()
    {
        LocalNetworkIntent second = Intents.Lan with { Name = "other", Bridge = "kbr-other", LocalNics = [] };
        second = second with { Nat = second.Nat! with { Gateway = IPAddress.Parse("10.98.0.1"), Ports = [second.Nat.Ports[0] with { TargetPort = 81 }] } };
        DesiredState desired = DesiredStateBuilder.From(Intents.With() with { Locals = [Intents.Lan, second] });

        Assert.Single(desired.State.Nft!.Elements["inet published4"]);
        Assert.Contains("8080/tcp", Assert.Single(desired.Refusals).Reason, StringComparison.Ordinal);
        Assert.False(desired.Refusals[0].Blocks);
    }

    [Fact]
    public void A_bridge_network_has_no_table_011() =>
        Assert.Null(DesiredStateBuilder.From(Intents.With() with { Locals = [Intents.Office, Intents.Tagged] }).State.Nft);

    [Fact]
    public void A_listed_map_reads_as_it_was_written()
    {
        NftTables? seen = NftListing.Read(
            ["""{"nftables":[{"map":{"family":"inet","name":"published4","table":"kcore","type":["ipv4_addr","inet_proto","inet_service"],"map":"ipv4_addr . inet_service","elem":[[{"concat":["10.77.0.1","tcp",8080]},{"concat":["10.0.0.100",80]}]]}},{"table":{"family":"inet","name":"kcore"}}]}"""]);

        Assert.Equal("set inet published4 ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service", Assert.Single(seen!.Skeleton));
        Assert.Equal(["10.77.0.1 . tcp . 8080 : 10.0.0.100 . 80"], seen.Elements["inet published4"]);
        Assert.True(NftSkeleton.IsPlainElement("inet published4", "10.77.0.1 . tcp . 8080 : 10.0.0.100 . 80"));
        Assert.False(NftSkeleton.IsPlainElement("inet published4", "10.77.0.1 . tcp . 8080"));
    }

    [Fact]
    public void Nested_subnets_become_one_element_because_intervals_may_not_overlap()
    {
        OverlayIntent wide = Intents.Prod with
        {
            Name = "wide",
            Vni = 5,
            Bridge = "kbr-wide",
            VxlanDevice = "vxlan5",
            PrefixLength = 16,
            LocalNics = [],
        };

        Assert.Equal(["eth0 . 10.88.0.0/16"], Tables(Intents.Prod, wide).Elements["inet nat4"]);
        Assert.Equal(["10.88.0.0/16 . 10.88.0.0/16"], Tables(Intents.Prod, wide).Elements["inet inside4"]);
    }

    [Theory]
    [InlineData("kbr\" } ; flush ruleset")]
    [InlineData("../../kernel/x")]
    [InlineData("all")]
    [InlineData("a-name-too-long-")]
    [InlineData("")]
    public void A_name_that_is_no_device_name_gets_nowhere(string name)
    {
        DesiredState desired = DesiredStateBuilder.From(Intents.With(Intents.Prod with { Bridge = name }));

        Assert.Single(desired.Refusals);
        Assert.Empty(desired.Links);
        Assert.Null(desired.State.Nft);
    }

    [Theory]
    [InlineData("")]
    [InlineData("[]")]
    [InlineData("{}")]
    [InlineData("{\"nftables\":[{}]}")]
    [InlineData("{\"nftables\":[7]}")]
    [InlineData("{\"nftables\":{}}")]
    [InlineData("{\"nftables\":[{\"set\":{}}]}")]
    public void A_listing_that_is_not_one_is_an_error_and_nothing_else(string text) =>
        Assert.ThrowsAny<JsonException>(() => NftListing.Read([text]));

    [Fact]
    public void A_rule_added_by_hand_shows_in_the_skeleton()
    {
        NftTables? seen = NftListing.Read(
            ["""{"nftables":[{"table":{"family":"inet","name":"kcore"}},{"rule":{"family":"inet","table":"kcore","chain":"input","handle":9,"expr":[{"accept":null}]}}]}"""]);

        Assert.Equal("rule inet input -", Assert.Single(seen!.Skeleton));
    }
}

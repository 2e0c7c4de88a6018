using System.Text.Json;
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
        Assert.Contains("udp dport 4789 ip saddr != @vteps4 drop", NftText.Render(Tables(Intents.Prod)), StringComparison.Ordinal);
    }

    [Fact]
    public void Masquerade_is_there_by_default_and_absent_when_switched_off_041()
    {
        Assert.Equal(["10.88.0.0/24"], Tables(Intents.Prod).Elements["inet nat4"]);
        Assert.Empty(Tables(Intents.Prod with { OutboundNat = false }).Elements["inet nat4"]);
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

        Assert.Equal(["10.88.0.0/16"], Tables(Intents.Prod, wide).Elements["inet nat4"]);
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

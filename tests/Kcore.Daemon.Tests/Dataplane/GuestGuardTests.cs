using Kcore.Daemon.Dataplane;
using Kcore.Daemon.Dataplane.Desired;
using Kcore.Daemon.Dataplane.Facts;
using Kcore.Daemon.Dataplane.Observed;

namespace Kcore.Daemon.Tests.Dataplane;

/// <summary>What a guest may not send.</summary>
public sealed class GuestGuardTests
{
    private static readonly DateTimeOffset _start = new(2026, 11, 21, 12, 0, 0, TimeSpan.Zero);

    [Fact]
    public void A_NIC_is_bound_to_its_MAC_and_address_unless_spoofing_was_allowed()
    {
        OverlayIntent overlay = Intents.Prod with { LocalNics = [Intents.Tap("web", 1), Intents.Tap("router", 2) with { AllowSpoofing = true }] };
        DesiredState desired = DesiredStateBuilder.From(Intents.With(overlay));
        NftTables tables = desired.State.Nft!;

        Assert.Equal(["tap-00000001 . 52:54:00:00:00:01"], tables.Elements[NftSkeleton.GuestMacs]);
        Assert.Equal(["tap-00000001 . 10.88.0.11"], tables.Elements[NftSkeleton.GuestIps]);
        Assert.Equal(["tap-00000001 . 52:54:00:00:00:01 . 10.88.0.11"], tables.Elements[NftSkeleton.GuestPairs]);
        Assert.All(GuestGuard.Sets, s => Assert.Equal(["tap-00000001"], tables.Elements[s.Key]));
        Assert.Equal([("tap-00000001", true), ("tap-00000002", false)], desired.Ports.Where(p => p.Origin.Nic is not null).Select(p => (p.Value.Device, p.Value.Locked)).Order());
        Assert.All(desired.Ports, p => Assert.False(p.Value.Learning));
    }

    [Fact]
    public void Guests_of_a_nat_network_are_bound_and_those_of_a_bridge_network_have_no_table_011()
    {
        Assert.Equal(["tap-00000007 . 10.99.0.100"], DesiredStateBuilder.From(Intents.With() with { Locals = [Intents.Lan] }).State.Nft!.Elements[NftSkeleton.GuestIps]);

        DesiredState office = DesiredStateBuilder.From(Intents.With() with { Locals = [Intents.Office] });
        Assert.Null(office.State.Nft);
        Assert.True(Assert.Single(office.Ports, p => p.Origin.Nic is not null).Value.Locked);
    }

    [Fact]
    public void A_NIC_that_is_refused_binds_nothing()
    {
        OverlayIntent overlay = Intents.Prod with { LocalNics = [Intents.Tap("web", 1), Intents.Tap("twin", 2) with { Mac = Intents.Mac(1) }] };

        Assert.Equal(["tap-00000001 . 52:54:00:00:00:01"], DesiredStateBuilder.From(Intents.With(overlay)).State.Nft!.Elements[NftSkeleton.GuestMacs]);
    }

    [Fact]
    public void What_was_counted_is_read_apart_from_the_elements_and_goes_on_in_new_tables()
    {
        NftTables seen = NftListing.Read(
            ["""{"nftables":[{"table":{"family":"bridge","name":"kcore"}},{"set":{"family":"bridge","name":"not_arp","table":"kcore","type":"ifname","elem":[{"elem":{"val":"tap-1","counter":{"packets":7,"bytes":294}}},{"elem":{"val":"tap-2","counter":{"packets":0,"bytes":0}}}],"stmt":[{"counter":null}]}}]}"""])!;

        Assert.Equal(["tap-1", "tap-2"], seen.Elements["bridge not_arp"]);
        Assert.Equal([("tap-1", DropReason.Arp, new FrameCount(7, 294))], GuestGuard.Drops(seen));
        Assert.Equal(seen, seen with { Counts = seen.Counts.Clear() });
        Assert.Contains("elements = { \"tap-1\" counter packets 7 bytes 294, \"tap-2\" counter packets 0 bytes 0 }", NftText.Render(seen, seen.Counts), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"elem":{"val":"tap-1","timeout":60}}""")]
    [InlineData("""{"elem":{"val":"tap-1","timeout":60,"counter":{"packets":7,"bytes":294}}}""")]
    [InlineData("""{"elem":"tap-1"}""")]
    public void An_element_that_does_more_than_count_differs_from_ours(string element)
    {
        NftTables seen = NftListing.Read(
            [$$$"""{"nftables":[{"table":{"family":"bridge","name":"kcore"}},{"set":{"family":"bridge","name":"not_arp","table":"kcore","type":"ifname","elem":[{{{element}}}]}}]}"""])!;

        Assert.DoesNotContain("tap-1", seen.Elements["bridge not_arp"]);
        Assert.Empty(seen.Counts);
    }

    [Theory]
    [InlineData("""{"elem":{"val":"tap-1","counter":{"packets":-1,"bytes":0}}}""")]
    [InlineData("""{"elem":{"val":"tap-1","counter":{"packets":"x","bytes":0}}}""")]
    [InlineData("""{"elem":{"val":"tap-1","counter":7}}""")]
    public void A_count_that_is_none_is_an_error_and_nothing_else(string element) =>
        Assert.Throws<System.Text.Json.JsonException>(() => NftListing.Read(
            [$$$"""{"nftables":[{"set":{"family":"bridge","name":"not_arp","table":"kcore","type":"ifname","elem":[{{{element}}}]}}]}"""]));

    [Fact]
    public void Growing_drops_are_told_once_in_ten_minutes_and_old_ones_are_no_news()
    {
        SpoofingEvents events = new();

        Assert.Empty(events.New(Status(0, ("a", 5))));
        Assert.Empty(events.New(Status(1, ("a", 5))));
        Assert.Equal(["a", "b"], events.New(Status(2, ("a", 6), ("b", 1))).Select(d => d.Nic));
        Assert.Empty(events.New(Status(3, ("a", 60), ("b", 1))));
        Assert.Equal(["a"], events.New(Status(13, ("a", 61), ("b", 1))).Select(d => d.Nic));
    }

    [Fact]
    public void A_port_that_was_made_anew_is_counted_from_nothing()
    {
        SpoofingEvents events = new();
        events.New(Status(0, ("a", 50)));
        events.New(Status(1));

        Assert.Single(events.New(Status(2, ("a", 1))));
    }

    private static ReconcileStatus Status(int minutes, params (string Nic, ulong Packets)[] drops) => ReconcileStatus.None with
    {
        At = _start.AddMinutes(minutes),
        Error = null,
        Drops = [.. drops.Select(d => new GuestDrop("prod", d.Nic, $"tap-{d.Nic}", DropReason.Arp, new FrameCount(d.Packets, d.Packets * 42)))],
    };
}

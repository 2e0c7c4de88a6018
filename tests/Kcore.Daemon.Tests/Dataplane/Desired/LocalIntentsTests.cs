using System.Collections.Immutable;
using System.Net;
using Kcore.Daemon.Catalog;
using Kcore.Daemon.Catalog.Facts;
using Kcore.Daemon.Cluster.Addressing;
using Kcore.Daemon.Dataplane.Desired;
using Kcore.Daemon.Ipam.Attachments;
using Kcore.Daemon.Tests.Ipam.Attachments;
using Kcore.Gossip;
using static Kcore.Daemon.Tests.Catalog.Said;

namespace Kcore.Daemon.Tests.Dataplane.Desired;

public sealed class LocalIntentsTests
{
    private static readonly LocalNode Self = new(A, "node-a", false, "0.1.0");
    private static readonly Underlay Underlay = new(new AdvertisedAddress.Chosen(IPAddress.Parse("192.0.2.10"), "eth0", "a test"), 1500);
    private static readonly NetworkSpec Nat = Overlay("10.99.0.1") with { Type = NetworkType.Nat };

    [Fact]
    public void Behaviour_10_only_networks_of_this_node_are_here()
    {
        LocalNetworkIntent lan = Assert.Single(Build([Claim(Local(B, "lan", A, 1, 1)), Claim(Local(B, "other", B, 2, 2))]));

        Assert.Equal(("lan", "kbr-lan", 1500, "eth0", "10.99.0.100"), (lan.Name, lan.Bridge, lan.Mtu, lan.Nat!.Egress, lan.Nat.Range.First.ToString()));
        Assert.Null(lan.Uplink);
    }

    [Fact]
    public void Behaviour_52_a_node_without_VXLAN_has_its_own_networks() => Assert.Single(
        IntentBuilder.Build(Self with { VxlanDisabled = true }, Underlay, null, Snapshot([Claim(Local(A, "lan", A, 1, 1))]), Set(), null).Locals);

    [Fact]
    public void Behaviour_47_a_rule_leads_to_its_NIC_and_nowhere_while_that_is_not_attached()
    {
        ClaimFact lan = Local(A, "lan", A, 1, 1, Nat with { Ports = new PortRules([new PublishRule(TransportProtocol.Tcp, 8080, "web", 80)]) });

        Assert.Empty(Assert.Single(Build([Claim(lan)], Nic(5, "db", "10.99.0.100"))).Nat!.Ports);
        Assert.Equal(
            new PublishedPort(IPAddress.Parse("192.0.2.10"), TransportProtocol.Tcp, 8080, IPAddress.Parse("10.99.0.101"), 80),
            Assert.Single(Assert.Single(Build([Claim(lan)], Nic(5, "db", "10.99.0.100"), Nic(6, "web", "10.99.0.101"))).Nat!.Ports));
    }

    [Fact]
    public void A12_an_allowed_port_leads_to_the_only_NIC()
    {
        ClaimFact lan = Local(A, "lan", A, 1, 1, Nat with { ExternalIp = IPAddress.Parse("203.0.113.7"), Ports = new PortRules([new PublishRule(TransportProtocol.Udp, 53, null, 53)]) });

        PublishedPort port = Assert.Single(Assert.Single(Build([Claim(lan)], Nic(5, "dns", "10.99.0.100"))).Nat!.Ports);
        Assert.Equal(("203.0.113.7", 53, "10.99.0.100", 53), (port.External.ToString(), port.Port, port.Target.ToString(), port.TargetPort));
        Assert.Empty(Assert.Single(Build([Claim(lan)], Nic(5, "dns", "10.99.0.100"), Nic(6, "two", "10.99.0.101"))).Nat!.Ports);
    }

    [Theory]
    [InlineData(null, 0, "eth0", null, "management")]
    [InlineData("eth1", 0, "eth1", null, null)]
    [InlineData(null, 120, null, "eth0.120", null)]
    [InlineData("enp129s0f0np0", 4000, null, "kvl4000-9a0f", null)]
    public void Behaviours_8_and_87_a_bridge_leads_to_its_uplink_or_to_a_VLAN_on_it(string? uplink, int vlan, string? port, string? device, string? conflict)
    {
        ClaimFact office = Local(B, "office", A, 1, 1, Overlay("192.168.7.1") with { Type = NetworkType.Bridge, OutboundNat = false, Uplink = uplink, VlanId = vlan });
        LocalNetworkIntent intent = Assert.Single(Build([Claim(office)], Nic(5, "pc", null)));

        Assert.Equal((port, device is null), (intent.Uplink, intent.Vlan is null));
        Assert.Equal(device?[..4], intent.Vlan?.Device[..4]);
        Assert.True(intent.Vlan is null || intent.Vlan.Device.Length <= 15);
        Assert.Equal(conflict is null, intent.Conflict is null);
        Assert.Null(Assert.Single(intent.LocalNics).Address);
        Assert.Null(intent.Nat);
    }

    [Fact]
    public void Behaviour_90_what_two_halves_of_a_split_made_does_not_overlap_here()
    {
        ImmutableArray<LocalNetworkIntent> locals = Build([Claim(Local(B, "first", A, 1, 1)), Claim(Local(C, "second", A, 2, 2)), Claim(Created(B, "prod", 3, uid: 3, Overlay("10.88.0.1")))]);

        Assert.Null(locals.Single(n => n.Name == "first").Conflict);
        Assert.Contains("'first'", locals.Single(n => n.Name == "second").Conflict, StringComparison.Ordinal);
    }

    [Fact]
    public void Intents_are_compared_by_what_they_say()
    {
        DataplaneIntent One(string address) => IntentBuilder.Build(Self, Underlay, null, Snapshot([Claim(Local(A, "lan", A, 1, 1))]), Set(Nic(5, "web", address)), null);

        Assert.True(IntentComparison.Same(One("10.99.0.100"), One("10.99.0.100")));
        Assert.False(IntentComparison.Same(One("10.99.0.100"), One("10.99.0.101")));
        Assert.False(IntentComparison.Same(One("10.99.0.100"), One("10.99.0.100") with { Locals = [] }));
    }

    private static AttachmentRecord Nic(UInt128 id, string name, string? address) => AttachmentTableTests.Record(id, name, address) with { Local = true, Device = $"tap-{(uint)id:x8}" };

    private static ImmutableArray<LocalNetworkIntent> Build(IEnumerable<CatalogEntry> entries, params AttachmentRecord[] records) =>
        IntentBuilder.Build(Self, Underlay, null, Snapshot(entries), Set(records), null, _ => 9000).Locals;

    private static AttachmentSet Set(params AttachmentRecord[] records) =>
        new(ImmutableSortedDictionary.CreateRange(records.Select(r => KeyValuePair.Create(r.Id, r))));
}

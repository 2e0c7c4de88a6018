using System.Collections.Frozen;
using System.Net;
using Kcore.Daemon.Catalog;
using Kcore.Daemon.Catalog.View;
using Kcore.Daemon.Cluster.Addressing;
using Kcore.Daemon.Dataplane.Desired;
using Kcore.Daemon.Dataplane.Hosts;
using Kcore.Daemon.Ipam.Attachments;
using Kcore.Daemon.Tests.Ipam.Attachments;
using Kcore.Gossip;
using static Kcore.Daemon.Tests.Catalog.Said;

namespace Kcore.Daemon.Tests.Dataplane.Desired;

public sealed class IntentBuilderTests
{
    private static readonly LocalNode Self = new(A, "node-a", false, "0.1.0");
    private static readonly Underlay Underlay = new(new AdvertisedAddress.Chosen(IPAddress.Parse("192.0.2.10"), "eth0", "a test"), 1500);

    [Fact]
    public void An_overlay_is_named_after_its_name_alone()
    {
        OverlayIntent prod = Assert.Single(Build(Prod).Overlays);

        Assert.Equal(("prod", 14458u, "vxlan14458", "kbr-prod", 24, true), (prod.Name, prod.Vni, prod.VxlanDevice, prod.Bridge, prod.PrefixLength, prod.OutboundNat));
    }

    [Fact]
    public void Behaviour_13_there_is_an_entry_for_every_other_participant_and_none_for_the_node_itself() =>
        Assert.Equal([B.Value, C.Value], Peers(MemberStatus.Alive));

    [Fact]
    public void Behaviour_15_peers_are_in_the_order_of_their_ids()
    {
        CatalogEntry[] entries = [.. Prod];
        Array.Reverse(entries);

        Assert.Equal([B.Value, C.Value], Assert.Single(Build(entries).Overlays).Peers.Select(p => p.NodeUid));
    }

    [Theory]
    [InlineData(MemberStatus.Alive)]
    [InlineData(MemberStatus.Suspect)]
    [InlineData(MemberStatus.Dead)]
    public void Behaviours_15_and_109_a_daemon_that_is_silent_takes_nothing_away(MemberStatus status)
    {
        DataplaneIntent intent = Build(Prod, null, Member(A), Member(B, status), Member(C));

        Assert.Equal([B.Value, C.Value], intent.Overlays[0].Peers.Select(p => p.NodeUid));
        Assert.Equal("10.88.0.2", Assert.Single(intent.Overlays[0].RemoteNics).Address.ToString());
        Assert.Equal(["192.0.2.11", "192.0.2.12"], intent.VtepMembers.Select(v => v.ToString()));
    }

    [Fact]
    public void Behaviours_15_and_109_a_host_that_is_silent_too_is_taken_out_and_still_a_member()
    {
        var hosts = new HostSights(new Dictionary<NodeId, HostState> { [B] = HostState.Silent, [C] = HostState.Answers }.ToFrozenDictionary(), null);
        DataplaneIntent intent = IntentBuilder.Build(
            Self, Underlay, null, Snapshot(Prod, Member(A), Member(B, MemberStatus.Dead), Member(C, MemberStatus.Dead)), Attachments(), null, hosts: hosts);

        Assert.Equal([C.Value], intent.Overlays[0].Peers.Select(p => p.NodeUid));
        Assert.Empty(intent.Overlays[0].RemoteNics);
        Assert.Equal(["192.0.2.11", "192.0.2.12"], intent.VtepMembers.Select(v => v.ToString()));
    }

    [Fact]
    public void Behaviour_14_a_node_that_left_is_taken_out_everywhere()
    {
        DataplaneIntent intent = Build(Prod, null, Member(A), Member(B, MemberStatus.Left), Member(C));

        Assert.Equal([C.Value], intent.Overlays[0].Peers.Select(p => p.NodeUid));
        Assert.Empty(intent.Overlays[0].RemoteNics);
        Assert.Equal(["192.0.2.12"], intent.VtepMembers.Select(v => v.ToString()));
    }

    [Fact]
    public void A_node_whose_VXLAN_is_disabled_gets_no_frames_at_all()
    {
        DataplaneIntent intent = Build([.. Prod.Where(e => e.Origin != B || e.Key != "n"), Node(B, disabled: true)]);

        Assert.Equal([C.Value], intent.Overlays[0].Peers.Select(p => p.NodeUid));
        Assert.Empty(intent.Overlays[0].RemoteNics);
    }

    [Fact]
    public void A_disabled_node_takes_part_in_nothing()
    {
        DataplaneIntent intent = IntentBuilder.Build(
            Self with { VxlanDisabled = true }, Underlay, null, Snapshot(Prod), Attachments(AttachmentTableTests.Record(5, address: "10.88.0.9")), null);

        Assert.Empty(intent.Overlays);
        Assert.True(intent.Self.VxlanDisabled);
    }

    [Fact]
    public void A_node_that_was_never_heard_of_cannot_be_sent_to() =>
        Assert.Equal([B.Value], Build([.. Prod.Where(e => e.Origin != C || e.Key != "n")]).Overlays[0].Peers.Select(p => p.NodeUid));

    [Fact]
    public void Behaviour_19_the_lease_decides_which_address_a_remote_NIC_has()
    {
        DataplaneIntent intent = Build([.. Prod, Lease(11, 1, "10.88.0.77", B)]);

        Assert.Equal("10.88.0.77", Assert.Single(intent.Overlays[0].RemoteNics).Address.ToString());
    }

    [Fact]
    public void A_remote_NIC_without_an_address_is_not_there_yet() =>
        Assert.Empty(Build([.. Prod.Where(e => !e.Key.StartsWith('i')), Nic(B, NicFact(11, 1, "web-02", 2))]).Overlays[0].RemoteNics);

    [Fact]
    public void Own_NICs_come_from_the_own_table_once_they_have_their_address()
    {
        DataplaneIntent intent = IntentBuilder.Build(
            Self,
            Underlay,
            null,
            Snapshot([.. Prod, Nic(A, NicFact(5, 1, "web-01", 9, "10.88.0.9"))]),
            Attachments(
                AttachmentTableTests.Record(5, "web-01", "10.88.0.9") with { Netns = "/run/netns/web", Ifname = "eth0" },
                AttachmentTableTests.Record(6, "waits"),
                AttachmentTableTests.Record(7, "goes", "10.88.0.10") with { Releasing = true },
                AttachmentTableTests.Record(8, "elsewhere", "10.88.0.11") with { Network = 99 }),
            null);

        LocalNicIntent nic = Assert.Single(intent.Overlays[0].LocalNics);
        Assert.Equal(("web-01", "10.88.0.9", "10.88.0.1"), (nic.Name, nic.Address!.ToString(), nic.Gateway.ToString()));
        Assert.Equal(new NicAttachment.Netns("/run/netns/web", "eth0"), nic.Attachment);
        Assert.DoesNotContain(intent.Overlays[0].RemoteNics, n => n.Name == "web-01");
    }

    [Fact]
    public void A4_an_overlay_that_lost_its_VNI_is_not_materialised() => Assert.Equal(
        ["overlay0"],
        Build([Claim(Created(A, "overlay0", 1, uid: 1)), Claim(Created(B, "overlay", 2, uid: 2))]).Overlays.Select(o => o.Name));

    [Theory]
    [InlineData(null, "eth0")]
    [InlineData("wan0", "wan0")]
    public void Guests_leave_by_the_device_the_operator_named_or_the_advertised_one(string? gateway, string egress) =>
        Assert.Equal(egress, IntentBuilder.Build(Self, Underlay, gateway, Snapshot(Prod), Attachments(), null).Self.EgressInterface);

    [Fact]
    public void Intents_are_compared_by_what_they_say()
    {
        DataplaneIntent one = Build(Prod);

        Assert.True(IntentComparison.Same(one, Build(Prod)));
        Assert.False(IntentComparison.Same(one, Build(Prod, null, Member(A), Member(B, MemberStatus.Left))));
        Assert.False(IntentComparison.Same(one, Build([.. Prod, Lease(11, 1, "10.88.0.77", B)])));
        Assert.False(IntentComparison.Same(one, Build([.. Prod, Claim(Created(A, "lan", 1, uid: 2))])));
        Assert.False(IntentComparison.Same(one, Build(Prod, "not yet")));
        Assert.False(IntentComparison.Same(one, one with { VtepMembers = [] }));
        Assert.False(IntentComparison.Same(one, one with { Overlays = [one.Overlays[0] with { Bridge = "kbr-x" }] }));
        Assert.False(IntentComparison.Same(one, one with { Overlays = [one.Overlays[0] with { LocalNics = [Intents.Tap("x", 1)] }] }));
    }

    [Fact]
    public void An_intent_that_is_renewed_says_what_one_built_anew_would_say()
    {
        CatalogEntry[] entries = [.. Prod, Claim(Local(A, "lan", A, 2, uid: 2)), Claim(Created(B, "dmz", 3, uid: 3, Overlay("10.89.0.1"))), Nic(C, NicFact(12, 3, "db-01", 3, "10.89.0.2"))];
        CatalogSnapshot facts = Snapshot(entries, Member(A), Member(B), Member(C));
        DataplaneIntent first = IntentBuilder.Build(Self, Underlay, null, facts, Attachments(), "not yet", _ => 1400);

        DataplaneIntent renewed = IntentBuilder.Renew(first, Self, Underlay, facts, Attachments(), null, _ => 9000);
        Assert.True(IntentComparison.Same(IntentBuilder.Build(Self, Underlay, null, facts, Attachments(), null, _ => 9000), renewed));
        Assert.Equal(["db-01", "web-02"], renewed.Overlays.SelectMany(o => o.RemoteNics).Select(n => n.Name).Order(StringComparer.Ordinal));
    }

    [Fact]
    public void The_NICs_of_a_network_are_all_those_of_it_and_no_others()
    {
        CatalogView view = Snapshot([.. Enumerable.Range(0, 60).Select(i => Nic(i % 2 == 0 ? B : C, NicFact((ulong)i + 1, (ulong)(i * i % 13 * 2), $"vm{i}", (byte)i)))]).View;

        for (ulong network = 0; network < 28; network++)
        {
            Assert.Equal(view.Nics.Where(n => n.Fact.Network == network), view.NicsOf(network));
        }
    }

    [Fact]
    public void Behaviour_115_a_NIC_that_is_coming_is_another_nodes_until_the_log_says_otherwise()
    {
        AttachmentRecord prepared = AttachmentTableTests.Record(1, address: "10.88.0.2") with { PreparedFor = 70 };
        CatalogEntry[] here = [.. Prod.SkipLast(1), Nic(B, NicFact(1, 1, "web-01", 1, "10.88.0.2", 5)), Nic(A, NicFact(1, 1, "web-01", 1, "10.88.0.2"))];

        OverlayIntent waiting = Moving(prepared, [.. here, Lease(1, 1, "10.88.0.2", B), Move(70, 1, 10, from: B, to: A)]);
        Assert.True(Assert.Single(waiting.LocalNics).Arriving);
        Assert.Equal("node-b", Assert.Single(waiting.RemoteNics).NodeName);

        OverlayIntent taken = Moving(prepared, [.. here, Lease(1, 1, "10.88.0.2", A, 20), Move(70, 1, 10, 20, from: B, to: A)]);
        Assert.False(Assert.Single(taken.LocalNics).Arriving);
        Assert.Empty(taken.RemoteNics);
    }

    [Fact]
    public void Behaviour_115_a_NIC_that_was_handed_over_is_behind_the_other_node_also_before_its_record_is_gone()
    {
        AttachmentRecord left = AttachmentTableTests.Record(1, address: "10.88.0.2");
        CatalogEntry[] there = [.. Prod.SkipLast(1), Nic(A, NicFact(1, 1, "web-01", 1, "10.88.0.2", 5)), Nic(B, NicFact(1, 1, "web-01", 1, "10.88.0.2"))];

        OverlayIntent before = Moving(left, [.. there, Lease(1, 1, "10.88.0.2", A), Move(70, 1, 10)]);
        Assert.False(Assert.Single(before.LocalNics).Arriving);
        Assert.Empty(before.RemoteNics);

        OverlayIntent after = Moving(left, [.. there, Lease(1, 1, "10.88.0.2", B, 20), Move(70, 1, 10, 20)]);
        Assert.Empty(after.LocalNics);
        Assert.Equal("node-b", Assert.Single(after.RemoteNics).NodeName);
    }

    private static OverlayIntent Moving(AttachmentRecord record, CatalogEntry[] entries) =>
        Assert.Single(IntentBuilder.Build(Self, Underlay, null, Snapshot(entries, Member(A), Member(B), Member(C)), Attachments(record), null).Overlays);

    private static CatalogEntry[] Prod =>
    [
        Node(A),
        Node(B),
        Node(C),
        Claim(Created(A, "prod", 1, uid: 1)),
        Participation(A, 1),
        Participation(B, 1),
        Participation(C, 1),
        Nic(B, NicFact(11, 1, "web-02", 2, "10.88.0.2")),
    ];

    private static AttachmentSet Attachments(params AttachmentRecord[] records) =>
        new(System.Collections.Immutable.ImmutableSortedDictionary.CreateRange(records.Select(r => KeyValuePair.Create(r.Id, r))));

    private static IEnumerable<UInt128> Peers(MemberStatus status) =>
        Assert.Single(Build(Prod, null, Member(A, status), Member(B, status), Member(C, status)).Overlays).Peers.Select(p => p.NodeUid);

    private static DataplaneIntent Build(IEnumerable<CatalogEntry> entries, string? heldBack = null, params Member[] members) =>
        IntentBuilder.Build(Self, Underlay, null, Snapshot(entries, members), Attachments(), heldBack);
}

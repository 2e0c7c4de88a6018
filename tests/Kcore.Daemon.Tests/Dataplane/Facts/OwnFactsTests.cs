using System.Collections.Immutable;
using System.Net;
using Kcore.Daemon.Catalog;
using Kcore.Daemon.Catalog.Facts;
using Kcore.Daemon.Cluster.Addressing;
using Kcore.Daemon.Dataplane;
using Kcore.Daemon.Dataplane.Facts;
using Kcore.Daemon.Ipam;
using Kcore.Daemon.Ipam.Attachments;
using Kcore.Daemon.Tests.Ipam.Attachments;
using Kcore.Gossip;
using static Kcore.Daemon.Tests.Catalog.Said;

namespace Kcore.Daemon.Tests.Dataplane.Facts;

public sealed class OwnFactsTests
{
    private static readonly LocalNode Self = new(A, "node-a", false, "0.1.0");
    private static readonly AttachmentRecord Web = AttachmentTableTests.Record(5, "web-01", "10.88.0.2");
    private static readonly ClaimFact Prod = Created(B, "prod", 1, uid: 1);

    [Fact]
    public void A_node_states_itself_its_overlays_and_its_NICs()
    {
        ImmutableArray<LocalWrite> writes = Difference([Claim(Prod)], [Web]);

        Assert.Equal([FactKeys.Nic(5), FactKeys.Node, FactKeys.Participation(1)], writes.Select(w => w.Key));
        Assert.DoesNotContain(writes, w => w.Tombstone);
    }

    [Fact]
    public void Behaviour_23_a_restart_that_changes_nothing_writes_nothing()
    {
        CatalogEntry[] stated = Stated([Claim(Prod)], [Web]);

        Assert.Empty(Difference(stated, [Web]));
    }

    [Fact]
    public void Only_what_changed_is_written()
    {
        CatalogEntry[] stated = Stated([Claim(Prod)], [Web]);

        LocalWrite write = Assert.Single(Difference(stated, [Web with { Address = IPAddress.Parse("10.88.0.3") }]));

        Assert.Equal(FactKeys.Nic(5), write.Key);
    }

    [Fact]
    public void A_changed_address_of_the_host_is_told()
    {
        CatalogEntry[] stated = Stated([Claim(Prod)], []);

        LocalWrite write = Assert.Single(OwnFacts.Difference(Self, At("192.0.2.99"), Snapshot(stated), Set([]), Kernel(null, null), _ => null, false, 0));

        Assert.Equal(FactKeys.Node, write.Key);
    }

    [Fact]
    public void A_detached_NIC_and_a_deleted_network_leave_tombstones()
    {
        CatalogEntry[] stated = Stated([Claim(Prod)], [Web]);

        ImmutableArray<LocalWrite> writes = Difference([.. stated.Where(e => e.Origin == A), Claim(Deleted(B, Prod, 2))], []);

        Assert.Equal([FactKeys.Nic(5), FactKeys.Participation(1)], writes.Select(w => w.Key).Order(StringComparer.Ordinal));
        Assert.All(writes, w => Assert.True(w.Tombstone));
    }

    [Fact]
    public void A_NIC_on_its_way_out_is_not_stated_any_more() =>
        Assert.DoesNotContain(Difference([Claim(Prod)], [Web with { Releasing = true }]), w => w.Key == FactKeys.Nic(5));

    [Fact]
    public void Own_claims_and_facts_of_others_are_left_alone()
    {
        CatalogEntry[] stated = Stated([Claim(Created(A, "prod", 1, uid: 1)), Node(B), Participation(B, 7), Pool(1, "prod")], []);

        Assert.Empty(Difference(stated, []));
    }

    [Fact]
    public void A_disabled_node_takes_part_in_no_overlay_and_takes_back_that_it_did()
    {
        CatalogEntry[] stated = Stated([Claim(Prod)], []);

        ImmutableArray<LocalWrite> writes = OwnFacts.Difference(
            Self with { VxlanDisabled = true }, At("192.0.2.10"), Snapshot(stated), Set([]), Kernel(null, null), _ => null, false, 0);

        Assert.True(writes.Single(w => w.Key == FactKeys.Participation(1)).Tombstone);
        Assert.Contains(writes, w => w.Key == FactKeys.Node && !w.Tombstone);
    }

    [Fact]
    public void A_NIC_is_ready_when_its_network_its_lease_and_its_device_are()
    {
        Assert.Equal((ObjectState.Ready, null), State(Web, Kernel(null, null)));
        Assert.Equal((ObjectState.Pending, null), State(Web, ReconcileStatus.None));
        Assert.Equal((ObjectState.PendingAddress, null), State(Web with { Address = null }, Kernel(null, null)));
        Assert.Equal((ObjectState.Failed, "no such namespace"), State(Web, Kernel(null, "no such namespace")));
        Assert.Equal((ObjectState.Failed, "full"), State(Web with { Address = null }, Kernel(null, null), new LeaseRefusal(RefusalCode.ResourceExhausted, "full")));
        Assert.Equal(ObjectState.Failed, OwnFacts.StateOf(Web, Snapshot([]), Kernel(null, null), null).State);
    }

    [Fact]
    public void Behaviour_115_a_NIC_that_waits_for_its_hand_over_is_stated_as_prepared_and_claims_nothing()
    {
        CatalogEntry[] entries = [Claim(Prod), Lease(5, 1, "10.88.0.2", B, 7)];
        AttachmentRecord prepared = Web with { PreparedFor = 70 };
        LocalWrite write = Difference(entries, [prepared]).Single(w => w.Key == FactKeys.Nic(5));
        Assert.True(FactCodec.TryDecode(Entry(A, write.Key, FactKind.Nic, write.Value), out NicFact? fact));
        Assert.Equal((ObjectState.Prepared, 0ul), (fact.State, fact.LeaseIndex));
    }

    [Fact]
    public void A4_a_NIC_on_a_network_that_lost_its_VNI_fails_with_the_reason()
    {
        CatalogSnapshot snapshot = Snapshot([Claim(Created(B, "overlay0", 1, uid: 9)), Claim(Created(B, "overlay", 2, uid: 1))]);

        (ObjectState state, string? reason) = OwnFacts.StateOf(Web, snapshot, Kernel(null, null), null);

        Assert.Equal(ObjectState.Failed, state);
        Assert.Contains("'overlay0'", reason, StringComparison.Ordinal);
    }

    [Fact]
    public void A_network_is_what_the_kernel_says()
    {
        var network = Snapshot([Claim(Prod)]).View.Networks["prod"];

        Assert.Equal((ObjectState.Ready, null), OwnFacts.StateOf(network, Kernel(null, null)));
        Assert.Equal((ObjectState.Failed, "no device"), OwnFacts.StateOf(network, Kernel("no device", null)));
        Assert.Equal((ObjectState.Pending, null), OwnFacts.StateOf(network, ReconcileStatus.None));
    }

    [Fact]
    public void A_reason_of_any_length_can_be_told()
    {
        LocalWrite write = OwnFacts.Difference(Self, At("192.0.2.10"), Snapshot([Claim(Prod)]), Set([]), Kernel(new string('€', 10_000), null), _ => null, false, 0)
            .Single(w => w.Key == FactKeys.Participation(1));

        Assert.True(FactCodec.TryDecode(Entry(A, write.Key, FactKind.Participation, write.Value), out ParticipationFact? fact));
        Assert.Equal(ObjectState.Failed, fact.State);
    }

    private static (ObjectState State, string? Reason) State(AttachmentRecord record, ReconcileStatus kernel, LeaseRefusal? refusal = null) =>
        OwnFacts.StateOf(record, Snapshot([Claim(Prod)]), kernel, refusal);

    private static Underlay At(string address) => new(new AdvertisedAddress.Chosen(IPAddress.Parse(address), "eth0", "a test"), 1500);

    private static AttachmentSet Set(IEnumerable<AttachmentRecord> records) => new(records.ToImmutableSortedDictionary(r => r.Id, r => r));

    private static ReconcileStatus Kernel(string? failure, string? nicFailure) => ReconcileStatus.None with
    {
        Networks = ImmutableSortedDictionary<string, NetworkHealth>.Empty.Add(
            "prod", new NetworkHealth(failure, ImmutableSortedDictionary<string, NicHealth>.Empty.Add("web-01", new NicHealth(FactKeys.Hex(5), nicFailure)))),
    };

    private static ImmutableArray<LocalWrite> Difference(IEnumerable<CatalogEntry> entries, IEnumerable<AttachmentRecord> records) =>
        OwnFacts.Difference(Self, At("192.0.2.10"), Snapshot(entries), Set(records), Kernel(null, null), _ => null, false, 0);

    /// <summary>The catalog once the node has stated everything.</summary>
    private static CatalogEntry[] Stated(CatalogEntry[] entries, AttachmentRecord[] records) =>
        [.. entries, .. Difference(entries, records).Select(w => Entry(A, w.Key, (FactKind)w.Kind, w.Value))];
}

using Kcore.Daemon.Catalog.Facts;
using Kcore.Daemon.Cluster;
using Kcore.Daemon.Ipam;
using Kcore.Daemon.Ipam.Upkeep;
using Kcore.Gossip;
using static Kcore.Daemon.Tests.Catalog.Said;

namespace Kcore.Daemon.Tests.Ipam.Upkeep;

public sealed class OrphanWatchTests
{
    private static readonly CatalogEntry[] Held = [Node(B), Lease(7, 1, "10.88.0.2", B)];
    private static readonly CatalogEntry Stated = Nic(B, NicFact(7, 1, "web-01", 1));
    private static readonly ReplicatedCommand Mark = new ReplicatedCommand.MarkOrphaned(new AttachmentId(Uid.ToGuid(7)), Uid.ToGuid(B.Value));

    [Fact]
    public void A_nic_that_its_living_node_does_not_state_is_missed_for_a_minute_before_its_lease_is_marked()
    {
        var watch = new OrphanWatch();
        Assert.Empty(watch.Due(Snapshot(Held, Member(A), Member(B)), At(0)));
        Assert.Empty(watch.Due(Snapshot(Held, Member(A), Member(B)), At(59)));
        Assert.Equal([Mark], watch.Due(Snapshot(Held, Member(A), Member(B)), At(60)));

        // Marked: nothing more to do.
        Assert.Empty(watch.Due(Snapshot([Node(B), Orphaned], Member(A), Member(B)), At(61)));
    }

    [Fact]
    public void A_break_in_the_evidence_begins_the_wait_anew()
    {
        var watch = new OrphanWatch();
        watch.Due(Snapshot(Held, Member(A), Member(B)), At(0));
        watch.Due(Snapshot([.. Held, Stated], Member(A), Member(B)), At(30));
        Assert.Empty(watch.Due(Snapshot(Held, Member(A), Member(B)), At(60)));
        watch.Due(Snapshot(Held, Member(A), Member(B, MemberStatus.Suspect)), At(90));
        Assert.Empty(watch.Due(Snapshot(Held, Member(A), Member(B)), At(120)));
        watch.Forget();
        Assert.Empty(watch.Due(Snapshot(Held, Member(A), Member(B)), At(181)));
    }

    [Theory]
    [InlineData(MemberStatus.Suspect)]
    [InlineData(MemberStatus.Dead)]
    [InlineData(null)]
    public void The_silence_of_a_node_proves_nothing(MemberStatus? status)
    {
        Member[] members = status is { } known ? [Member(A), Member(B, known)] : [Member(A)];
        Assert.False(IsMarked(Held, members));
    }

    [Fact]
    public void A_node_whose_facts_have_not_come_yet_proves_nothing() => Assert.False(IsMarked(Held[1..], Member(A), Member(B)));

    [Fact]
    public void A_nic_counts_also_where_another_has_its_mac() => Assert.False(
        IsMarked([.. Held, Node(C), Stated, Nic(C, NicFact(8, 1, "web-02", 1, lease: 99))], Member(A), Member(B), Member(C)));

    [Fact]
    public void What_a_removed_node_stated_does_not_count() => Assert.True(IsMarked([.. Held, Stated, Removed(B)], Member(A)));

    [Fact]
    public void A_nic_that_shows_again_has_its_lease_again_at_once()
    {
        Assert.Equal(
            [new ReplicatedCommand.Adopt(new AttachmentId(Uid.ToGuid(7)), Uid.ToGuid(B.Value))],
            new OrphanWatch().Due(Snapshot([Node(B), Orphaned, Stated], Member(A), Member(B)), At(0)));
        Assert.Empty(new OrphanWatch().Due(Snapshot([Orphaned, Stated, Removed(B)], Member(A)), At(0)));
    }

    private static CatalogEntry Orphaned => Entry(
        NodeId.Raft, FactKeys.Lease(7), FactKind.Lease, FactCodec.Encode(new LeaseFact(7, 1, System.Net.IPAddress.Parse("10.88.0.2"), Mac(1), B, "web-01", 5, Orphaned: true)));

    private static bool IsMarked(CatalogEntry[] entries, params Member[] members)
    {
        var watch = new OrphanWatch();
        watch.Due(Snapshot(entries, members), At(0));
        return watch.Due(Snapshot(entries, members), At(3600)).Contains(Mark);
    }

    private static TimeSpan At(int seconds) => TimeSpan.FromSeconds(seconds);
}

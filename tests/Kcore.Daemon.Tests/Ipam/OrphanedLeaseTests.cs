using Kcore.Daemon.Catalog.Facts;
using Kcore.Daemon.Ipam;
using Kcore.Raft;

namespace Kcore.Daemon.Tests.Ipam;

public sealed class OrphanedLeaseTests
{
    private static readonly ReplicatedCommand.MarkOrphaned Orphan = new(new AttachmentId(Commands.Id(1)), Commands.Id(9));
    private static readonly ReplicatedCommand.ReleaseOrphan Release = new(new AttachmentId(Commands.Id(1)));

    [Fact]
    public void An_orphaned_lease_keeps_its_address_and_its_network()
    {
        ReplicatedState state = Held();
        Assert.True(Lease(state.Do(Orphan, 5)).Orphaned);
        Assert.Empty(state.Do(Orphan, 6).Changes);
        Assert.Equal(1, state.Statistics(new NetworkUid(Commands.Id(1)))!.Used);
        Assert.Equal("10.250.0.3", state.Do(Commands.Allocate(2), 7).Address());
        Assert.Equal(RefusalCode.FailedPrecondition, state.Do(new ReplicatedCommand.DeletePool(new NetworkUid(Commands.Id(1))), 8).Refusal().Code);
        var restored = new ReplicatedState();
        restored.Restore(state.TakeSnapshot());
        Assert.True(state.StateHash().SequenceEqual(restored.StateHash()));
        Assert.Single(restored.EnumerateAll().OfType<ReplicatedChange.LeasePut>(), lease => lease is { Orphaned: true, Index: 4, ChangedIndex: 5 });
    }

    [Fact]
    public void It_is_adopted_by_the_nic_that_shows_again_and_by_one_that_asks_again()
    {
        ReplicatedState state = Held();
        state.Do(Orphan, 5);
        Assert.False(Lease(state.Do(new ReplicatedCommand.Adopt(new AttachmentId(Commands.Id(1)), Commands.Id(9)), 6)).Orphaned);
        state.Do(Orphan, 7);
        Kcore.Daemon.Cluster.Consensus.ApplyOutcome<ReplicatedResult, ReplicatedChange> asked = state.Do(Commands.Allocate(1), 8);
        Assert.Equal("10.250.0.2", asked.Address());
        Assert.False(Lease(asked).Orphaned);
        Assert.Empty(state.Do(Commands.Allocate(1), 9).Changes);
    }

    [Fact]
    public void An_operator_ends_only_what_is_orphaned()
    {
        ReplicatedState state = Held();
        Assert.Equal(RefusalCode.FailedPrecondition, state.Do(Release, 5).Refusal().Code);
        state.Do(Orphan, 6);
        Assert.IsType<ReplicatedChange.LeaseRemoved>(Assert.Single(state.Do(Release, 7).Changes));
        Assert.Equal(ReplicatedResult.Done.Instance, state.Do(Release, 8).Result);
        Assert.Equal(RefusalCode.FailedPrecondition, state.Do(Commands.Allocate(1), 9).Refusal().Code);
        Assert.Equal("10.250.0.3", state.Do(Commands.Allocate(2), 10).Address());
        Assert.Equal(RefusalCode.NotFound, state.Do(Release with { Attachment = new AttachmentId(Commands.Id(77)) }, 11).Refusal().Code);
    }

    [Fact]
    public void A_mark_names_the_node_it_means()
    {
        ReplicatedState state = Held();
        Assert.Equal(RefusalCode.NotFound, state.Do(Orphan with { NodeUid = Commands.Id(8) }, 5).Refusal().Code);
        Assert.Equal(RefusalCode.NotFound, state.Do(Orphan with { Attachment = new AttachmentId(Commands.Id(2)) }, 5).Refusal().Code);
    }

    [Fact]
    public void A_node_that_lost_its_records_gets_the_address_of_its_nic_again_under_a_new_attachment()
    {
        ReplicatedState state = Held();
        ReplicatedCommand.Allocate again = Again(2);
        Assert.Equal(RefusalCode.AlreadyExists, state.Do(again, 5).Refusal().Code);
        state.Do(Orphan, 6);
        Assert.Equal(RefusalCode.AlreadyExists, state.Do(again with { NicName = "another" }, 7).Refusal().Code);
        Assert.Equal(RefusalCode.AlreadyExists, state.Do(again with { NodeUid = Commands.Id(8) }, 8).Refusal().Code);
        Assert.Equal(RefusalCode.AlreadyExists, state.Do(again with { Wanted = System.Net.IPAddress.Parse("10.250.0.9") }, 9).Refusal().Code);
        Kcore.Daemon.Cluster.Consensus.ApplyOutcome<ReplicatedResult, ReplicatedChange> passed = state.Do(again, 10);
        Assert.Equal("10.250.0.2", passed.Address());
        Assert.Collection(
            passed.Changes,
            c => Assert.Equal(new AttachmentId(Commands.Id(1)), Assert.IsType<ReplicatedChange.LeaseRemoved>(c).Attachment),
            c => Assert.Equal((new AttachmentId(Commands.Id(2)), false), (Assert.IsType<ReplicatedChange.LeasePut>(c).Attachment, ((ReplicatedChange.LeasePut)c).Orphaned)));

        // The old attachment is over, and the MAC is the new one's.
        Assert.Equal(RefusalCode.FailedPrecondition, state.Do(Commands.Allocate(1), 11).Refusal().Code);
        Assert.Equal(RefusalCode.AlreadyExists, state.Do(Again(3), 12).Refusal().Code);
        Assert.Equal(1, state.Statistics(new NetworkUid(Commands.Id(1)))!.Used);
        state.Do(Commands.ReleaseOn(2), 13);
        Assert.Equal(0, state.Statistics(new NetworkUid(Commands.Id(1)))!.Used);
    }

    [Fact]
    public void Where_addresses_are_given_again_a_removed_node_leaves_orphans_behind()
    {
        ReplicatedState state = Commands.Founded();
        state.Do(Commands.Pool() with { Reuse = AddressReuse.Quarantine }, 2);
        state.Do(new ReplicatedCommand.NodeAdd(new MemberId(Commands.Id(9), Commands.Id(90)), "n1"), 3);
        state.Do(new ReplicatedCommand.NodeAdd(new MemberId(Commands.Id(8), Commands.Id(80)), "n2"), 3);
        state.Do(Commands.Allocate(1), 4);
        Assert.True(Lease(state.Do(new ReplicatedCommand.NodeRemove(Commands.Id(9), ReleaseLeases: true), 5)).Orphaned);
        Assert.Equal((1, 0), (state.Statistics(new NetworkUid(Commands.Id(1)))!.Used, state.Statistics(new NetworkUid(Commands.Id(1)))!.Resting));

        // Set up anew on another host.
        Assert.Equal("10.250.0.2", state.Do(Again(2) with { NodeUid = Commands.Id(8) }, 6).Address());
    }

    private static ReplicatedState Held()
    {
        ReplicatedState state = Commands.Founded();
        state.Do(Commands.Pool(), 3);
        Assert.Equal("10.250.0.2", state.Do(Commands.Allocate(1), 4).Address());
        return state;
    }

    private static ReplicatedCommand.Allocate Again(uint attachment) => Commands.Allocate(1) with { Attachment = new AttachmentId(Commands.Id(attachment)) };

    private static ReplicatedChange.LeasePut Lease(Kcore.Daemon.Cluster.Consensus.ApplyOutcome<ReplicatedResult, ReplicatedChange> outcome) =>
        Assert.Single(outcome.Changes.OfType<ReplicatedChange.LeasePut>());
}

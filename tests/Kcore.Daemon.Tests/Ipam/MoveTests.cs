using System.Net;
using Kcore.Daemon.Ipam;
using Kcore.Raft;

namespace Kcore.Daemon.Tests.Ipam;

/// <summary>A NIC changes hands with one entry of the log: before it, it is the old node's, after it the new one's.</summary>
public sealed class MoveTests
{
    private const uint A = 9;
    private const uint B = 8;

    [Fact]
    public void A_lease_is_the_old_nodes_until_it_is_handed_over_and_the_new_ones_from_then_on()
    {
        ReplicatedState state = Held();
        ReplicatedChange.MovePut begun = Assert.IsType<ReplicatedChange.MovePut>(Assert.Single(state.Do(Begin(70), 10).Changes));
        Assert.Equal((Nic(), 10ul, 0ul, 10ul), (begun.Nic, begun.Begun, begun.HandedOver, begun.ChangedIndex));
        Assert.Equal(Commands.Id(A), NodeOf(state));
        Assert.Equal(RefusalCode.FailedPrecondition, state.Do(Commands.ReleaseOn(1, node: B), 11).Refusal().Code);

        Assert.Collection(
            state.Do(new ReplicatedCommand.HandOver(Commands.Id(70)), 12).Changes,
            c => Assert.Equal((Commands.Id(B), 12ul, 12ul), (((ReplicatedChange.LeasePut)c).NodeUid, ((ReplicatedChange.LeasePut)c).Index, ((ReplicatedChange.LeasePut)c).ChangedIndex)),
            c => Assert.Equal(12ul, ((ReplicatedChange.MovePut)c).HandedOver));
        Assert.Equal(Commands.Id(B), NodeOf(state));

        // The same address, held by nobody else and offered to nobody else; only its new node gives it back.
        Assert.Equal("10.250.0.3", state.Do(Commands.Allocate(2), 13).Address());
        Assert.Equal(RefusalCode.FailedPrecondition, state.Do(Commands.ReleaseOn(1), 14).Refusal().Code);
        Assert.Equal(RefusalCode.FailedPrecondition, state.Do(Commands.Allocate(1), 15).Refusal().Code);
        Assert.IsType<ReplicatedChange.LeaseRemoved>(Assert.Single(state.Do(Commands.ReleaseOn(1, node: B), 16).Changes));
        Assert.Equal("10.250.0.4", state.Do(Commands.Allocate(3), 17).Address());
    }

    [Fact]
    public void It_is_over_when_both_nodes_know_and_then_asking_again_changes_nothing()
    {
        ReplicatedState state = Held();
        state.Do(Begin(70), 10);
        Assert.Equal(RefusalCode.FailedPrecondition, state.Do(Known(70, B), 11).Refusal().Code);
        state.Do(new ReplicatedCommand.HandOver(Commands.Id(70)), 12);
        Assert.True(Assert.IsType<ReplicatedChange.MovePut>(Assert.Single(state.Do(Known(70, B), 13).Changes)) is { TargetKnows: true, SourceKnows: false, ChangedIndex: 13 });
        Assert.Empty(state.Do(Known(70, B), 14).Changes);
        Assert.Empty(state.Do(Known(70, 7), 15).Changes);
        Assert.Equal(new ReplicatedChange.MoveRemoved(Commands.Id(70)), Assert.Single(state.Do(Known(70, A), 16).Changes));

        // Late duplicates of every step, also after the NIC has gone back.
        state.Do(Begin(71, from: B, to: A), 20);
        state.Do(new ReplicatedCommand.HandOver(Commands.Id(71)), 21);
        foreach (ReplicatedCommand late in (ReplicatedCommand[])[new ReplicatedCommand.HandOver(Commands.Id(70)), Known(70, A), Known(70, B)])
        {
            Kcore.Daemon.Cluster.Consensus.ApplyOutcome<ReplicatedResult, ReplicatedChange> outcome = state.Do(late, 22);
            Assert.Equal((ReplicatedResult.Done.Instance, 0), (outcome.Result, outcome.Changes.Length));
        }

        Assert.Equal(RefusalCode.FailedPrecondition, state.Do(Begin(70), 23).Refusal().Code);
        Assert.Equal(RefusalCode.FailedPrecondition, state.Do(new ReplicatedCommand.AbortMove(Commands.Id(70)), 24).Refusal().Code);
        Assert.Equal(Commands.Id(A), NodeOf(state));
    }

    [Fact]
    public void A_move_that_was_given_up_neither_begins_again_nor_is_handed_over()
    {
        ReplicatedState state = Held();
        state.Do(Begin(70), 10);
        Assert.Equal(new ReplicatedChange.MoveRemoved(Commands.Id(70)), Assert.Single(state.Do(new ReplicatedCommand.AbortMove(Commands.Id(70)), 11).Changes));
        Assert.Empty(state.Do(new ReplicatedCommand.AbortMove(Commands.Id(70)), 12).Changes);
        Assert.Equal(RefusalCode.FailedPrecondition, state.Do(new ReplicatedCommand.HandOver(Commands.Id(70)), 13).Refusal().Code);
        Assert.Equal(RefusalCode.FailedPrecondition, state.Do(Begin(70), 14).Refusal().Code);

        // Its end may overtake its beginning.
        Assert.Equal(ReplicatedResult.Done.Instance, state.Do(new ReplicatedCommand.AbortMove(Commands.Id(72)), 15).Result);
        Assert.Equal(RefusalCode.FailedPrecondition, state.Do(Begin(72), 16).Refusal().Code);
        Assert.Equal(RefusalCode.Unavailable, state.Do(Begin(73) with { ValidUntil = 16 }, 17).Refusal().Code);
        Assert.Equal(RefusalCode.NotFound, state.Do(new ReplicatedCommand.HandOver(Commands.Id(74)), 18).Refusal().Code);
        Assert.Single(state.Do(Begin(75), 19).Changes);
        Assert.Equal(Commands.Id(A), NodeOf(state));
    }

    [Fact]
    public void A_NIC_moves_to_one_place_at_a_time_and_only_from_where_it_is()
    {
        ReplicatedState state = Held();
        state.Do(Begin(70), 10);
        Assert.Empty(state.Do(Begin(70), 11).Changes);
        Assert.Equal(RefusalCode.AlreadyExists, state.Do(Begin(70, to: 7), 12).Refusal().Code);
        Assert.Contains("node-8", state.Do(Begin(71, to: 7), 13).Refusal().Text, StringComparison.Ordinal);
        state.Do(new ReplicatedCommand.AbortMove(Commands.Id(70)), 14);
        Assert.Equal(RefusalCode.FailedPrecondition, state.Do(Begin(71, from: B, to: 7), 15).Refusal().Code);
        Assert.Equal(RefusalCode.InvalidArgument, state.Do(Begin(71, from: A, to: A), 15).Refusal().Code);
        Assert.Equal(RefusalCode.NotFound, state.Do(Begin(71, to: 6), 15).Refusal().Code);
        Assert.Equal(RefusalCode.NotFound, state.Do(With(Nic() with { Attachment = new AttachmentId(Commands.Id(99)) }), 15).Refusal().Code);
        Assert.Equal(RefusalCode.FailedPrecondition, state.Do(With(Nic() with { Mac = Commands.Mac(5) }), 15).Refusal().Code);
        Assert.Equal(RefusalCode.FailedPrecondition, state.Do(With(Nic() with { Address = IPAddress.Parse("10.250.0.9") }), 15).Refusal().Code);
        Assert.Equal(RefusalCode.FailedPrecondition, state.Do(With(Nic() with { IsLeased = false }), 15).Refusal().Code);
        state.Do(new ReplicatedCommand.MarkOrphaned(new AttachmentId(Commands.Id(1)), Commands.Id(A)), 16);
        Assert.Equal(RefusalCode.FailedPrecondition, state.Do(Begin(71), 17).Refusal().Code);
    }

    [Fact]
    public void What_ends_a_lease_ends_its_move_and_a_node_that_is_removed_neither_gives_nor_takes()
    {
        ReplicatedState state = Held();
        state.Do(Begin(70), 10);
        Assert.Collection(
            state.Do(Commands.ReleaseOn(1), 11).Changes, c => Assert.IsType<ReplicatedChange.LeaseRemoved>(c), c => Assert.Equal(new ReplicatedChange.MoveRemoved(Commands.Id(70)), c));
        Assert.Equal(RefusalCode.FailedPrecondition, state.Do(new ReplicatedCommand.HandOver(Commands.Id(70)), 12).Refusal().Code);

        state.Do(Commands.Allocate(1 + 1), 13);
        state.Do(With(Nic() with { Attachment = new AttachmentId(Commands.Id(2)), Name = "nic-2", Mac = Commands.Mac(2), Address = IPAddress.Parse("10.250.0.3") }), 14);
        Assert.Contains(new ReplicatedChange.MoveRemoved(Commands.Id(71)), state.Do(new ReplicatedCommand.NodeRemove(Commands.Id(B), ReleaseLeases: true), 15).Changes);
        Assert.Equal(RefusalCode.NotFound, state.Do(Begin(76), 16).Refusal().Code);
    }

    [Fact]
    public void Nobody_waits_for_the_word_of_a_node_that_was_removed()
    {
        ReplicatedState state = Held();
        state.Do(Begin(70), 10);
        state.Do(new ReplicatedCommand.HandOver(Commands.Id(70)), 11);
        state.Do(Known(70, B), 12);
        Assert.Contains(new ReplicatedChange.MoveRemoved(Commands.Id(70)), state.Do(new ReplicatedCommand.NodeRemove(Commands.Id(A), ReleaseLeases: true), 13).Changes);
        Assert.Equal(Commands.Id(B), NodeOf(state));
    }

    [Fact]
    public void A_NIC_without_a_lease_moves_by_the_same_rules()
    {
        ReplicatedState state = Held();
        MovingNic bridged = Nic() with { Attachment = new AttachmentId(Commands.Id(50)), Network = new NetworkUid(Commands.Id(51)), Address = null, IsLeased = false, Netns = "/run/netns/pc", Ifname = "eth0", AllowSpoofing = true };
        Assert.Equal(bridged, Assert.IsType<ReplicatedChange.MovePut>(Assert.Single(state.Do(With(bridged), 10).Changes)).Nic);
        Assert.True(Assert.IsType<ReplicatedChange.MovePut>(Assert.Single(state.Do(new ReplicatedCommand.HandOver(Commands.Id(71)), 11).Changes)).HandedOver == 11);
        Assert.Empty(state.Do(new ReplicatedCommand.HandOver(Commands.Id(71)), 12).Changes);
    }

    [Fact]
    public void Moves_and_what_is_remembered_of_them_outlive_a_snapshot_and_not_their_time()
    {
        ReplicatedState state = Held();
        state.Do(Begin(70), 10);
        state.Do(new ReplicatedCommand.HandOver(Commands.Id(70)), 11);
        state.Do(Known(70, A), 12);
        state.Do(Begin(71, from: B, to: A), 13);
        state.Do(new ReplicatedCommand.AbortMove(Commands.Id(72)), 14);
        var restored = new ReplicatedState();
        restored.Restore(state.TakeSnapshot());
        Assert.Equal(state.TakeSnapshot(), restored.TakeSnapshot());
        Assert.Equal(state.EnumerateAll().ToArray(), restored.EnumerateAll().ToArray());
        Assert.Equal(2, restored.EnumerateAll().OfType<ReplicatedChange.MovePut>().Count());
        Assert.Equal(RefusalCode.FailedPrecondition, restored.Do(Begin(72), 15).Refusal().Code);

        ulong later = 14 + ReplicatedState.RequestLifetime;
        Assert.Equal(RefusalCode.FailedPrecondition, restored.Do(Begin(72) with { ValidUntil = later }, later).Refusal().Code);
        int before = restored.TakeSnapshot().Length;
        restored.Do(new ReplicatedCommand.HashState(), later + 1);
        Assert.True(restored.TakeSnapshot().Length < before);
    }

    [Fact]
    public void A_snapshot_from_before_moves_is_read_as_one_without_and_an_impossible_move_is_refused()
    {
        ReplicatedState state = Held(), old = new();
        byte[] snapshot = state.TakeSnapshot();
        snapshot[0] = 7;
        old.Restore(snapshot.AsMemory(0, snapshot.Length - 8));
        Assert.Equal(state.StateHash().ToArray(), old.StateHash().ToArray());

        // Of a lease that the node it comes from does not hold: handing it over would find nothing.
        state.Do(Begin(70), 10);
        byte[] whole = state.TakeSnapshot();
        int from = whole.AsSpan().LastIndexOf(Commands.Id(A).ToByteArray(bigEndian: true));
        Commands.Id(7).TryWriteBytes(whole.AsSpan(from), bigEndian: true, out _);
        Assert.Throws<InvalidDataException>(() => new ReplicatedState().Restore(whole));
    }

    private static ReplicatedState Held()
    {
        ReplicatedState state = Commands.Founded();
        foreach (uint node in (uint[])[A, B, 7])
        {
            state.Do(new ReplicatedCommand.NodeAdd(new MemberId(Commands.Id(node), Commands.Id(node * 10)), $"node-{node}"), 2);
        }

        state.Do(Commands.Pool(), 3);
        state.Do(Commands.Allocate(1), 4);
        return state;
    }

    private static MovingNic Nic(uint from = A, uint to = B) => new(
        new AttachmentId(Commands.Id(1)), new NetworkUid(Commands.Id(1)), "nic-1", Commands.Mac(1), IPAddress.Parse("10.250.0.2"), Commands.Id(from), Commands.Id(to), IsLeased: true);

    private static ReplicatedCommand.BeginMove Begin(uint move, uint from = A, uint to = B) => new(Commands.Id(move), Nic(from, to), 10_000);

    private static ReplicatedCommand.BeginMove With(MovingNic nic) => new(Commands.Id(71), nic, 10_000);

    private static ReplicatedCommand.AcknowledgeMove Known(uint move, uint node) => new(Commands.Id(move), Commands.Id(node));

    private static Guid NodeOf(ReplicatedState state) => state.TryGetLease(new AttachmentId(Commands.Id(1)), out ReplicatedChange.LeasePut? lease) ? lease.NodeUid : Guid.Empty;
}

using System.Net;
using Kcore.Daemon.Catalog.Facts;
using Kcore.Daemon.Cluster.Consensus;
using Kcore.Daemon.Ipam;
using Kcore.Raft;

namespace Kcore.Daemon.Tests.Ipam;

/// <summary>What the log does with addresses that nodes were granted in advance.</summary>
public sealed class EmergencyReserveTests
{
    private const ulong Minute = 60_000;
    private const uint A = 9;
    private const uint B = 8;

    private ulong _index = 10;
    private ulong _clock;

    [Fact]
    public void Every_node_gets_its_addresses_from_the_top_and_the_order_below_is_as_without()
    {
        ReplicatedState state = Made(2);
        Assert.Equal(".254 .253", Parked(Ask(state, A)));
        Assert.Equal(".252 .251", Parked(Ask(state, B)));
        Assert.Equal("10.250.0.2", Do(state, Commands.Allocate(1)).Address());
        Assert.Equal("10.250.0.3", Do(state, Commands.Allocate(2)).Address());
        PoolStatistics now = state.Statistics(Network)!;
        Assert.Equal((253, 2, 4, 247), (now.Size, now.Used, now.Parked, now.Free));
    }

    [Fact]
    public void Asking_again_grants_nothing_more_and_tells_the_same()
    {
        ReplicatedState state = Made(2);
        ReplicatedResult first = Ask(state, A).Result;
        ApplyOutcome<ReplicatedResult, ReplicatedChange> again = Ask(state, A);
        Assert.Equal(first, again.Result);
        Assert.Empty(again.Changes);
    }

    [Fact]
    public void Excluded_held_and_wished_addresses_are_passed_over()
    {
        ReplicatedState state = Made(3, exclusions: ["10.250.0.254", "10.250.0.251"]);
        Do(state, Commands.Allocate(1, wanted: "10.250.0.253"));
        Assert.Equal(".252 .250 .249", Parked(Ask(state, A)));
    }

    [Fact]
    public void What_is_parked_is_granted_to_nobody_also_when_nothing_else_is_left()
    {
        ReplicatedState state = Made(1, "10.250.0.0/29");
        Assert.Equal(".6", Parked(Ask(state, A)));
        Assert.Equal(".5", Parked(Ask(state, B)));
        Assert.Contains("emergency reserve", Do(state, Commands.Allocate(1, wanted: "10.250.0.6")).Refusal().Text, StringComparison.Ordinal);
        Assert.Equal("10.250.0.2", Do(state, Commands.Allocate(1)).Address());
        Assert.Equal("10.250.0.3", Do(state, Commands.Allocate(2)).Address());
        Assert.Equal("10.250.0.4", Do(state, Commands.Allocate(3)).Address());
        Assert.Equal(RefusalCode.ResourceExhausted, Do(state, Commands.Allocate(4)).Refusal().Code);

        // It comes back as if it had never gone.
        Do(state, Back(A, ".6", wasUsed: false, state));
        Assert.Equal("10.250.0.6", Do(state, Commands.Allocate(4)).Address());
        Assert.Equal(RefusalCode.ResourceExhausted, Do(state, Commands.Allocate(5)).Refusal().Code);
    }

    [Fact]
    public void All_nodes_together_park_at_most_half_of_the_addresses()
    {
        ReplicatedState state = Made(2, "10.250.0.0/29");
        Assert.Equal(".6 .5", Parked(Ask(state, A)));
        Assert.Equal("", Parked(Ask(state, B)));
    }

    [Fact]
    public void The_use_of_a_parked_address_becomes_a_lease_and_makes_room_for_another()
    {
        ReplicatedState state = Made(2);
        Ask(state, A);
        ReplicatedCommand.UseReserve use = Use(1, A, ".254", state);
        ApplyOutcome<ReplicatedResult, ReplicatedChange> used = Do(state, use);
        Assert.Equal("10.250.0.254", used.Address());
        Assert.Contains(used.Changes, c => c is ReplicatedChange.LeasePut { NicName: "nic-1" });
        Assert.Contains(used.Changes, c => c is ReplicatedChange.ParkedRemoved);

        // The answer was lost, and so was that of the next.
        Assert.Equal("10.250.0.254", Do(state, use).Address());
        Assert.Equal(".253 .252", Parked(Ask(state, A)));
        Assert.Equal((1, 2), (state.Statistics(Network)!.Used, state.Statistics(Network)!.Parked));
        Do(state, Commands.ReleaseOn(1));
        Assert.Equal(RefusalCode.FailedPrecondition, Do(state, use).Refusal().Code);
        Assert.Equal(RefusalCode.AlreadyExists, Do(state, Commands.Allocate(2, wanted: "10.250.0.254")).Refusal().Code);
    }

    [Fact]
    public void Only_the_node_may_use_what_it_was_granted_and_only_as_it_was_granted_last()
    {
        ReplicatedState state = Made(1);
        Ask(state, A);
        ReplicatedCommand.UseReserve right = Use(1, A, ".254", state);
        Assert.Equal(RefusalCode.FailedPrecondition, Do(state, right with { NodeUid = Commands.Id(B) }).Refusal().Code);
        Assert.Equal(RefusalCode.FailedPrecondition, Do(state, right with { GrantIndex = right.GrantIndex - 1 }).Refusal().Code);
        Assert.Equal(RefusalCode.FailedPrecondition, Do(state, right with { Address = IPAddress.Parse("10.250.0.253") }).Refusal().Code);
        Assert.Equal(RefusalCode.NotFound, Do(state, right with { NodeUid = Commands.Id(77) }).Refusal().Code);
        Assert.Equal(RefusalCode.NotFound, Do(state, right with { Network = new NetworkUid(Commands.Id(77)) }).Refusal().Code);

        // Returned and granted once more: a late duplicate of the old use or return finds another grant.
        ReplicatedCommand.ReturnReserve back = Back(A, ".254", wasUsed: false, state);
        Do(state, back);
        Ask(state, A);
        Assert.Equal(RefusalCode.FailedPrecondition, Do(state, right).Refusal().Code);
        Assert.Empty(Do(state, back).Changes);
        Assert.Equal(1, state.Statistics(Network)!.Parked);
    }

    [Fact]
    public void An_attachment_that_holds_an_address_gets_no_second_one()
    {
        ReplicatedState state = Made(1);
        Ask(state, A);
        Do(state, Commands.Allocate(1));
        Assert.Equal(RefusalCode.FailedPrecondition, Do(state, Use(1, A, ".254", state)).Refusal().Code);
        Assert.Equal(RefusalCode.AlreadyExists, Do(state, Use(2, A, ".254", state) with { Mac = Commands.Mac(1) }).Refusal().Code);
        Assert.Equal(1, state.Statistics(Network)!.Parked);

        // The NIC before is released, and then the address is what it was meant for.
        Do(state, Commands.ReleaseOn(1));
        Assert.Equal("10.250.0.254", Do(state, Use(2, A, ".254", state) with { Mac = Commands.Mac(1) }).Address());
    }

    [Fact]
    public void An_address_that_was_used_and_detached_before_the_log_heard_of_it_is_burned()
    {
        ReplicatedState state = Made(1);
        Ask(state, A);
        ReplicatedCommand.UseReserve use = Use(1, A, ".254", state);
        Do(state, Back(A, ".254", wasUsed: true, state));
        Do(state, Commands.ReleaseOn(1));
        Assert.Equal(RefusalCode.FailedPrecondition, Do(state, use).Refusal().Code);
        Assert.Equal(RefusalCode.AlreadyExists, Do(state, Commands.Allocate(2, wanted: "10.250.0.254")).Refusal().Code);
        Assert.Equal(".253", Parked(Ask(state, A)));
    }

    [Fact]
    public void Where_addresses_are_reused_a_burned_one_rests_and_is_given_again()
    {
        ReplicatedState state = Made(1, "10.250.0.0/29", AddressReuse.Quarantine);
        Ask(state, A);
        Do(state, Back(A, ".6", wasUsed: true, state));
        for (uint i = 1; i <= 4; i++)
        {
            Do(state, Commands.Allocate(i));
        }

        Assert.Equal(RefusalCode.ResourceExhausted, Do(state, Commands.Allocate(9)).Refusal().Code);
        Advance(state, 1);
        Advance(state, 10);

        // Rested, it may be parked again, and returned it rests again: a guest may have had it once.
        Assert.Equal(".6", Parked(Ask(state, A)));
        Assert.Equal(RefusalCode.ResourceExhausted, Do(state, Commands.Allocate(9)).Refusal().Code);
        Do(state, Back(A, ".6", wasUsed: false, state));
        Assert.Equal(1, state.Statistics(Network)!.Resting);
        Advance(state, 1);
        Advance(state, 10);
        Assert.Equal("10.250.0.6", Do(state, Commands.Allocate(9)).Address());
    }

    [Theory]
    [InlineData(AddressReuse.Never)]
    [InlineData(AddressReuse.Quarantine)]
    public void What_a_removed_node_had_in_reserve_is_given_to_nobody_until_an_operator_says_so(AddressReuse reuse)
    {
        ReplicatedState state = Made(1, "10.250.0.0/29", reuse);
        Ask(state, A);
        ReplicatedCommand.UseReserve use = Use(1, A, ".6", state);
        ApplyOutcome<ReplicatedResult, ReplicatedChange> removed = Do(state, new ReplicatedCommand.NodeRemove(Commands.Id(A), ReleaseLeases: true));
        Assert.Contains(removed.Changes, c => c is ReplicatedChange.ParkedRemoved);

        // It was cut off, and had used it.
        Assert.Equal(RefusalCode.FailedPrecondition, Do(state, use).Refusal().Code);
        Assert.Equal(RefusalCode.FailedPrecondition, Ask(state, A).Refusal().Code);
        Advance(state, 1);
        Advance(state, 30);
        for (uint i = 1; i <= 4; i++)
        {
            Assert.NotEqual("10.250.0.6", Do(state, Commands.Allocate(i, node: B)).Address());
        }

        Assert.Equal(RefusalCode.ResourceExhausted, Do(state, Commands.Allocate(5, node: B)).Refusal().Code);
        Do(state, new ReplicatedCommand.Reclaim(Network));
        Advance(state, 1);
        Advance(state, 10);
        Assert.Equal("10.250.0.6", Do(state, Commands.Allocate(5, node: B)).Address());
    }

    [Fact]
    public void A_node_that_lost_its_record_gets_other_addresses_and_nobody_gets_the_old_ones()
    {
        ReplicatedState state = Made(2);
        Ask(state, A);
        ReplicatedCommand.UseReserve old = Use(1, A, ".254", state);
        ReplicatedResult.Parked refused = Assert.IsType<ReplicatedResult.Parked>(Ask(state, A, holder: 51).Result);
        Assert.Equal((Commands.Id(50), 0), (refused.Holder, refused.Addresses.Length));
        Assert.Equal(".252 .251", Parked(Ask(state, A, holder: 51, instead: 50)));
        Assert.Equal(RefusalCode.FailedPrecondition, Do(state, old).Refusal().Code);
        Assert.Equal(RefusalCode.AlreadyExists, Do(state, Commands.Allocate(5, wanted: "10.250.0.254")).Refusal().Code);

        // A late duplicate from before the loss changes nothing.
        Assert.Equal(Commands.Id(51), Assert.IsType<ReplicatedResult.Parked>(Ask(state, A, holder: 50).Result).Holder);
        Assert.Equal(".252 .251", Parked(Ask(state, A, holder: 51)));
    }

    [Fact]
    public void Reclaiming_leaves_what_is_parked()
    {
        ReplicatedState state = Made(1, "10.250.0.0/29", AddressReuse.Quarantine);
        Ask(state, A);
        Do(state, Back(A, ".6", wasUsed: true, state));
        for (uint i = 1; i <= 4; i++)
        {
            Do(state, Commands.Allocate(i));
        }

        Advance(state, 1);
        Advance(state, 10);
        Ask(state, A);
        Do(state, new ReplicatedCommand.Reclaim(Network));
        Advance(state, 1);
        Advance(state, 10);
        Assert.Equal(RefusalCode.ResourceExhausted, Do(state, Commands.Allocate(9)).Refusal().Code);
    }

    [Fact]
    public void A_snapshot_keeps_the_reserves_and_who_holds_them()
    {
        ReplicatedState state = Made(2);
        Ask(state, A);
        Ask(state, B);
        Do(state, Use(1, A, ".254", state));
        var restored = new ReplicatedState();
        restored.Restore(state.TakeSnapshot());
        Assert.Equal(state.TakeSnapshot(), restored.TakeSnapshot());
        Assert.True(state.StateHash().SequenceEqual(restored.StateHash()));
        Assert.Equal(state.EnumerateAll().ToArray(), restored.EnumerateAll().ToArray());
        Assert.Equal(3, restored.EnumerateAll().OfType<ReplicatedChange.ParkedPut>().Count());
        Assert.Equal(".253 .250", Parked(Ask(restored, A)));
        Assert.Equal("10.250.0.2", Do(restored, Commands.Allocate(2)).Address());
    }

    [Fact]
    public void A_snapshot_of_the_version_without_reserves_is_read()
    {
        // From its end: no moves (8), nothing held back (4) since no recovery (8), no holders (4), no mesh (8), nothing retired, leased, deleted, parked, rested, resting (4 each), a cursor (8), the reserve (1).
        byte[] now = Made(0).TakeSnapshot();
        byte[] before = [5, .. now[1..^65], .. now[^64..^48], .. now[^44..^24]];
        var restored = new ReplicatedState();
        restored.Restore(before);
        Assert.Equal(now, restored.TakeSnapshot());
    }

    [Fact]
    public void A_snapshot_in_which_nobody_holds_what_is_parked_is_refused()
    {
        ReplicatedState state = Made(1);
        Ask(state, A);
        byte[] whole = state.TakeSnapshot();

        // Without the one holder before what is held back, and then with one of a node that is not there.
        Assert.Throws<InvalidDataException>(() => new ReplicatedState().Restore((byte[])[.. whole[..^56], 0, 0, 0, 0, .. whole[^20..]]));
        Assert.Throws<InvalidDataException>(() => new ReplicatedState().Restore((byte[])[.. whole[..^52], .. Commands.Id(77).ToByteArray(bigEndian: true), .. whole[^36..]]));
    }

    [Theory]
    [InlineData(65, "10.250.0.0/24")]
    [InlineData(3, "10.250.0.0/29")]
    [InlineData(1, "10.250.0.0/30")]
    public void A_reserve_out_of_bounds_or_larger_than_half_of_the_subnet_is_refused(int reserve, string subnet)
    {
        ReplicatedState state = Commands.Founded();
        Assert.Equal(RefusalCode.InvalidArgument, Do(state, Commands.Pool(subnet: subnet) with { Reserve = reserve }).Refusal().Code);
    }

    [Fact]
    public void A_deleted_network_takes_its_reserves_along()
    {
        ReplicatedState state = Made(2);
        Ask(state, A);
        Assert.Equal(2, Do(state, new ReplicatedCommand.DeletePool(Network)).Changes.OfType<ReplicatedChange.ParkedRemoved>().Count());
        Assert.Equal(RefusalCode.NotFound, Ask(state, A).Refusal().Code);
        Assert.IsType<ReplicatedResult.Done>(Do(state, new ReplicatedCommand.ReturnReserve(Network, Commands.Id(A), IPAddress.Parse("10.250.0.254"), 12, WasUsed: true)).Result);
    }

    /// <summary>
    /// The lost voters heard that A has used .254 and given .253 back, which B was granted then, and used: of that the copy knows
    /// nothing. Both NICs keep their addresses, and nobody else gets one of these before an operator says so.
    /// </summary>
    [Fact]
    public void A_recovery_ends_all_reserves_and_holds_back_what_was_in_them_and_what_may_have_been()
    {
        ReplicatedState state = Made(2);
        Ask(state, A);
        ApplyOutcome<ReplicatedResult, ReplicatedChange> recovered = Do(state, new ReplicatedCommand.Recover(2));
        Assert.Equal(2, recovered.Changes.OfType<ReplicatedChange.ParkedRemoved>().Count());
        Assert.Equal(0, state.Statistics(Network)!.Parked);

        // Two that were parked, and two for each of the two nodes below them; then half of what is left, from the bottom.
        Assert.Equal(2 + 4 + 124, state.HeldBack);
        foreach (string top in new[] { "254", "253", "252", "251", "250", "249" })
        {
            Assert.Contains("recover-finalize", Do(state, Commands.Allocate(1, wanted: $"10.250.0.{top}")).Refusal().Text, StringComparison.Ordinal);
        }

        Assert.Equal("", Parked(Ask(state, A)));
        Assert.Equal("10.250.0.254", Do(state, Adopt(60, A, ".254")).Address());
        Assert.Equal("10.250.0.253", Do(state, Adopt(61, B, ".253")).Address());
        byte[] snapshot = state.TakeSnapshot();
        var restored = new ReplicatedState();
        restored.Restore(snapshot);
        Assert.Equal(snapshot, restored.TakeSnapshot());

        Do(state, new ReplicatedCommand.FinishRecovery());
        Assert.Equal(".248 .247", Parked(Ask(state, A)));
    }

    [Fact]
    public void What_was_granted_before_a_recovery_is_not_taken_for_granted_after_it()
    {
        ReplicatedState state = Made(1);
        Ask(state, A);
        ReplicatedCommand.UseReserve use = Use(1, A, ".254", state);
        ReplicatedCommand.ReturnReserve back = Back(A, ".254", wasUsed: false, state);
        Do(state, new ReplicatedCommand.Recover(2));
        Assert.Equal(RefusalCode.FailedPrecondition, Do(state, use).Refusal().Code);
        Assert.Empty(Do(state, back).Changes);

        // What its NIC has becomes a lease as any other that the copy lacks; after that the first word is as good as repeated.
        Assert.Equal("10.250.0.254", Do(state, Adopt(1, A, ".254")).Address());
        Assert.Equal("10.250.0.254", Do(state, use).Address());
    }

    private static ReplicatedCommand.AdoptLost Adopt(uint attachment, uint node, string address) =>
        new(new AttachmentId(Commands.Id(attachment)), Network, $"nic-{attachment}", Commands.Mac(attachment), Commands.Id(node), IPAddress.Parse("10.250.0" + address));

    private static NetworkUid Network => new(Commands.Id(1));

    private static string Parked(ApplyOutcome<ReplicatedResult, ReplicatedChange> outcome) => string.Join(
        ' ', Assert.IsType<ReplicatedResult.Parked>(outcome.Result).Addresses.Select(p => p.Address.ToString().Replace("10.250.0", "", StringComparison.Ordinal)));

    private ReplicatedState Made(int reserve, string subnet = "10.250.0.0/24", AddressReuse reuse = AddressReuse.Never, params string[] exclusions)
    {
        ReplicatedState state = Commands.Founded();
        Do(state, new ReplicatedCommand.NodeAdd(new MemberId(Commands.Id(A), Commands.Id(90)), "node-a"));
        Do(state, new ReplicatedCommand.NodeAdd(new MemberId(Commands.Id(B), Commands.Id(80)), "node-b"));
        Assert.IsType<ReplicatedResult.Done>(Do(state, Commands.Pool(subnet: subnet, exclusions: exclusions) with { Reserve = reserve, Reuse = reuse }).Result);
        return state;
    }

    private ApplyOutcome<ReplicatedResult, ReplicatedChange> Do(ReplicatedState state, ReplicatedCommand command) => state.Do(command, ++_index);

    private ApplyOutcome<ReplicatedResult, ReplicatedChange> Ask(ReplicatedState state, uint node, uint? holder = null, uint? instead = null) => Do(
        state,
        new ReplicatedCommand.GrantReserve(Network, Commands.Id(node), Commands.Id(holder ?? (node == A ? 50u : 40u)), instead is { } before ? Commands.Id(before) : Guid.Empty));

    private static ulong GrantOf(uint node, string address, ReplicatedState state) =>
        state.ParkedFor(Network, Commands.Id(node)).Single(p => p.Address.ToString() == "10.250.0" + address).GrantIndex;

    private static ReplicatedCommand.UseReserve Use(uint attachment, uint node, string address, ReplicatedState state) => new(
        new AttachmentId(Commands.Id(attachment)), Network, $"nic-{attachment}", Commands.Mac(attachment), Commands.Id(node), IPAddress.Parse("10.250.0" + address), GrantOf(node, address, state));

    private static ReplicatedCommand.ReturnReserve Back(uint node, string address, bool wasUsed, ReplicatedState state) =>
        new(Network, Commands.Id(node), IPAddress.Parse("10.250.0" + address), GrantOf(node, address, state), wasUsed);

    private void Advance(ReplicatedState state, ulong minutes) => Do(state, new ReplicatedCommand.AdvanceClock(_index, _clock += minutes * Minute));
}

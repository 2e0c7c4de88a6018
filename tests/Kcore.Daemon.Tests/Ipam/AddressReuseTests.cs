using Kcore.Daemon.Catalog.Facts;
using Kcore.Daemon.Ipam;
using Kcore.Raft;

namespace Kcore.Daemon.Tests.Ipam;

/// <summary>A subnet of three addresses (.2, .3, .4 with the gateway at .1 and the rest excluded), given again after a rest.</summary>
public sealed class AddressReuseTests
{
    private const ulong Minute = 60_000;

    private static readonly string[] Excluded = ["10.250.0.5", "10.250.0.6"];

    private ulong _index = 10;
    private ulong _clock;

    [Fact]
    public void A_released_address_is_given_again_after_all_others_and_ten_minutes()
    {
        ReplicatedState state = Made(AddressReuse.Quarantine);
        Assert.Equal("10.250.0.2", Take(state, 1).Address());
        Do(state, Commands.ReleaseOn(1));
        Advance(state, 1);
        Advance(state, 30);

        // It has rested, and others were never given.
        Assert.Equal(RefusalCode.AlreadyExists, Take(state, 2, "10.250.0.2").Refusal().Code);
        Assert.Equal("10.250.0.3", Take(state, 2).Address());
        Assert.Equal("10.250.0.4", Take(state, 3).Address());
        Assert.Equal("10.250.0.2", Take(state, 4).Address());
        Assert.Equal(RefusalCode.ResourceExhausted, Take(state, 5).Refusal().Code);

        Do(state, Commands.ReleaseOn(3));
        Advance(state, 1);
        Advance(state, 9);
        Assert.Equal(RefusalCode.ResourceExhausted, Take(state, 6).Refusal().Code);
        Assert.Contains("1 rest", Take(state, 6).Refusal().Text, StringComparison.Ordinal);
        Advance(state, 1);
        Assert.Equal("10.250.0.4", Take(state, 7).Address());
    }

    [Fact]
    public void An_address_rests_from_the_first_time_the_clock_is_read_after_its_release()
    {
        ReplicatedState state = Made(AddressReuse.Quarantine);
        Fill(state);
        ulong before = _index;
        Do(state, Commands.ReleaseOn(1));

        // The leader read its clock before the release and was late to say so.
        Do(state, new ReplicatedCommand.AdvanceClock(before, _clock += 5 * Minute));
        Advance(state, 5);
        Advance(state, 5);
        Assert.Equal(0, Statistics(state).Free);
        Advance(state, 5);
        Assert.Equal(("10.250.0.2", 1, 0), (Statistics(state).Next?.ToString(), Statistics(state).Free, Statistics(state).Resting));
    }

    [Fact]
    public void The_clock_never_goes_back_and_does_not_jump_far()
    {
        ReplicatedState state = Made(AddressReuse.Quarantine);
        Do(state, new ReplicatedCommand.AdvanceClock(1, 50 * Minute));
        Assert.Empty(Do(state, new ReplicatedCommand.AdvanceClock(1, 20 * Minute)).Changes);
        Assert.Equal(50 * Minute, state.Clock);
        Assert.Equal(RefusalCode.InvalidArgument, Do(state, new ReplicatedCommand.AdvanceClock(1, (110 * Minute) + 1)).Refusal().Code);
        Assert.Equal(RefusalCode.InvalidArgument, Do(state, new ReplicatedCommand.AdvanceClock(1, ulong.MaxValue)).Refusal().Code);
        Assert.Equal(RefusalCode.InvalidArgument, Do(state, new ReplicatedCommand.AdvanceClock(_index + 1, 51 * Minute)).Refusal().Code);
        Assert.Equal(50 * Minute, state.Clock);
    }

    [Fact]
    public void Where_addresses_are_never_reused_neither_time_nor_fullness_gives_one_again()
    {
        ReplicatedState state = Made(AddressReuse.Never);
        Fill(state);
        Do(state, Commands.ReleaseOn(2));
        Advance(state, 1);
        Advance(state, 50);
        Assert.Equal(RefusalCode.ResourceExhausted, Take(state, 9).Refusal().Code);
        Assert.Equal(RefusalCode.AlreadyExists, Take(state, 9, "10.250.0.3").Refusal().Code);
    }

    [Fact]
    public void A20_reclaimed_addresses_rest_and_are_given_once_more()
    {
        ReplicatedState state = Made(AddressReuse.Never);
        Fill(state);
        Do(state, Commands.ReleaseOn(2));
        Assert.Single(Do(state, new ReplicatedCommand.Reclaim(new NetworkUid(Commands.Id(1)))).Changes);
        Assert.Empty(Do(state, new ReplicatedCommand.Reclaim(new NetworkUid(Commands.Id(1)))).Changes);
        Assert.Equal(RefusalCode.ResourceExhausted, Take(state, 9).Refusal().Code);
        Advance(state, 1);
        Advance(state, 10);
        Assert.Equal("10.250.0.3", Take(state, 9).Address());
        Do(state, Commands.ReleaseOn(9));
        Advance(state, 1);
        Advance(state, 10);
        Assert.Equal(RefusalCode.ResourceExhausted, Take(state, 10).Refusal().Code);
        Assert.Equal(RefusalCode.NotFound, Do(state, new ReplicatedCommand.Reclaim(new NetworkUid(Commands.Id(7)))).Refusal().Code);
    }

    [Fact]
    public void Addresses_are_given_again_in_a_circle_and_not_the_lowest_first()
    {
        ReplicatedState state = Made(AddressReuse.Quarantine);
        Fill(state);
        Do(state, Commands.ReleaseOn(1));
        Do(state, Commands.ReleaseOn(2));
        Advance(state, 1);
        Advance(state, 10);
        Assert.Equal("10.250.0.2", Take(state, 11).Address());
        Do(state, Commands.ReleaseOn(11));
        Advance(state, 1);
        Advance(state, 10);
        Assert.Equal("10.250.0.3", Take(state, 12).Address());
        Assert.Equal("10.250.0.2", Take(state, 13).Address());
    }

    [Fact]
    public void What_rests_and_for_how_long_goes_with_a_snapshot()
    {
        ReplicatedState state = Made(AddressReuse.Quarantine);
        Fill(state);
        Do(state, Commands.ReleaseOn(1));
        Advance(state, 1);
        Do(state, Commands.ReleaseOn(2));
        Advance(state, 9);
        var restored = new ReplicatedState();
        restored.Restore(state.TakeSnapshot());
        Assert.Equal(state.TakeSnapshot(), restored.TakeSnapshot());
        Assert.Equal(state.Clock, restored.Clock);
        foreach (ReplicatedState one in new[] { state, restored })
        {
            Assert.Equal(0, Statistics(one).Free);
            one.Do(new ReplicatedCommand.AdvanceClock(_index, _clock + Minute), _index + 1);
            Assert.Equal(("10.250.0.2", 1), (Statistics(one).Next?.ToString(), Statistics(one).Free));
        }
    }

    [Fact]
    public void A_pool_that_reuses_is_another_than_one_that_does_not()
    {
        ReplicatedState state = Made(AddressReuse.Quarantine);
        Assert.Equal(RefusalCode.AlreadyExists, Do(state, Commands.Pool(subnet: "10.250.0.0/29", exclusions: Excluded)).Refusal().Code);
    }

    [Fact]
    public void A_snapshot_of_the_version_before_is_read()
    {
        var writer = new FieldWriter();
        writer.U8(3);
        writer.Id(Commands.Cluster);
        writer.U32(1);
        writer.U64(77);
        writer.Id(Guid.Empty);
        writer.U64(0);
        writer.Flag(true);
        writer.U32(1);
        writer.Member(new MemberId(Commands.Id(9), Commands.Id(90)));
        writer.Text("n1");
        writer.U64(2);
        writer.U32(0);
        writer.U32(1);
        CommandCodec.WritePool(writer, Commands.Pool());
        writer.U64(3);
        writer.U64(8);
        writer.U64(2);
        writer.U32(1);
        writer.U64(7);
        writer.U32(1);
        writer.Id(Commands.Id(55));
        writer.U32(1);
        writer.Id(Commands.Id(1));
        writer.Id(Commands.Id(1));
        writer.U32(AddressSequence.ToNumber(System.Net.IPAddress.Parse("10.250.0.3")));
        CommandCodec.WriteMac(writer, Commands.Mac(1));
        writer.Id(Commands.Id(9));
        writer.Text("nic-1");
        writer.U64(8);
        writer.U32(1);
        writer.Id(Commands.Id(2));
        writer.Id(Commands.Id(1));

        var state = new ReplicatedState();
        state.Restore(writer.ToArray());
        Assert.Equal((77UL, 0UL, 1), (state.AppliedIndex, state.Clock, state.RetiredCount));
        Assert.Equal("10.250.0.3", state.Do(Commands.Allocate(1), 78).Address());
        Assert.Equal("10.250.0.4", state.Do(Commands.Allocate(3), 79).Address());

        // What it kept of releases has no age and is kept.
        Assert.Equal(RefusalCode.FailedPrecondition, state.Do(Commands.Allocate(2), 80 + (2 * ReplicatedState.RequestLifetime)).Refusal().Code);
        Assert.Equal("nic-1", Assert.Single(state.EnumerateAll().OfType<ReplicatedChange.LeasePut>(), lease => lease is { ChangedIndex: 8, Orphaned: false }).NicName);
    }

    private ReplicatedState Made(AddressReuse reuse)
    {
        ReplicatedState state = Commands.Founded();
        Do(state, Commands.Pool(subnet: "10.250.0.0/29", exclusions: Excluded) with { Reuse = reuse });
        return state;
    }

    private void Fill(ReplicatedState state)
    {
        for (uint attachment = 1; attachment <= 3; attachment++)
        {
            Take(state, attachment).Address();
        }
    }

    private Kcore.Daemon.Cluster.Consensus.ApplyOutcome<ReplicatedResult, ReplicatedChange> Take(ReplicatedState state, uint attachment, string? wanted = null) =>
        Do(state, Commands.AllocateUntil(attachment, _index + 100, wanted: wanted));

    private void Advance(ReplicatedState state, ulong minutes) =>
        Assert.IsType<ReplicatedResult.Done>(Do(state, new ReplicatedCommand.AdvanceClock(_index, _clock += minutes * Minute)).Result);

    private Kcore.Daemon.Cluster.Consensus.ApplyOutcome<ReplicatedResult, ReplicatedChange> Do(ReplicatedState state, ReplicatedCommand command) =>
        state.Do(command, ++_index);

    private static PoolStatistics Statistics(ReplicatedState state) => state.Statistics(new NetworkUid(Commands.Id(1)))!;
}

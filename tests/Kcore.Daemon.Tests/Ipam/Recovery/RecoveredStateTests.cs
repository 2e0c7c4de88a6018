using System.Net;
using Kcore.Daemon.Catalog.Facts;
using Kcore.Daemon.Cluster.Consensus;
using Kcore.Daemon.Ipam;

namespace Kcore.Daemon.Tests.Ipam.Recovery;

/// <summary>The replicated state after an operator had it go on from a copy that may lack the last grants.</summary>
public sealed class RecoveredStateTests
{
    private static readonly NetworkUid Network = new(Commands.Id(1));
    private static readonly ReplicatedCommand.FinishRecovery Finish = new();

    [Fact]
    public void The_next_addresses_are_held_back_and_half_of_a_small_pool_is_left()
    {
        ReplicatedState state = Recovered(granted: 3);
        Assert.Equal((2u, 20UL), (state.Epoch, state.RecoveredIndex));

        // 253 addresses, 3 granted: 125 are held back and 125 left, .2 to .4 and .5 to .129 being the ones before.
        Assert.Equal((125, 125), (state.HeldBack, state.Statistics(Network)!.Free));
        Assert.Equal("10.250.0.130", state.Do(Commands.Allocate(50), 21).Address());
        Assert.Contains("recover-finalize", state.Do(Commands.Allocate(51, wanted: "10.250.0.77"), 22).Refusal().Text, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(253, 250, 125)]
    [InlineData(253, 1, 1)]
    [InlineData(253, 0, 0)]
    [InlineData(1021, 1021, 256)]
    [InlineData(4093, 4093, 1023)]
    [InlineData(16_777_213, 16_777_213, 65_536)]
    public void The_margin_is_a_quarter_within_bounds_and_never_more_than_half_of_what_is_left(long size, long unused, long margin) =>
        Assert.Equal(margin, AddressPool.MarginOf(size, unused));

    [Fact]
    public void A_nic_keeps_an_address_that_is_held_back_or_was_never_granted()
    {
        ReplicatedState state = Recovered(granted: 3);
        ApplyOutcome<ReplicatedResult, ReplicatedChange> adopted = state.Do(Adopt(60, "10.250.0.5"), 21);
        Assert.Equal("10.250.0.5", adopted.Address());
        Assert.Equal(21UL, Assert.IsType<ReplicatedChange.LeasePut>(Assert.Single(adopted.Changes)).Index);
        Assert.Equal(124, state.HeldBack);
        Assert.Equal("10.250.0.200", state.Do(Adopt(61, "10.250.0.200"), 22).Address());

        // Repeated, it is the same answer and no change; asked for anew too.
        Assert.Empty(state.Do(Adopt(60, "10.250.0.5"), 23).Changes);
        Assert.Equal("10.250.0.5", state.Do(Commands.Allocate(60), 24).Address());
        Assert.Equal(5, state.Statistics(Network)!.Used);
        Restored(state);
    }

    [Fact]
    public void What_went_to_another_is_not_adopted()
    {
        ReplicatedState state = Recovered(granted: 3);
        Assert.Equal(RefusalCode.AlreadyExists, state.Do(Adopt(60, "10.250.0.3"), 21).Refusal().Code);
        state.Do(Commands.Allocate(50), 22);
        Assert.Equal(RefusalCode.AlreadyExists, state.Do(Adopt(60, "10.250.0.130"), 23).Refusal().Code);
        Assert.Equal(RefusalCode.AlreadyExists, state.Do(Adopt(60, "10.250.0.1"), 24).Refusal().Code);
        Assert.Equal(RefusalCode.AlreadyExists, state.Do(Adopt(60, "10.251.0.9"), 25).Refusal().Code);
        Assert.Equal(RefusalCode.AlreadyExists, state.Do(Adopt(1, "10.250.0.9"), 26).Refusal().Code);
        Assert.Equal(RefusalCode.AlreadyExists, state.Do(Adopt(60, "10.250.0.9") with { Mac = Commands.Mac(1) }, 27).Refusal().Code);
        Assert.Equal(RefusalCode.NotFound, state.Do(Adopt(60, "10.250.0.9") with { Network = new NetworkUid(Commands.Id(7)) }, 28).Refusal().Code);
        state.Do(Commands.ReleaseOn(60), 29);
        Assert.Equal(RefusalCode.FailedPrecondition, state.Do(Adopt(60, "10.250.0.9"), 30).Refusal().Code);

        // Released before the recovery, it was another's once.
        state.Do(Commands.ReleaseOn(2), 31);
        Assert.Equal(RefusalCode.AlreadyExists, state.Do(Adopt(61, "10.250.0.3"), 32).Refusal().Code);
    }

    [Fact]
    public void Finished_what_nobody_holds_is_granted_after_all_others_and_a_rest()
    {
        ReplicatedState state = Recovered(granted: 3);
        state.Do(Adopt(60, "10.250.0.5"), 21);
        Assert.IsType<ReplicatedResult.Done>(state.Do(Finish, 22).Result);
        Assert.Equal((0, 0UL), (state.HeldBack, state.RecoveredIndex));
        Assert.Empty(state.Do(Finish, 23).Changes);
        Assert.Equal(124, state.Statistics(Network)!.Resting);
        for (uint i = 0; i < 125; i++)
        {
            state.Do(Commands.Allocate(100 + i), 24 + i).Address();
        }

        Assert.Equal(RefusalCode.ResourceExhausted, state.Do(Commands.Allocate(500), 200).Refusal().Code);
        state.Do(new ReplicatedCommand.AdvanceClock(200, 1000), 201);
        state.Do(new ReplicatedCommand.AdvanceClock(201, 1000 + ReturnedAddresses.RestMillis), 202);
        Assert.Equal("10.250.0.6", state.Do(Commands.Allocate(501), 203).Address());
        Restored(state);
    }

    [Fact]
    public void What_was_to_be_granted_a_second_time_is_held_back_too_and_reclaiming_does_not_free_it()
    {
        ReplicatedState state = Commands.Founded();
        state.Do(Commands.Pool() with { Reuse = AddressReuse.Quarantine }, 2);
        state.Do(Commands.Allocate(1), 3);
        state.Do(Commands.ReleaseOn(1), 4);
        state.Do(new ReplicatedCommand.Recover(2), 20);
        Assert.Equal(0, state.Statistics(Network)!.Resting);
        Assert.Equal(1 + 126, state.HeldBack);
        Assert.Empty(state.Do(new ReplicatedCommand.Reclaim(Network), 21).Changes);
        Assert.Equal("10.250.0.2", state.Do(Adopt(60, "10.250.0.2"), 22).Address());
        Restored(state);
    }

    [Fact]
    public void A_pool_that_the_lost_may_have_made_begins_behind_the_margin_until_it_is_finished()
    {
        ReplicatedState state = Recovered(granted: 0);
        state.Do(Commands.Pool(2, "later", 14417, "10.251.0.1", "10.251.0.0/24"), 21);
        Assert.NotEqual("10.251.0.2", state.Do(Commands.Allocate(70, network: 2), 22).Address());
        state.Do(Finish, 23);
        state.Do(Commands.Pool(3, "last", 14418, "10.252.0.1", "10.252.0.0/24"), 24);
        Assert.Equal("10.252.0.2", state.Do(Commands.Allocate(71, network: 3), 25).Address());
    }

    [Fact]
    public void A_snapshot_from_before_recoveries_is_read_as_one_without()
    {
        ReplicatedState state = Commands.Founded(), old = new();
        byte[] snapshot = state.TakeSnapshot();
        snapshot[0] = 6;

        // What is held back, and after it the moves.
        old.Restore(snapshot.AsMemory(0, snapshot.Length - 8 - 8));
        Assert.Equal(state.StateHash().ToArray(), old.StateHash().ToArray());
        Assert.Equal(0UL, old.RecoveredIndex);
    }

    [Fact]
    public void An_epoch_begins_once_and_none_comes_back()
    {
        ReplicatedState state = Recovered(granted: 1);
        long heldBack = state.HeldBack;
        Assert.Empty(state.Do(new ReplicatedCommand.Recover(2), 21).Changes);
        Assert.Equal(heldBack, state.HeldBack);
        Assert.Equal(RefusalCode.FailedPrecondition, state.Do(new ReplicatedCommand.Recover(1), 22).Refusal().Code);
        Assert.False(state.IsVirgin);
    }

    /// <summary>
    /// The last grants are lost, for every number of them that the margin covers, and all their NICs are there: each keeps its
    /// address, whoever else was granted one meanwhile.
    /// </summary>
    [Fact]
    public void A1_however_many_grants_up_to_the_margin_were_lost_nobody_shares_an_address()
    {
        for (int lost = 0; lost <= 120; lost += 5)
        {
            var random = new Random(lost);
            ReplicatedState whole = Commands.Founded(), left = Commands.Founded();
            whole.Do(Commands.Pool(), 2);
            left.Do(Commands.Pool(), 2);
            Dictionary<uint, string> held = [];
            for (uint i = 1; i <= 10 + lost; i++)
            {
                // A few were asked for by address, ahead of the others.
                string? wanted = random.Next(5) == 0 ? $"10.250.0.{20 + random.Next(90)}" : null;
                if (whole.Do(Commands.Allocate(i, wanted: wanted), 2 + i).Result is not ReplicatedResult.Granted { Address: var address })
                {
                    continue;
                }

                held[i] = address.ToString();
                if (i <= 10)
                {
                    left.Do(Commands.Allocate(i, wanted: wanted), 2 + i);
                }
            }

            left.Do(new ReplicatedCommand.Recover(2), 20);
            ulong index = 21;
            Queue<KeyValuePair<uint, string>> returning = new(held.OrderBy(_ => random.Next()));
            HashSet<string> taken = [];
            for (uint fresh = 1000; returning.Count > 0 || fresh < 1040; fresh++)
            {
                if (fresh < 1040)
                {
                    Assert.True(taken.Add(left.Do(Commands.Allocate(fresh), index++).Address()), $"{lost} lost");
                }

                for (int n = random.Next(4); n > 0 && returning.TryDequeue(out KeyValuePair<uint, string> nic); n--)
                {
                    Assert.Equal(nic.Value, left.Do(Adopt(nic.Key, nic.Value), index++).Address());
                    Assert.True(taken.Add(nic.Value), $"{lost} lost: {nic.Value} twice");
                }
            }

            Restored(left);
        }
    }

    private static ReplicatedCommand.AdoptLost Adopt(uint attachment, string address) =>
        new(new AttachmentId(Commands.Id(attachment)), Network, $"nic-{attachment}", Commands.Mac(attachment), Commands.Id(9), IPAddress.Parse(address));

    private static ReplicatedState Recovered(uint granted)
    {
        ReplicatedState state = Commands.Founded();
        state.Do(Commands.Pool(), 2);
        for (uint i = 1; i <= granted; i++)
        {
            state.Do(Commands.Allocate(i), 2 + i);
        }

        state.Do(new ReplicatedCommand.Recover(2), 20);
        return state;
    }

    private static void Restored(ReplicatedState state)
    {
        var again = new ReplicatedState();
        again.Restore(state.TakeSnapshot());
        Assert.True(state.StateHash().SequenceEqual(again.StateHash()));
        Assert.Equal((state.HeldBack, state.RecoveredIndex), (again.HeldBack, again.RecoveredIndex));
    }
}

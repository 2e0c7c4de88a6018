using System.Net;
using Kcore.Daemon.Ipam;

namespace Kcore.Daemon.Tests.Ipam;

public sealed class AddressOrderTests
{
    [Fact]
    public void Behaviour_25_addresses_ascend_from_the_second_host_address()
    {
        ReplicatedState state = WithPool();
        Assert.Equal(["10.250.0.2", "10.250.0.3", "10.250.0.4"], Enumerable.Range(1, 3).Select(i => state.Do(Commands.Allocate((uint)i)).Address()));
    }

    [Fact]
    public void Behaviour_26_a_released_address_is_not_granted_again_even_if_it_was_the_highest()
    {
        ReplicatedState state = WithPool();
        state.Do(Commands.Allocate(1));
        state.Do(Commands.Allocate(2));
        state.Do(Commands.Release(2));
        Assert.Equal("10.250.0.4", state.Do(Commands.Allocate(3)).Address());
        state.Do(Commands.Release(1));
        Assert.Equal("10.250.0.5", state.Do(Commands.Allocate(4)).Address());
    }

    [Fact]
    public void Behaviour_27_the_gateway_is_skipped_wherever_it_lies()
    {
        ReplicatedState state = WithPool(Commands.Pool(gateway: "10.9.0.5", subnet: "10.9.0.0/24"));
        Assert.Equal(
            ["10.9.0.2", "10.9.0.3", "10.9.0.4", "10.9.0.6"],
            Enumerable.Range(1, 4).Select(i => state.Do(Commands.Allocate((uint)i)).Address()));
    }

    [Fact]
    public void Behaviour_28_a_larger_subnet_goes_on_past_its_first_256_addresses()
    {
        ReplicatedState state = WithPool(Commands.Pool(gateway: "10.20.0.1", subnet: "10.20.0.0/22"));
        string[] granted = [.. Enumerable.Range(1, 1021).Select(i => state.Do(Commands.Allocate((uint)i)).Address())];
        Assert.Equal(["10.20.0.255", "10.20.1.0", "10.20.1.1"], granted[253..256]);
        Assert.Equal("10.20.3.254", granted[^1]);
        Assert.Equal(RefusalCode.ResourceExhausted, state.Do(Commands.Allocate(5000)).Refusal().Code);
    }

    [Theory]
    [InlineData("10.1.0.1", "10.1.0.2")]
    [InlineData("10.1.0.2", "10.1.0.1")]
    public void Behaviour_28_the_smallest_subnet_has_exactly_one_address(string gateway, string only)
    {
        ReplicatedState state = WithPool(Commands.Pool(gateway: gateway, subnet: "10.1.0.0/30"));
        Assert.Equal(only, state.Do(Commands.Allocate(1)).Address());
        ReplicatedResult.Refused refusal = state.Do(Commands.Allocate(2)).Refusal();
        Assert.Equal(RefusalCode.ResourceExhausted, refusal.Code);
        Assert.Contains("private", refusal.Text, StringComparison.Ordinal);
        Assert.Contains("10.1.0.0/30", refusal.Text, StringComparison.Ordinal);
    }

    [Fact]
    public void Behaviour_29_the_same_attachment_gets_the_same_address_and_changes_nothing()
    {
        ReplicatedState state = WithPool();
        state.Do(Commands.Allocate(1));
        byte[] before = state.TakeSnapshot();
        var repeated = state.Do(Commands.Allocate(1));
        Assert.Equal("10.250.0.2", repeated.Address());
        Assert.Empty(repeated.Changes);
        Assert.Equal(before, state.TakeSnapshot());
    }

    [Fact]
    public void Behaviour_33_statistics_tell_size_used_free_and_next()
    {
        ReplicatedState state = WithPool(Commands.Pool(subnet: "10.250.0.0/29", exclusions: "10.250.0.3"));
        Assert.Equal(new PoolStatistics(4, 0, 4, IPAddress.Parse("10.250.0.2"), 1), state.Statistics(new NetworkUid(Commands.Id(1))));
        state.Do(Commands.Allocate(1));
        state.Do(Commands.Allocate(2, wanted: "10.250.0.6"));
        state.Do(Commands.Release(1), index: 9);
        Assert.Equal(new PoolStatistics(4, 1, 2, IPAddress.Parse("10.250.0.4"), 9), state.Statistics(new NetworkUid(Commands.Id(1))));
        Assert.Null(state.Statistics(new NetworkUid(Commands.Id(2))));
    }

    [Fact]
    public void A_wanted_address_is_honoured_and_later_skipped()
    {
        ReplicatedState state = WithPool();
        Assert.Equal("10.250.0.3", state.Do(Commands.Allocate(1, wanted: "10.250.0.3")).Address());
        Assert.Equal("10.250.0.2", state.Do(Commands.Allocate(2)).Address());
        Assert.Equal("10.250.0.4", state.Do(Commands.Allocate(3)).Address());
    }

    [Theory]
    [InlineData("10.250.0.2", RefusalCode.AlreadyExists)]
    [InlineData("10.250.0.3", RefusalCode.AlreadyExists)]
    [InlineData("10.250.0.1", RefusalCode.FailedPrecondition)]
    [InlineData("10.250.0.77", RefusalCode.FailedPrecondition)]
    [InlineData("10.250.0.0", RefusalCode.InvalidArgument)]
    [InlineData("10.250.0.255", RefusalCode.InvalidArgument)]
    [InlineData("10.251.0.9", RefusalCode.InvalidArgument)]
    public void A_wanted_address_that_was_ever_used_or_can_not_be_used_is_refused(string wanted, RefusalCode code)
    {
        ReplicatedState state = WithPool(Commands.Pool(exclusions: "10.250.0.77"));
        state.Do(Commands.Allocate(1));
        state.Do(Commands.Allocate(2));
        state.Do(Commands.Release(2));
        Assert.Equal(code, state.Do(Commands.Allocate(3, wanted: wanted)).Refusal().Code);
    }

    [Theory]
    [InlineData(8)]
    [InlineData(12)]
    [InlineData(24)]
    [InlineData(29)]
    [InlineData(30)]
    public void Ordinals_and_addresses_are_inverse_to_each_other(int prefixLength)
    {
        var sequence = new AddressSequence(0x0A000000, prefixLength);
        Assert.Equal((1L << (32 - prefixLength)) - 2, sequence.Count);
        foreach (long ordinal in new[] { 0, 1, sequence.Count / 2, sequence.Count - 2, sequence.Count - 1 })
        {
            Assert.Equal(ordinal, sequence.OrdinalOf(sequence.AddressAt(ordinal)));
        }

        Assert.Equal(-1, sequence.OrdinalOf(0x0A000000));
        Assert.Equal(-1, sequence.OrdinalOf(0x0A000000 + (uint)sequence.Count + 1));
    }

    [Fact]
    public void A_subnet_at_the_very_end_of_the_address_space_does_not_wrap_around()
    {
        ReplicatedState state = WithPool(Commands.Pool(gateway: "255.255.255.253", subnet: "255.255.255.252/30"));
        Assert.Equal("255.255.255.254", state.Do(Commands.Allocate(1)).Address());
        Assert.Equal(RefusalCode.ResourceExhausted, state.Do(Commands.Allocate(2)).Refusal().Code);
    }

    private static ReplicatedState WithPool(ReplicatedCommand.CreatePool? pool = null)
    {
        ReplicatedState state = Commands.Founded();
        Assert.IsType<ReplicatedResult.Done>(state.Do(pool ?? Commands.Pool()).Result);
        return state;
    }
}

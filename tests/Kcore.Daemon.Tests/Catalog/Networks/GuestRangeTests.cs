using System.Net;
using Kcore.Daemon.Catalog.Facts;
using Kcore.Daemon.Catalog.Networks;

namespace Kcore.Daemon.Tests.Catalog.Networks;

public sealed class GuestRangeTests
{
    [Theory]
    [InlineData("10.0.0.1", 24, "10.0.0.100", "10.0.0.199", 100)]
    [InlineData("10.0.0.150", 24, "10.0.0.100", "10.0.0.199", 99)]
    [InlineData("10.20.2.1", 22, "10.20.2.100", "10.20.2.199", 100)]
    [InlineData("10.0.0.1", 8, "10.0.0.100", "10.0.0.199", 100)]
    [InlineData("10.0.0.1", 25, "10.0.0.2", "10.0.0.126", 125)]
    [InlineData("10.0.0.254", 25, "10.0.0.129", "10.0.0.253", 125)]
    [InlineData("10.0.0.140", 25, "10.0.0.129", "10.0.0.254", 125)]
    [InlineData("10.0.0.1", 30, "10.0.0.2", "10.0.0.2", 1)]
    [InlineData("10.0.0.2", 30, "10.0.0.1", "10.0.0.1", 1)]
    public void Behaviours_34_and_37_the_range_follows_from_gateway_and_mask(string gateway, int prefix, string first, string last, int size)
    {
        GuestRange range = Of(gateway, prefix);

        Assert.Equal((first, last, size), (range.First.ToString(), range.Last.ToString(), range.Size));
        Assert.False(range.Contains(IPAddress.Parse(gateway)));
    }

    [Fact]
    public void Addresses_go_up_then_round_and_end()
    {
        GuestRange range = Of("10.0.0.1", 29);
        HashSet<IPAddress> taken = [];
        for (int i = 2; i <= 6; i++)
        {
            Assert.Equal($"10.0.0.{i}", range.Free(taken)!.ToString());
            taken.Add(range.Free(taken)!);
        }

        Assert.Null(range.Free(taken));
        taken.Remove(IPAddress.Parse("10.0.0.3"));
        Assert.Equal("10.0.0.3", range.Free(taken)!.ToString());
    }

    [Fact]
    public void Every_range_of_every_subnet_lies_in_it_and_can_give_all_its_addresses()
    {
        for (int prefix = 25; prefix <= 30; prefix++)
        {
            NetworkSpec spec = Spec("10.0.0.1", prefix);
            for (uint host = 1; host < (1u << (32 - prefix)) - 1; host++)
            {
                GuestRange range = Of($"10.0.0.{host}", prefix);
                HashSet<IPAddress> taken = [];
                while (range.Free(taken) is { } address)
                {
                    Assert.True(spec.Subnet.Contains(address));
                    Assert.True(taken.Add(address));
                }

                Assert.Equal(range.Size, taken.Count);
            }
        }
    }

    private static GuestRange Of(string gateway, int prefix) => GuestRange.Of(Spec(gateway, prefix));

    private static NetworkSpec Spec(string gateway, int prefix) => Said.Overlay(gateway, prefix) with { Type = NetworkType.Nat };
}

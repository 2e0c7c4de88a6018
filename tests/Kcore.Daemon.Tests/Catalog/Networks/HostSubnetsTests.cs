using System.Net;
using Kcore.Daemon.Catalog.Networks;
using Kcore.Daemon.Cluster.Addressing;

namespace Kcore.Daemon.Tests.Catalog.Networks;

public sealed class HostSubnetsTests
{
    [Theory]
    [InlineData("10.88.0.0/24", "10.88.0.0/24", true)]
    [InlineData("10.88.0.0/24", "10.88.0.128/25", true)]
    [InlineData("10.0.0.0/8", "10.88.0.0/24", true)]
    [InlineData("10.88.0.0/24", "10.88.1.0/24", false)]
    [InlineData("10.88.0.0/25", "10.88.0.128/25", false)]
    public void Behaviour_90_subnets_overlap_when_one_lies_in_the_other(string a, string b, bool overlap)
    {
        Assert.Equal(overlap, HostSubnets.Overlap(IPNetwork.Parse(a), IPNetwork.Parse(b)));
        Assert.Equal(overlap, HostSubnets.Overlap(IPNetwork.Parse(b), IPNetwork.Parse(a)));
    }

    [Fact]
    public void What_the_host_has_is_read_without_loopback_and_without_our_own_devices() =>
        Assert.All(HostSubnets.Read(), found =>
        {
            Assert.False(IPAddress.IsLoopback(found.Address));
            Assert.False(InterfaceNames.IsOwn(found.Device));
            Assert.True(found.Subnet.Contains(found.Address));
        });
}

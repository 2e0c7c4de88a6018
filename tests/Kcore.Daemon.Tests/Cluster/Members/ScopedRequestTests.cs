using Kcore.Daemon.Cluster.Members;
using Kcore.Gossip.Wire.Sealing;

namespace Kcore.Daemon.Tests.Cluster.Members;

public sealed class ScopedRequestTests
{
    private static readonly ClusterScope Home = new(77, 2);

    [Fact]
    public void Only_a_request_of_the_same_cluster_and_epoch_is_read()
    {
        byte[] request = [1, 2, 3];
        Assert.Equal(request, ScopedRequest.Decode(Home, ScopedRequest.Encode(Home, request)).ToArray());
        Assert.Empty(ScopedRequest.Decode(Home, ScopedRequest.Encode(Home, default)).ToArray());
        Assert.Throws<InvalidDataException>(() => ScopedRequest.Decode(Home, ScopedRequest.Encode(Home with { ClusterEpoch = 1 }, request)));
        Assert.Throws<InvalidDataException>(() => ScopedRequest.Decode(Home, ScopedRequest.Encode(Home with { ClusterId = 78 }, request)));
        Assert.Throws<InvalidDataException>(() => ScopedRequest.Decode(Home, request));
    }
}

using Kcore.Daemon.Cluster.Members;
using Kcore.Daemon.Tests.Catalog;
using Kcore.Gossip;

namespace Kcore.Daemon.Tests.Cluster.Members;

public sealed class PublishedDigestTests
{
    [Fact]
    public async Task A_committed_entry_that_changes_nothing_moves_the_published_digest_as_well()
    {
        await using var node = new LoneNode();
        await node.StartAsync();
        GossipView before = node.Cluster.View.Current;
        ulong index = 1_000_000;
        await node.Cluster.PutClusterAsync(new GossipInput.PutCluster(0, index, 1, []), CancellationToken.None);
        ulong whole = node.Cluster.View.Current.Digest;

        await node.Cluster.PutClusterAsync(new GossipInput.PutCluster(index, index + 1, 1, []), CancellationToken.None);

        Assert.NotEqual(before.Digest, whole);
        Assert.NotEqual(whole, node.Cluster.View.Current.Digest);
    }
}

using Kcore.Gossip;

namespace Kcore.Daemon.Cluster.Members;

/// <summary>Hears, on the gossip loop, what is worth an event. Returns at once and does not throw.</summary>
internal interface IGossipObserver
{
    void Observe(GossipEffect effect);

    /// <summary>A catalog write did not reach the disk.</summary>
    void StorageFailed(string cause);

    void StorageWorked();
}

using System.Collections.Frozen;
using Kcore.Gossip;

namespace Kcore.Daemon.Cluster.Trust;

/// <summary>What the other nodes state about their keys, for whoever seals something for one of them. Replaced as a whole.</summary>
internal sealed class PeerKeys
{
    private FrozenDictionary<NodeId, KeyHolding> _stated = FrozenDictionary<NodeId, KeyHolding>.Empty;

    public FrozenDictionary<NodeId, KeyHolding> Stated
    {
        get => Volatile.Read(ref _stated);
        set => Volatile.Write(ref _stated, value);
    }

    public bool Holds(NodeId node, uint keyId) => Stated.TryGetValue(node, out KeyHolding? holding) && holding.Holds(keyId);
}

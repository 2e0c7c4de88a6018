using System.Collections.Immutable;
using System.Net;

namespace Kcore.Gossip;

/// <summary>Everything that can happen to the core.</summary>
public abstract record GossipInput
{
    private GossipInput()
    {
    }

    /// <summary>An authenticated payload. The core does not keep the memory.</summary>
    public sealed record Datagram(NodeId From, IPEndPoint Source, ReadOnlyMemory<byte> Payload) : GossipInput;

    /// <summary>The deadline the core asked for is reached.</summary>
    public sealed record Tick : GossipInput;

    /// <summary>Somebody may live here: a seed, an mDNS answer, an address of the last run. Tried until it answers or ages out.</summary>
    public sealed record Contact(IPEndPoint Endpoint) : GossipInput;

    /// <summary>Changes to the own origin, in order. Identical content is no write.</summary>
    public sealed record Put(ImmutableArray<LocalWrite> Writes) : GossipInput;

    /// <summary>
    /// What the log entries (<paramref name="FromIndex"/>, <paramref name="ToIndex"/>] committed. From 0 the writes are
    /// the whole content (a Raft snapshot, or all of it after a start): keys not among them go, and what is held of the same
    /// index and differs is replaced. Only nodes that apply the log send this.
    /// </summary>
    public sealed record PutCluster(ulong FromIndex, ulong ToIndex, uint ClusterEpoch, ImmutableArray<LocalWrite> Writes) : GossipInput;

    /// <summary>
    /// A peer opened a stream to us; answered by one or more <see cref="GossipEffect.Respond"/>. Their number has nothing
    /// to do with that of a <see cref="GossipEffect.OpenStream"/>.
    /// </summary>
    public sealed record StreamRequest(long Stream, NodeId From, ReadOnlyMemory<byte> Body) : GossipInput;

    /// <summary>
    /// A piece of the answer to a <see cref="StreamRequest"/> was written and another may follow. Owed for every
    /// <see cref="GossipEffect.Respond"/> that was not the last: the core makes no more pieces than are asked for.
    /// </summary>
    public sealed record StreamWritable(long Stream) : GossipInput;

    /// <summary>The peer that opened this stream to us is gone; what was left of the answer is not made.</summary>
    public sealed record StreamAborted(long Stream) : GossipInput;

    /// <summary>A piece of the answer to our <see cref="GossipEffect.OpenStream"/>.</summary>
    public sealed record StreamReply(long Stream, ReadOnlyMemory<byte> Body, bool Last) : GossipInput;

    public sealed record StreamFailed(long Stream) : GossipInput;

    /// <summary>The own address changed: restated with a new incarnation, everybody re-points.</summary>
    public sealed record Readvertise(IPEndPoint Gossip) : GossipInput;

    /// <summary>Say goodbye. The shell lingers a second so that it is heard.</summary>
    public sealed record Leave : GossipInput;

    /// <summary>A removal that Raft has committed: hides the node's records up to this epoch, for ever.</summary>
    public sealed record Forget(NodeId Id, uint Epoch) : GossipInput;
}

using Kcore.Daemon.Cluster.Streams;
using Kcore.Gossip;
using Kcore.Raft;

namespace Kcore.Daemon.Cluster.Consensus.Transport;

/// <summary>The accepting end of the peers' streams of log messages.</summary>
/// <param name="cluster">The cluster whose log this is.</param>
/// <param name="self">Who this is in it.</param>
/// <param name="receive">Takes a message or drops it; on the thread that read it.</param>
/// <param name="time">The clock.</param>
internal sealed class RaftReceiver(ClusterRef cluster, MemberId self, Func<RaftMessage, bool> receive, TimeProvider time)
{
    // The members that speak at once, those of a configuration that is being changed included.
    private const int ThreadsMax = 16;

    // The sender closes after a minute without a message.
    private static readonly TimeSpan IdleLimit = TimeSpan.FromMinutes(2);

    private readonly FrameThreads _threads = new("raft-in", ThreadsMax);

    /// <summary>Hands the peer's messages in until the stream ends.</summary>
    /// <param name="peer">Whom the certificate names.</param>
    /// <param name="first">The greeting.</param>
    /// <param name="stream">The messages.</param>
    /// <param name="token">Ends it.</param>
    /// <exception cref="InvalidDataException">The peer is not who it says, means another cluster, or does not speak this protocol.</exception>
    public Task RunAsync(NodeId peer, ReadOnlyMemory<byte> first, PeerStream stream, CancellationToken token)
    {
        if (!RaftGreeting.TryDecode(first.Span, out RaftGreeting? greeting)
            || greeting.Value.Cluster != cluster
            || greeting.Value.To != self
            || greeting.Value.From.NodeUid != Uid.ToGuid(peer.Value))
        {
            throw new InvalidDataException($"node {peer.Short} means another log than this one");
        }

        MemberId from = greeting.Value.From;
        return _threads.ReadAsync(stream, [StreamKind.Raft], frame => Take(peer, from, frame), IdleLimit, time, token);
    }

    private ValueTask Take(NodeId peer, MemberId from, StreamFrame frame)
    {
        if (!RaftMessageCodec.TryDecode(frame.Body.Span, out RaftMessage? message) || message.From != from || message.To != self)
        {
            throw new InvalidDataException($"node {peer.Short} sent what is no log message of its own");
        }

        // Full means busy: the sender repeats it.
        receive(message);
        return ValueTask.CompletedTask;
    }
}

using Kcore.Daemon.Cluster.Streams;
using Kcore.Gossip;
using Kcore.Raft;

namespace Kcore.Daemon.Cluster.Consensus.Transport;

/// <summary>The accepting end of a peer's stream of log messages.</summary>
internal static class RaftReceiver
{
    // The sender closes after a minute without a message.
    private static readonly TimeSpan IdleLimit = TimeSpan.FromMinutes(2);

    /// <summary>Hands the peer's messages in until the stream ends.</summary>
    /// <param name="peer">Whom the certificate names.</param>
    /// <param name="first">The greeting.</param>
    /// <param name="stream">The messages.</param>
    /// <param name="cluster">The cluster whose log this is.</param>
    /// <param name="self">Who this is in it.</param>
    /// <param name="receive">Takes a message or drops it; returns at once.</param>
    /// <param name="time">The clock.</param>
    /// <param name="token">Ends it.</param>
    /// <exception cref="InvalidDataException">The peer is not who it says, means another cluster, or does not speak this protocol.</exception>
    public static async Task RunAsync(
        NodeId peer, ReadOnlyMemory<byte> first, Stream stream, ClusterRef cluster, MemberId self, Func<RaftMessage, bool> receive, TimeProvider time, CancellationToken token)
    {
        if (!RaftGreeting.TryDecode(first.Span, out RaftGreeting? greeting)
            || greeting.Value.Cluster != cluster
            || greeting.Value.To != self
            || greeting.Value.From.NodeUid != Uid.ToGuid(peer.Value))
        {
            throw new InvalidDataException($"node {peer.Short} means another log than this one");
        }

        using var idle = new CancellationTokenSource(IdleLimit, time);
        using CancellationTokenSource both = CancellationTokenSource.CreateLinkedTokenSource(token, idle.Token);
        while (await StreamFrame.ReadAsync(stream, both.Token) is { Kind: StreamKind.Raft } frame)
        {
            if (!RaftMessageCodec.TryDecode(frame.Body.Span, out RaftMessage? message) || message.From != greeting.Value.From || message.To != self)
            {
                throw new InvalidDataException($"node {peer.Short} sent what is no log message of its own");
            }

            // Full means busy: the sender repeats it.
            receive(message);
            idle.CancelAfter(IdleLimit);
        }
    }
}

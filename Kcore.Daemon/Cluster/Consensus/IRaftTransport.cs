using System.Collections.Immutable;
using Kcore.Raft;

namespace Kcore.Daemon.Cluster.Consensus;

/// <summary>
/// Carries Raft messages to peers. Losing, delaying, doubling and reordering are all allowed; changing is not. What
/// arrives is handed to <see cref="ConsensusLoop{TResult, TChange}.TryReceive"/> after cluster id and epoch were compared.
/// </summary>
public interface IRaftTransport
{
    /// <summary>
    /// Sends each to its <see cref="RaftMessage.To"/>, in order; returns at once and drops when the way is full. Called on the loop.
    /// </summary>
    void Send(ImmutableArray<RaftMessage> messages);
}

/// <summary>The transport of a cluster of one: there is nobody to send to.</summary>
public sealed class NoTransport : IRaftTransport
{
    public void Send(ImmutableArray<RaftMessage> messages)
    {
    }
}

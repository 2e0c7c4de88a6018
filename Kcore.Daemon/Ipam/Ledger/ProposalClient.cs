using Kcore.Daemon.Catalog;
using Kcore.Daemon.Cluster.Consensus;
using Kcore.Daemon.Cluster.Streams;
using Kcore.Raft;

namespace Kcore.Daemon.Ipam.Ledger;

/// <summary>
/// Brings a command to the leader, wherever that is, and repeats it until it is answered or time is up. Every command is
/// idempotent, so an answer lost on the way, or a leader that changed meanwhile, costs nothing but the repetition.
/// </summary>
internal sealed class ProposalClient(ClusterLedger ledger, LeaderRoute route, QuorumSight sight, TimeProvider time)
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(50);

    /// <exception cref="RefusedException">Unavailable: no quorum answered within <paramref name="patience"/>.</exception>
    public async Task<ReplicatedResult> ProposeAsync(ReplicatedCommand command, TimeSpan patience, CancellationToken token)
    {
        byte[] bytes = CommandCodec.Encode(command);
        using var limit = new CancellationTokenSource(patience, time);
        using CancellationTokenSource both = CancellationTokenSource.CreateLinkedTokenSource(token, limit.Token);
        string last = "";
        try
        {
            while (true)
            {
                (ReplicatedResult? result, last) = await TryOnceAsync(bytes, both.Token);
                if (result is not null)
                {
                    sight.Answered();
                    return result;
                }

                sight.Failed();
                await Task.Delay(Pause, time, both.Token);
            }
        }
        catch (OperationCanceledException) when (!token.IsCancellationRequested)
        {
            sight.Failed();
            throw sight.NoQuorum("the cluster's log does not answer, so no new address can be given out", last);
        }
    }

    private async Task<(ReplicatedResult? Result, string Failure)> TryOnceAsync(byte[] command, CancellationToken token)
    {
        if (ledger.Open is { } open && open.Loop.Status.Role == RaftRole.Leader)
        {
            try
            {
                return (await open.Loop.ProposeAsync(command, token), "");
            }
            catch (ProposeException e)
            {
                return (null, e.Message);
            }
        }

        (LedgerReply? reply, string failure) = await route.AskAsync(StreamKind.Propose, command, token);
        return reply is null ? (null, failure)
            : ResultCodec.TryDecode(reply.Result.Span, out ReplicatedResult? result) ? (result, "")
            : (null, "the leader's answer cannot be read");
    }
}

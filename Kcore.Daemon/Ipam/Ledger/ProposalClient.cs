using System.Collections.Immutable;
using System.Net;
using Kcore.Contracts;
using Kcore.Daemon.Catalog;
using Kcore.Daemon.Cluster.Consensus;
using Kcore.Daemon.Cluster.Founding;
using Kcore.Daemon.Cluster.Streams;
using Kcore.Gossip;
using Kcore.Gossip.Wire;

namespace Kcore.Daemon.Ipam.Ledger;

/// <summary>
/// Brings a command to the leader, wherever that is, and repeats it until it is answered or time is up. Every command is
/// idempotent, so an answer lost on the way costs nothing but the repetition.
/// </summary>
internal sealed class ProposalClient(ClusterLedger ledger, ClusterLoop cluster, CatalogHub catalog, PeerConnector connector, TimeProvider time)
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(100);

    /// <exception cref="RefusedException">Unavailable: no quorum answered within <paramref name="patience"/>.</exception>
    public async Task<ReplicatedResult> ProposeAsync(ReplicatedCommand command, TimeSpan patience, CancellationToken token)
    {
        byte[] bytes = CommandCodec.Encode(command);
        using var limit = new CancellationTokenSource(patience, time);
        using CancellationTokenSource both = CancellationTokenSource.CreateLinkedTokenSource(token, limit.Token);
        string last = "no voter is known yet";
        try
        {
            while (true)
            {
                (ReplicatedResult? result, string? failure) = await TryOnceAsync(bytes, both.Token);
                if (result is not null)
                {
                    return result;
                }

                last = failure ?? last;
                await Task.Delay(Pause, time, both.Token);
            }
        }
        catch (OperationCanceledException) when (!token.IsCancellationRequested)
        {
            throw NoQuorum(last);
        }
    }

    private async Task<(ReplicatedResult? Result, string? Failure)> TryOnceAsync(byte[] command, CancellationToken token)
    {
        if (cluster.State.Current.Cluster is not { } here)
        {
            return (null, "this node is in no cluster yet");
        }

        if (ledger.Loop is { } loop)
        {
            try
            {
                return (await loop.ProposeAsync(command, token), null);
            }
            catch (ProposeException e)
            {
                return (null, e.Message);
            }
        }

        string? failure = null;
        var request = new ProposeRequest(here, command);
        foreach ((NodeId voter, IPEndPoint endpoint) in Voters())
        {
            try
            {
                (_, ReadOnlyMemory<byte> body) = await connector.CallAsync(endpoint, StreamKind.Propose, request.Encode(), token);
                ProposeReply reply = ProposeReply.Decode(body.Span);
                if (reply.Failure is null && ResultCodec.TryDecode(reply.Result.Span, out ReplicatedResult? result))
                {
                    return (result, null);
                }

                failure = $"voter {NameOf(voter)}: {reply.Text}";
            }
            catch (Exception e) when (e is IOException or WireFormatException)
            {
                failure = $"voter {NameOf(voter)} ({endpoint}): {e.Message}";
            }
        }

        return (null, failure);
    }

    private IEnumerable<(NodeId Voter, IPEndPoint Endpoint)> Voters()
    {
        CatalogSnapshot now = catalog.Current.Current;
        return now.View.Voters
            .Select(v => now.Gossip.Members.Find(v))
            .OfType<Member>()
            .OrderByDescending(m => m.IsActive)
            .Select(m => (m.Id, new IPEndPoint(m.Endpoint.Address, m.RaftPort)));
    }

    private RefusedException NoQuorum(string last)
    {
        CatalogSnapshot now = catalog.Current.Current;
        ImmutableArray<string> voters =
        [
            .. now.View.Voters.Select(v => $"voter {NameOf(v)}: {(now.Gossip.Members.Find(v) is { } m ? m.Status.ToString().ToLowerInvariant() : "unknown")}"),
        ];
        return new RefusedException(
            ErrorCode.Unavailable,
            "no quorum: the cluster's log does not answer, so no new address can be given out",
            [.. voters, $"last attempt: {last}"],
            "bring the voters back, then repeat the command; what already exists keeps working (kctl status)");
    }

    private string NameOf(NodeId node) => catalog.Current.Current.Gossip.Members.Find(node)?.Name ?? node.Short;
}

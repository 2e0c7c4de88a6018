using System.Net;
using Kcore.Daemon.Cluster.Streams;
using Kcore.Gossip;

namespace Kcore.Daemon.Ipam.Ledger;

/// <summary>
/// The streams of proposals to the nodes that were asked, one each: a handshake costs more than the allocation it would be
/// made for. A stream nobody uses is closed by the other end.
/// </summary>
internal sealed class ProposalLanes(PeerConnector connector) : IAsyncDisposable
{
    // The voters, and who was one a moment ago.
    private const int LanesMax = 16;

    // As for the log's own streams: who lost its power says nothing.
    private static readonly TimeSpan SilenceLimit = TimeSpan.FromSeconds(2);

    private readonly Lock _turn = new();
    private readonly Dictionary<NodeId, (IPEndPoint Endpoint, Task<ProposalLane> Lane)> _lanes = [];

    /// <exception cref="IOException">The node was not reached, or the stream broke before the answer.</exception>
    public async Task<LedgerReply> AskAsync(NodeId node, IPEndPoint endpoint, StreamKind kind, LedgerRequest request, CancellationToken token)
    {
        (Task<ProposalLane> opening, bool isNew) = Open(node, endpoint);
        try
        {
            ProposalLane lane = await opening.WaitAsync(token);
            return await lane.AskAsync(request, token, kind);
        }
        catch (IOException) when (!isNew)
        {
            // It may have been closed long ago for want of use; every command can be repeated.
            Close(node, opening);
            (opening, _) = Open(node, endpoint);
            ProposalLane lane = await opening.WaitAsync(token);
            return await lane.AskAsync(request, token, kind);
        }
    }

    /// <summary>Closes the stream to a node; the next question opens another.</summary>
    public void Close(NodeId node) => Close(node, null);

    public async ValueTask DisposeAsync()
    {
        List<Task<ProposalLane>> open;
        lock (_turn)
        {
            open = [.. _lanes.Values.Select(l => l.Lane)];
            _lanes.Clear();
        }

        foreach (Task<ProposalLane> lane in open)
        {
            await EndAsync(lane);
        }
    }

    private (Task<ProposalLane> Lane, bool IsNew) Open(NodeId node, IPEndPoint endpoint)
    {
        lock (_turn)
        {
            if (_lanes.TryGetValue(node, out (IPEndPoint Endpoint, Task<ProposalLane> Lane) known))
            {
                bool isUsable = !known.Lane.IsCompleted || (known.Lane.IsCompletedSuccessfully && !known.Lane.Result.IsBroken);
                if (isUsable && known.Endpoint.Equals(endpoint))
                {
                    return (known.Lane, false);
                }

                _lanes.Remove(node);
                _ = EndAsync(known.Lane);
            }

            if (_lanes.Count >= LanesMax)
            {
                (NodeId other, (_, Task<ProposalLane> lane)) = _lanes.First();
                _lanes.Remove(other);
                _ = EndAsync(lane);
            }

            Task<ProposalLane> opened = OpenAsync(node, endpoint);
            _lanes[node] = (endpoint, opened);
            return (opened, true);
        }
    }

    private void Close(NodeId node, Task<ProposalLane>? only)
    {
        lock (_turn)
        {
            if (_lanes.TryGetValue(node, out (IPEndPoint Endpoint, Task<ProposalLane> Lane) known) && (only is null || known.Lane == only))
            {
                _lanes.Remove(node);
                _ = EndAsync(known.Lane);
            }
        }
    }

    // Whoever asks first opens it for all, so no single caller's patience ends it; the connector has a limit of its own.
    private async Task<ProposalLane> OpenAsync(NodeId node, IPEndPoint endpoint)
    {
        await Task.Yield();
        return new ProposalLane(await connector.OpenAsync(endpoint, node, SilenceLimit, CancellationToken.None));
    }

    private static async Task EndAsync(Task<ProposalLane> opening)
    {
        try
        {
            await (await opening).DisposeAsync();
        }
        catch (IOException)
        {
            // It never stood.
        }
    }
}

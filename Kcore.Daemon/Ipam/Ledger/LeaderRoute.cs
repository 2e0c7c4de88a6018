using System.Collections.Immutable;
using System.Net;
using Kcore.Daemon.Catalog;
using Kcore.Daemon.Cluster;
using Kcore.Daemon.Cluster.Consensus;
using Kcore.Daemon.Cluster.Founding;
using Kcore.Daemon.Cluster.Streams;
using Kcore.Gossip;
using Kcore.Gossip.Wire;

namespace Kcore.Daemon.Ipam.Ledger;

/// <summary>
/// The way to the leader, from any node: members of the group know it, all others ask the voters and remember what they
/// were told. So does a member that hears from no leader: it may have been let go while its daemon was down, and nobody
/// sends the log to who is not in the group.
/// </summary>
internal sealed class LeaderRoute(ClusterLedger ledger, ClusterLoop cluster, CatalogHub catalog, PeerConnector connector, TimeProvider time) : IAsyncDisposable
{
    // A host that lost its power does not answer at all. Everything that is asked may be asked again, so the next voter
    // is tried long before the connection breaks.
    private static readonly TimeSpan TryLimit = TimeSpan.FromSeconds(2);

    // A read writes nothing, and somebody looks at the screen.
    private static readonly TimeSpan ReadTryLimit = TimeSpan.FromMilliseconds(700);

    private readonly ProposalLanes _lanes = new(connector);
    private readonly Lock _memory = new();
    private NodeId? _told;
    private DateTimeOffset _toldAt;

    /// <summary>Who leads, as far as this node knows.</summary>
    public NodeId? Leader
    {
        get
        {
            DateTimeOffset? leaderlessSince = null;
            if (ledger.Status is { Fault: ConsensusFault.None, IsMember: true } status)
            {
                if (!status.Leader.IsNone)
                {
                    return new NodeId(Uid.FromGuid(status.Leader.NodeUid));
                }

                leaderlessSince = status.LeaderlessSince;
            }

            lock (_memory)
            {
                return leaderlessSince > _toldAt ? null : _told;
            }
        }
    }

    /// <summary>The voters, by the log where this node receives it, else by their own word.</summary>
    public ImmutableArray<NodeId> Voters => ledger.Status is { IsMember: true } status
        ? [.. status.Voters.Select(v => new NodeId(Uid.FromGuid(v.NodeUid))).Distinct().Order()]
        : catalog.Current.Current.View.Voters;

    /// <summary>Asks the leader once, following hints. Null when nobody answered as leader, with the last reason.</summary>
    /// <param name="kind">Commands (<see cref="StreamKind.Propose"/>) and reads go over one stream that stays open; all else is rare and gets its own.</param>
    /// <param name="body">The command, or what the kind asks for.</param>
    /// <param name="token">Ends the attempt.</param>
    public async Task<(LedgerReply? Reply, string Failure)> AskAsync(StreamKind kind, ReadOnlyMemory<byte> body, CancellationToken token)
    {
        if (cluster.State.Current.Cluster is not { } here)
        {
            return (null, "this node is in no cluster yet");
        }

        var request = new LedgerRequest(here, body);
        List<NodeId> order = Order();
        var asked = new HashSet<NodeId> { catalog.Current.Current.Gossip.Members.Self };
        string failure = "no voter is known yet";
        for (int i = 0; i < order.Count; i++)
        {
            NodeId node = order[i];
            if (!asked.Add(node) || catalog.Current.Current.Gossip.Members.Find(node) is not { } member)
            {
                continue;
            }

            (LedgerReply? reply, string? trouble) = await AskOneAsync(member, kind, request, token);
            if (reply is { Failure: null })
            {
                Remember(node);
                return (reply, "");
            }

            failure = $"node {member.Name}: {trouble ?? reply?.Text}";
            Forget(node);
            if (reply?.Leader is { } hint)
            {
                order.Insert(i + 1, hint);
            }
        }

        return (null, failure);
    }

    public ValueTask DisposeAsync() => _lanes.DisposeAsync();

    private List<NodeId> Order()
    {
        MembershipView members = catalog.Current.Current.Gossip.Members;
        IEnumerable<NodeId> voters = Voters.OrderByDescending(v => members.Find(v) is { Status: MemberStatus.Alive });
        return [.. Leader is { } leader ? [leader] : ImmutableArray<NodeId>.Empty, .. voters];
    }

    private async Task<(LedgerReply? Reply, string? Trouble)> AskOneAsync(Member member, StreamKind kind, LedgerRequest request, CancellationToken token)
    {
        var endpoint = new IPEndPoint(member.Endpoint.Address, member.RaftPort);
        TimeSpan patience = kind == StreamKind.Read ? ReadTryLimit : TryLimit;
        using var limit = new CancellationTokenSource(patience, time);
        using CancellationTokenSource both = CancellationTokenSource.CreateLinkedTokenSource(token, limit.Token);
        try
        {
            if (kind is StreamKind.Propose or StreamKind.Read)
            {
                return (await _lanes.AskAsync(member.Id, endpoint, kind, request, both.Token), null);
            }

            (_, ReadOnlyMemory<byte> body) = await connector.CallAsync(endpoint, kind, request.Encode(), both.Token);
            return (LedgerReply.Decode(body.Span), null);
        }
        catch (OperationCanceledException) when (!token.IsCancellationRequested)
        {
            // A stream on which nothing comes back may lead to a host that is gone. A leader may also have lost its quorum, and
            // commands wait longer for that than reads.
            if (kind != StreamKind.Read)
            {
                _lanes.Close(member.Id);
            }

            return (null, $"no answer within {patience.TotalSeconds:0.#} s");
        }
        catch (Exception e) when (e is IOException or WireFormatException)
        {
            return (null, e.Message);
        }
    }

    private void Remember(NodeId leader)
    {
        lock (_memory)
        {
            _told = leader;
            _toldAt = time.GetUtcNow();
        }
    }

    private void Forget(NodeId node)
    {
        lock (_memory)
        {
            _told = _told == node ? null : _told;
        }
    }
}

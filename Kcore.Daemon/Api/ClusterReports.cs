using System.Collections.Immutable;
using Kcore.Contracts;
using Kcore.Daemon.Catalog;
using Kcore.Daemon.Catalog.Facts;
using Kcore.Daemon.Cluster;
using Kcore.Daemon.Cluster.Consensus;
using Kcore.Daemon.Cluster.Founding;
using Kcore.Daemon.Cluster.Streams;
using Kcore.Daemon.Ipam.Ledger;
using Kcore.Gossip;
using Kcore.Raft;

namespace Kcore.Daemon.Api;

/// <summary>
/// Who decides, and how much the cluster can lose. Answered by any node: by the leader's word where it answers at once, else
/// by what this node knows, and it says which.
/// </summary>
internal sealed class ClusterReports(LocalNode self, ClusterLoop cluster, CatalogHub catalog, ClusterLedger ledger, LeaderRoute route, QuorumSight quorum)
{
    private static readonly TimeSpan LeaderPatience = TimeSpan.FromMilliseconds(700);

    /// <summary>A member that gave no healthy sign for this long is called silent.</summary>
    private static readonly TimeSpan SilentAfter = TimeSpan.FromSeconds(3);

    private const ulong BehindBy = 64;

    public async Task<ClusterReport> ReportAsync(CancellationToken token)
    {
        LogSummary? told = await AskAsync(token);
        long? heldBack = await HeldBackAsync(token);
        CatalogSnapshot now = catalog.Current.Current;
        QuorumView view = quorum.Current;
        Cluster.Consensus.ConsensusStatus? own = ledger.Status;
        ImmutableArray<ClusterMember> voters = told is null
            ? [.. view.Voters.Select(v => new ClusterMember(v.Name, v.Node.ToString(), null, v.Status, null, null, null, null, null))]
            : Members(told, votes: true, now);
        ImmutableArray<ClusterMember> learners = told is not null ? Members(told, votes: false, now)
            : own is null ? []
            : [.. own.Learners.Select(l => Member(l, null, 0, now))];
        bool isQuorate = told is not null || view.HasQuorum;
        int sound = told is null ? view.Voters.Count(v => v.IsSeen) : voters.Count(v => v.State == "ok");
        ImmutableArray<string> observers =
        [
            .. now.Gossip.Members.Members.Where(m => m.Status != MemberStatus.Left)
                .Where(m => !voters.Concat(learners).Any(v => v.NodeId == m.Id.ToString()))
                .Select(m => m.Name).Order(StringComparer.Ordinal),
        ];
        return new ClusterReport
        {
            Node = self.Name,
            ClusterId = cluster.State.Current.Cluster?.Id.ToString("N"),
            Epoch = cluster.State.Current.Cluster?.Epoch ?? 0,
            Leader = told is not null ? NameOf(told.Leader, now) : view.Leader is { } leader ? now.NameOf(leader) : null,
            Term = told?.Term ?? own?.Term ?? 0,
            Commit = told?.Commit ?? own?.CommitIndex ?? 0,
            Applied = told?.Applied ?? own?.AppliedIndex ?? 0,
            Last = told?.Last ?? own?.LastIndex ?? 0,
            Source = told is null ? "local" : "leader",
            Quorum = isQuorate,
            Margin = isQuorate ? Math.Max(0, sound - ((voters.Length / 2) + 1)) : 0,
            Since = isQuorate ? null : view.Since,
            Changing = told?.IsJoint ?? own?.IsJoint ?? false,
            Voters = voters,
            Learners = learners,
            Observers = observers,
            StateComparedAt = ledger.Open?.State.Comparison?.Index,
            HeldBack = heldBack,
            Degraded = [.. Degraded(told, isQuorate, voters, now), .. Recovered(heldBack)],
        };
    }

    public async Task<ChangeReceipt> TransferLeaderAsync(TransferLeaderRequest request, CancellationToken token)
    {
        CatalogSnapshot now = catalog.Current.Current;
        NodeId? target = null;
        if (request.Node?.Trim() is { Length: > 0 } wanted)
        {
            target = now.FindNode(wanted) ?? throw new RefusedException(ErrorCode.NotFound, $"node '{wanted}' does not exist", next: "kctl get nodes");
            if (!route.Voters.Contains(target.Value))
            {
                throw new RefusedException(
                    ErrorCode.FailedPrecondition,
                    $"node '{now.NameOf(target.Value)}' does not vote, so it cannot lead",
                    [$"voters: {string.Join(", ", route.Voters.Select(now.NameOf))}"],
                    "kctl cluster status");
            }
        }

        NodeId leader = await HandOverAsync(target, token);
        return new ChangeReceipt("transferred", "Leader", now.NameOf(leader), self.Name);
    }

    private async Task<NodeId> HandOverAsync(NodeId? target, CancellationToken token)
    {
        if (ledger.Open is { } open && ledger.Leads)
        {
            try
            {
                return await LedgerStreams.HandOverAsync(open, target, token);
            }
            catch (ProposeException e)
            {
                throw NotTransferred(e.Message);
            }
        }

        var body = new byte[target is null ? 0 : NodeId.ByteCount];
        target?.WriteBytes(body);
        (LedgerReply? reply, string failure) = await route.AskAsync(StreamKind.Transfer, body, token);
        return reply is { Result.Length: NodeId.ByteCount } ? NodeId.FromBytes(reply.Result.Span) : throw NotTransferred(failure);
    }

    private static RefusedException NotTransferred(string why) =>
        new(ErrorCode.Unavailable, $"the leader's seat was not handed over: {why}", next: "kctl cluster status");

    private async Task<LogSummary?> AskAsync(CancellationToken token)
    {
        using CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(token);
        limit.CancelAfter(LeaderPatience);
        try
        {
            byte[]? bytes = null;
            if (ledger.Open is { } open && ledger.Leads)
            {
                bytes = LogReportCodec.Encode(await open.Loop.ReportAsync(limit.Token));
            }
            else if (quorum.Current is { HasQuorum: true } or { IsMajoritySeen: true })
            {
                (LedgerReply? reply, _) = await route.AskAsync(StreamKind.LogReport, default, limit.Token);
                bytes = reply?.Result.ToArray();
            }

            return bytes is not null && LogReportCodec.TryDecode(bytes, out LogSummary? summary) ? summary : null;
        }
        catch (Exception e) when (e is ProposeException || (e is OperationCanceledException && !token.IsCancellationRequested))
        {
            return null;
        }
    }

    private static ImmutableArray<ClusterMember> Members(LogSummary told, bool votes, CatalogSnapshot now) =>
    [
        .. told.Members.Where(m => m.Votes == votes).Select(m => Member(m.Member, m, told.Last, now)).OrderBy(m => m.Name, StringComparer.Ordinal),
    ];

    private static ClusterMember Member(MemberId member, LogMember? told, ulong last, CatalogSnapshot now)
    {
        var node = new NodeId(Uid.FromGuid(member.NodeUid));
        ulong lag = told is null ? 0 : last - Math.Min(last, told.Match);
        return new ClusterMember(
            now.NameOf(node),
            node.ToString(),
            member.StoreId.ToString("N"),
            now.Gossip.Members.Find(node)?.Status.ToString().ToLowerInvariant() ?? "unknown",
            told?.Match,
            told is null ? null : lag,
            (long?)told?.Heard.TotalMilliseconds,
            (long?)told?.Healthy.TotalMilliseconds,
            told is null ? null
                : told.IsInstalling ? "installing"
                : told.Healthy >= SilentAfter ? "silent"
                : lag > BehindBy ? "behind"
                : "ok");
    }

    private static string? NameOf(MemberId member, CatalogSnapshot now) => member.IsNone ? null : now.NameOf(new NodeId(Uid.FromGuid(member.NodeUid)));

    private async Task<long?> HeldBackAsync(CancellationToken token)
    {
        if (ledger.Open is not { } open)
        {
            return null;
        }

        using CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(token);
        limit.CancelAfter(LeaderPatience);
        try
        {
            return await open.Loop.ReadAsync<long?>(() => open.State.RecoveredIndex == 0 ? null : open.State.HeldBack, limit.Token);
        }
        catch (Exception e) when (e is ProposeException || (e is OperationCanceledException && !token.IsCancellationRequested))
        {
            return null;
        }
    }

    private static IEnumerable<string> Recovered(long? heldBack)
    {
        if (heldBack is { } count)
        {
            yield return $"the cluster was recovered and {count} addresses are held back: when every node that still exists has joined, kctl cluster recover-finalize frees them";
        }
    }

    private IEnumerable<string> Degraded(LogSummary? told, bool isQuorate, ImmutableArray<ClusterMember> voters, CatalogSnapshot now)
    {
        if (cluster.State.Current.Phase != ClusterPhase.Member)
        {
            yield return "this node is in no cluster yet";
            yield break;
        }

        if (!isQuorate)
        {
            yield return "no quorum: no new addresses; what exists keeps working";
        }

        foreach ((NodeId node, NodeFact fact) in now.View.Nodes.Where(n => n.Value.DivergedAt != 0).OrderBy(n => n.Key))
        {
            yield return $"the state of node {now.NameOf(node)} was not the leader's at log index {fact.DivergedAt}: addresses it gives out as leader may be wrong; stop kcored there and report this";
        }

        foreach (ClusterMember voter in voters.Where(v => told is null ? v.Health is not "alive" and not "suspect" : v.State != "ok"))
        {
            yield return $"voter {voter.Name} is {voter.State ?? voter.Health}";
        }

        if (isQuorate && told is null)
        {
            yield return "the leader does not answer this node";
        }

        if (ledger.Damage is { } damage)
        {
            yield return $"this node's log has stopped: {damage}";
        }
    }
}

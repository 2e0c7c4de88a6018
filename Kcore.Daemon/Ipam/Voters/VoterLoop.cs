using System.Collections.Immutable;
using Kcore.Daemon.Catalog;
using Kcore.Daemon.Catalog.Facts;
using Kcore.Daemon.Cluster;
using Kcore.Daemon.Cluster.Consensus;
using Kcore.Daemon.Cluster.Consensus.Voters;
using Kcore.Daemon.Ipam.Ledger;
using Kcore.Gossip;
using Kcore.Raft;
using Microsoft.Extensions.Logging;

namespace Kcore.Daemon.Ipam.Voters;

/// <summary>
/// On the leader: keeps the voters as the policy wants them. Looks at what is once a second and makes at most one change at
/// a time, so that a leader that takes over in the middle goes on from there.
/// </summary>
internal sealed partial class VoterLoop(ClusterLedger ledger, CatalogHub catalog, VoterRules rules, TimeProvider time, ILogger logger)
{
    private static readonly TimeSpan Pace = TimeSpan.FromSeconds(1);

    private readonly CatchUpClock _clock = new(rules);
    private readonly Dictionary<MemberId, int> _tries = [];
    private readonly long _started = time.GetTimestamp();
    private ulong _ledTerm;
    private ImmutableArray<MemberId> _voters = [];
    private TimeSpan? _votersChanged;

    public async Task RunAsync(CancellationToken stoppingToken)
    {
        while (true)
        {
            if (ledger.Open is { } open && ledger.Leads)
            {
                try
                {
                    await LookAsync(open, stoppingToken);
                }
                catch (ProposeException e)
                {
                    // The log was closed, or is too busy to be asked; the next turn looks again.
                    Log.NotNow(logger, e.Message);
                }
            }

            await Task.Delay(Pace, time, stoppingToken);
        }
    }

    private async Task LookAsync(OpenLedger open, CancellationToken token)
    {
        LogReport report = await open.Loop.ReportAsync(token);
        if (report.Status.Role != RaftRole.Leader)
        {
            return;
        }

        ImmutableArray<(MemberId Member, string Name)> admitted = await open.Loop.ReadAsync(() => open.State.Nodes, token);
        TimeSpan now = time.GetElapsedTime(_started);
        Remember(report, now);
        var situation = new VoterSituation(
            report.Status.Self,
            report.Configuration,
            [.. Nodes(report, admitted, now)],
            _votersChanged is { } changed ? now - changed : TimeSpan.MaxValue);
        if (VoterPolicy.Decide(situation, rules) is not { } decision)
        {
            return;
        }

        ProposeOutcome outcome = await open.Loop.ReconfigureAsync(decision.Target, token);
        if (outcome == ProposeOutcome.Appended)
        {
            Log.Changing(logger, decision.Reason);
            foreach (MemberId spare in decision.Target.Learners.Except(report.Configuration.Members))
            {
                _tries[spare] = _tries.GetValueOrDefault(spare) + 1;
            }
        }
    }

    // What an earlier leadership saw is stale, and what another leader did counts as done now. A single voter has nobody
    // to have done it.
    private void Remember(LogReport report, TimeSpan now)
    {
        if (report.Status.Term != _ledTerm)
        {
            _ledTerm = report.Status.Term;
            _clock.Reset();
            _tries.Clear();
            _voters = report.Configuration.Voters;
            _votersChanged = _voters.Length > 1 ? now : null;
        }

        if (!report.Configuration.IsJoint && !report.Configuration.Voters.SequenceEqual(_voters))
        {
            _votersChanged = now;
            _voters = report.Configuration.Voters;
        }
    }

    private IEnumerable<VoterNode> Nodes(LogReport report, ImmutableArray<(MemberId Member, string Name)> admitted, TimeSpan now)
    {
        CatalogSnapshot seen = catalog.Current.Current;
        Dictionary<MemberId, PeerReport> peers = report.Peers.ToDictionary(p => p.Member);
        foreach ((MemberId member, _) in admitted)
        {
            var node = new NodeId(Uid.FromGuid(member.NodeUid));
            MemberStatus? status = seen.Gossip.Members.Find(node)?.Status;
            if (status == MemberStatus.Left)
            {
                continue;
            }

            // Who is drained hands its vote on, like one that left.
            bool isStated = seen.View.Nodes.TryGetValue(node, out NodeFact? fact);
            if (isStated && fact!.Drained)
            {
                continue;
            }

            bool holdsStore = isStated && fact!.Store == Uid.FromGuid(member.StoreId);
            TimeSpan silent = peers.TryGetValue(member, out PeerReport peer) ? peer.Healthy : TimeSpan.Zero;
            TimeSpan caughtUp = peers.ContainsKey(member) ? _clock.Observe(member, peer.Match, report.Status.LastIndex, silent, now) : TimeSpan.Zero;
            yield return new VoterNode(member, status == MemberStatus.Alive && holdsStore, silent, caughtUp, _tries.GetValueOrDefault(member));
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1240, LogLevel.Information, "Changing who holds the log: {Reason}")]
        public static partial void Changing(ILogger logger, string reason);

        [LoggerMessage(1241, LogLevel.Debug, "The voters could not be looked at: {Cause}")]
        public static partial void NotNow(ILogger logger, string cause);
    }
}

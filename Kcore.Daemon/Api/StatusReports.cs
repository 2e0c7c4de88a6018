using System.Collections.Immutable;
using Kcore.Contracts;
using Kcore.Daemon.Catalog;
using Kcore.Daemon.Cluster;
using Kcore.Daemon.Cluster.Founding;
using Kcore.Daemon.Cluster.Members;
using Kcore.Daemon.Dataplane;
using Kcore.Daemon.Dataplane.Facts;
using Kcore.Daemon.Dataplane.Observed;
using Kcore.Daemon.Ipam.Attachments;
using Kcore.Daemon.Ipam.Ledger;
using Kcore.Daemon.Reconciliation;
using Kcore.Gossip;
using Kcore.Raft;

namespace Kcore.Daemon.Api;

/// <summary>The whole node on one page: what it is, whom it sees, what is wrong.</summary>
internal sealed class StatusReports(
    LocalNode self,
    ClusterLoop cluster,
    CatalogHub catalog,
    ClusterLedger ledger,
    QuorumSight quorum,
    AttachmentTable attachments,
    DataplaneReports kernel,
    Published<ServiceStatus> services,
    GossipReports gossip,
    TimeProvider time)
{
    private static readonly TimeSpan DigestWait = TimeSpan.FromSeconds(30);

    /// <summary>The catalog's digest: as soon as it is not <paramref name="known"/>, or after half a minute whatever it is.</summary>
    public async Task<string> DigestAsync(string? known, CancellationToken token)
    {
        if (known is not null)
        {
            using CancellationTokenSource limit = new(DigestWait, time);
            using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, token);
            try
            {
                return (await catalog.Current.WhenAsync(s => s.Digest != known, either.Token)).Digest;
            }
            catch (OperationCanceledException) when (!token.IsCancellationRequested)
            {
                // It has not changed; the answer says so.
            }
        }

        return catalog.Current.Current.Digest;
    }

    public StatusReport Report()
    {
        CatalogSnapshot now = catalog.Current.Current;
        ClusterState state = cluster.State.Current;
        Contracts.ConsensusStatus consensus = Consensus(now);
        ReconcileStatus pass = kernel.Status.Current;
        ImmutableArray<string> differs =
        [
            .. gossip.Differing.Select(d => $"{now.NameOf(d.Key)} since {(time.GetUtcNow() - d.Value).TotalSeconds:0.0} s").Order(StringComparer.Ordinal),
        ];
        return new StatusReport
        {
            Node = self.Name,
            NodeId = self.Id.ToString(),
            Version = self.Version,
            Phase = state.Conflicts.IsEmpty ? state.Phase.ToString().ToLowerInvariant() : "conflict",
            ClusterId = state.Cluster?.Id.ToString("N"),
            ClusterEpoch = state.Cluster?.Epoch ?? 0,
            Digest = now.Digest,
            DigestDiffers = differs,
            Members = [.. now.Gossip.Members.Members.Select(m => new MemberLine(m.Name, m.Id.ToString(), m.Endpoint.Address.ToString(), m.Status.ToString().ToLowerInvariant())).OrderBy(m => m.Name, StringComparer.Ordinal)],
            Consensus = consensus,
            Dataplane = new DataplaneStatus(
                pass.Networks.Count,
                attachments.Current.Current.Wanted.Count(),
                ReferenceEquals(pass, ReconcileStatus.None) ? null : pass.At,
                pass.Took.TotalMilliseconds,
                kernel.Repairs,
                pass.HeldBack > 0,
                [.. Failures(pass, services.Current)]),
            Degraded = [.. Degraded(now, state, consensus, differs, pass)],
        };
    }

    /// <summary>What is wrong with this node's own copy of the log; nothing of it touches what exists.</summary>
    public IEnumerable<string> LogFaults()
    {
        if (ledger.Damage is { } fault)
        {
            yield return $"this node's log has stopped: {fault}";
        }

        if (ledger.Status is { IsStorageStalled: true })
        {
            yield return "the disk of this node's log does not finish a write; it neither leads nor confirms";
        }

        if (ledger.Status is { IsSpaceLow: true })
        {
            yield return "the disk of this node's log is nearly full; this node does not lead";
        }
    }

    /// <summary>What is wrong with this node's copy of the catalog, besides what it lacks.</summary>
    public IEnumerable<string> CatalogFaults()
    {
        if (gossip.StorageFault is { } storage)
        {
            yield return storage;
        }
    }

    /// <summary>Why this node may be alone although the cluster is not.</summary>
    public IEnumerable<string> Isolation()
    {
        if (cluster.LockedOut is { } lockedOut)
        {
            yield return lockedOut;
        }

        if (gossip.IsIsolated)
        {
            yield return "no other member answers this node";
        }
    }

    private Contracts.ConsensusStatus Consensus(CatalogSnapshot now)
    {
        QuorumView view = quorum.Current;
        Cluster.Consensus.ConsensusStatus? status = ledger.Status;
        int seen = view.Voters.Count(v => v.IsSeen);
        return new Contracts.ConsensusStatus(
            RoleOf(status),
            view.Leader is { } leader ? now.NameOf(leader) : null,
            status?.Term ?? 0,
            status?.CommitIndex ?? 0,
            status?.AppliedIndex ?? 0,
            [.. view.Voters.Select(v => v.Name)],
            view.HasQuorum,
            [.. view.Voters.Where(v => !v.IsSeen).Select(v => v.Name)],
            view.HasQuorum ? Math.Max(0, seen - ((view.Voters.Length / 2) + 1)) : 0,
            view.HasQuorum ? null : view.Since);
    }

    private static string RoleOf(Cluster.Consensus.ConsensusStatus? status) => status switch
    {
        null => "observer",
        { Role: RaftRole.Leader } => "leader",
        _ when status.Learners.Contains(status.Self) => "learner",
        _ when !status.Voters.Contains(status.Self) => "observer",
        { Role: RaftRole.Follower } => "follower",
        _ => "candidate",
    };

    private static IEnumerable<string> Failures(ReconcileStatus pass, ServiceStatus beside)
    {
        foreach ((string network, NetworkHealth health) in pass.Networks)
        {
            if (health.Failure is { } failure)
            {
                yield return $"network {network}: {failure}";
            }

            foreach ((string nic, NicHealth state) in health.Nics)
            {
                if (state.Failure is { } reason)
                {
                    yield return $"NIC {nic} on {network}: {reason}";
                }
            }
        }

        foreach ((string network, DhcpHealth dhcp) in beside.Dhcp)
        {
            if (dhcp.Failure is { } failure)
            {
                yield return $"network {network}: {failure}";
            }
        }
    }

    private IEnumerable<string> Degraded(
        CatalogSnapshot now, ClusterState state, Contracts.ConsensusStatus consensus, ImmutableArray<string> differs, ReconcileStatus pass)
    {
        if (state.Phase != ClusterPhase.Member)
        {
            yield return state.Obstacle is { } obstacle ? $"not in a cluster: {obstacle}" : "not in a cluster yet";
            yield break;
        }

        foreach (string conflict in state.Conflicts)
        {
            yield return $"ClusterConflict: {conflict}";
        }

        foreach (Member member in now.Gossip.Members.Members.Where(m => m.Status is MemberStatus.Suspect or MemberStatus.Dead))
        {
            yield return $"node {member.Name} is {member.Status.ToString().ToLowerInvariant()}";
        }

        if (!consensus.Quorum)
        {
            yield return $"no quorum (voters: {(consensus.Voters.IsEmpty ? "unknown" : string.Join(", ", consensus.Voters))}; missing: {(consensus.Missing.IsEmpty ? "none" : string.Join(", ", consensus.Missing))}): no new addresses; what exists keeps working";
        }

        foreach (string fault in LogFaults())
        {
            yield return fault;
        }

        foreach (string difference in differs)
        {
            yield return $"the catalog differs from that of {difference}";
        }

        foreach (string fault in Isolation().Concat(CatalogFaults()))
        {
            yield return fault;
        }

        if (pass.Error is { } error)
        {
            yield return $"data plane: {error}";
        }

        foreach (FirewallBlock block in pass.Blocks)
        {
            yield return $"HostFirewallBlocks: {block}";
        }

        foreach (Fight fight in kernel.Fights)
        {
            yield return $"DriftFight: {fight}";
        }

        foreach (string failure in Failures(pass, services.Current))
        {
            yield return failure;
        }
    }
}

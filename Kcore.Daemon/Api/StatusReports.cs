using System.Collections.Immutable;
using Kcore.Contracts;
using Kcore.Daemon.Catalog;
using Kcore.Daemon.Cluster;
using Kcore.Daemon.Cluster.Consensus;
using Kcore.Daemon.Cluster.Founding;
using Kcore.Daemon.Cluster.Members;
using Kcore.Daemon.Dataplane;
using Kcore.Daemon.Dataplane.Facts;
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
    AttachmentTable attachments,
    DataplaneReports kernel,
    Published<ServiceStatus> services,
    GossipReports gossip,
    TimeProvider time)
{
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

    private Contracts.ConsensusStatus Consensus(CatalogSnapshot now)
    {
        ImmutableArray<string> voters = [.. now.View.Voters.Select(now.NameOf)];
        if (ledger.Status is { } status)
        {
            string? leader = status.Leader == MemberId.None ? null : now.NameOf(new NodeId(Uid.FromGuid(status.Leader.NodeUid)));
            return new Contracts.ConsensusStatus(
                RoleOf(status.Role), leader, status.Term, status.CommitIndex, status.AppliedIndex, voters, leader is not null && status.Fault == ConsensusFault.None);
        }

        // Without the log this node knows who may lead, not who does; of a single voter both is the same.
        int reachable = now.View.Voters.Count(v => now.Gossip.Members.Find(v) is { IsActive: true });
        bool quorum = now.View.Voters.Length > 0 && reachable > now.View.Voters.Length / 2;
        return new Contracts.ConsensusStatus("observer", quorum && voters is [var only] ? only : null, 0, 0, 0, voters, quorum);
    }

    private static string RoleOf(RaftRole role) => role switch
    {
        RaftRole.Leader => "leader",
        RaftRole.Follower => "follower",
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
            yield return $"no quorum (voters: {(consensus.Voters.IsEmpty ? "unknown" : string.Join(", ", consensus.Voters))}): no new addresses; what exists keeps working";
        }

        if (ledger.Status is { FaultText: { } fault })
        {
            yield return $"this node's log has stopped: {fault}";
        }

        foreach (string difference in differs)
        {
            yield return $"the catalog differs from that of {difference}";
        }

        if (cluster.LockedOut is { } lockedOut)
        {
            yield return lockedOut;
        }

        if (gossip.IsIsolated)
        {
            yield return "no other member answers this node";
        }

        if (gossip.StorageFault is { } storage)
        {
            yield return storage;
        }

        if (pass.Error is { } error)
        {
            yield return $"data plane: {error}";
        }

        foreach (string failure in Failures(pass, services.Current))
        {
            yield return failure;
        }
    }
}

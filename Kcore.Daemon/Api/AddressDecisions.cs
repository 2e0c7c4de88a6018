using System.Net;
using Kcore.Contracts;
using Kcore.Daemon.Catalog;
using Kcore.Daemon.Catalog.Facts;
using Kcore.Daemon.Catalog.Validation;
using Kcore.Daemon.Catalog.View;
using Kcore.Daemon.Cluster;
using Kcore.Daemon.Dataplane.Nics;
using Kcore.Daemon.Ipam;
using Kcore.Daemon.Ipam.Ledger;
using Kcore.Daemon.Storage.Events;

namespace Kcore.Daemon.Api;

/// <summary>What an operator decides about the addresses of an overlay, from any node.</summary>
internal sealed class AddressDecisions(LocalNode self, CatalogHub catalog, ConfirmedCatalog confirmed, ProposalClient proposals, QuorumSight quorum, EventLog events)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    /// <summary>Has the addresses given again that were given back.</summary>
    public async Task<ChangeReceipt> ReclaimAsync(string name, CancellationToken token)
    {
        Network network = Overlay(name);
        await ProposeAsync(new ReplicatedCommand.Reclaim(new NetworkUid(Uid.ToGuid(network.Uid))), network.Name, token);
        events.Add("AddressesReclaimed", $"addresses of network '{network.Name}' that were given back are given again after a rest", self.Id.ToString(), network.Name);
        return new ChangeReceipt("reclaimed", "Network", network.Name, self.Name);
    }

    /// <summary>Ends the leases whose NIC is known nowhere.</summary>
    public async Task<ReleasedOrphans> ReleaseOrphansAsync(string name, ReleaseOrphansRequest request, CancellationToken token)
    {
        Network network = Overlay(name);

        // What is decided must rest on what holds now: on an old copy the address of a moment ago would be nobody's.
        ConfirmedView view = await confirmed.ReadAsync(Patience, token);
        if (view.Doubt is { } doubt)
        {
            throw quorum.NoQuorum($"nobody can tell which addresses of network '{network.Name}' are orphaned now", doubt);
        }

        CatalogSnapshot now = view.Snapshot;
        LeaseFact[] leases =
        [
            .. now.View.Leases.Values.Where(l => l.Network == network.Uid).OrderBy(l => AddressSequence.ToNumber(l.Address)),
        ];
        LeaseFact[] meant = request.Address is { } text ? [Held(text, network, leases, now)] : [.. leases.Where(l => l.Orphaned)];
        foreach (LeaseFact lease in meant)
        {
            // By attachment and never by address: what holds the address now may be another NIC.
            await ProposeAsync(new ReplicatedCommand.ReleaseOrphan(new AttachmentId(Uid.ToGuid(lease.AttachmentId))), network.Name, token);
            events.Add("AddressReleased", $"orphaned {lease.Address} of NIC {lease.NicName} released", lease.Node.ToString(), network.Name);
        }

        return new ReleasedOrphans(network.Name, [.. meant.Select(l => l.Address.ToString())]);
    }

    /// <summary>Ends what a recovery holds back: nobody holds an address that the log does not know.</summary>
    public async Task<ChangeReceipt> FinishRecoveryAsync(CancellationToken token)
    {
        if (await proposals.ProposeAsync(new ReplicatedCommand.FinishRecovery(), Patience, token) is ReplicatedResult.Refused refused)
        {
            throw new RefusedException(NicService.CodeOf(refused.Code), refused.Text, next: "kctl cluster status");
        }

        events.Add("RecoveryFinalized", "the addresses that were held back since the recovery are given again after a rest", self.Id.ToString());
        return new ChangeReceipt("finalized", "Recovery", self.Name, self.Name);
    }

    private static LeaseFact Held(string text, Network network, LeaseFact[] leases, CatalogSnapshot now)
    {
        if (!Ipv4Text.TryParse(text.Trim(), out IPAddress? address))
        {
            throw new RefusedException(ErrorCode.InvalidArgument, "ip is not an IPv4 address");
        }

        LeaseFact lease = Array.Find(leases, l => l.Address.Equals(address))
            ?? throw new RefusedException(ErrorCode.NotFound, $"nobody holds {address} on network '{network.Name}'", next: $"kctl get ips --network {network.Name}");
        return lease.Orphaned ? lease : throw new RefusedException(
            ErrorCode.FailedPrecondition,
            $"{address} is held by NIC '{lease.NicName}' on node {now.NameOf(lease.Node)}, not orphaned",
            next: $"kctl detach nic {lease.NicName} --network {network.Name}, on that node");
    }

    private Network Overlay(string name)
    {
        Network network = catalog.Current.Current.View.Copies(name.Trim(), self.Id)[0];
        return network.Spec.Type == NetworkType.Vxlan ? network : throw new RefusedException(
            ErrorCode.FailedPrecondition, $"the addresses of the {network.Spec.TypeName} network '{network.Name}' are not the cluster's to give");
    }

    private async Task ProposeAsync(ReplicatedCommand command, string network, CancellationToken token)
    {
        if (await proposals.ProposeAsync(command, Patience, token) is ReplicatedResult.Refused refused)
        {
            throw new RefusedException(NicService.CodeOf(refused.Code), refused.Text, [$"network: {network}"], $"kctl get ips --network {network}");
        }
    }
}

using System.Collections.Immutable;
using Kcore.Daemon.Catalog;
using Kcore.Daemon.Cluster;
using Kcore.Daemon.Cluster.Addressing;
using Kcore.Daemon.Cluster.Founding;
using Kcore.Daemon.Dataplane.Desired;
using Kcore.Daemon.Dataplane.Hosts;
using Kcore.Daemon.Dataplane.Mesh;
using Kcore.Daemon.Ipam.Attachments;
using Kcore.Daemon.Ipam.Ledger;
using Kcore.Daemon.Reconciliation;
using Kcore.Daemon.Storage;
using Kcore.Gossip;
using Microsoft.Extensions.Logging;

namespace Kcore.Daemon.Dataplane.Facts;

/// <param name="Intent">Null while nothing is known that the kernel should be.</param>
internal sealed record IntendedState(DataplaneIntent? Intent);

/// <summary>
/// Joins the data plane to the catalog, both ways: what the catalog says becomes the intent, what the kernel then is
/// becomes this node's word in the catalog.
/// </summary>
internal sealed partial class DataplaneFeed(
    LocalNode self,
    string? gatewayInterface,
    Published<Underlay> underlay,
    CatalogHub catalog,
    AttachmentTable attachments,
    LeaseLoop leases,
    DeletionGate gate,
    ClusterLoop cluster,
    ClusterLedger ledger,
    DataplaneLoop kernel,
    DataplaneReports reports,
    Published<ServiceStatus> services,
    Published<HostSights> hosts,
    MeshKeys keys,
    Published<MeshStatus> mesh,
    NodeIdentity identity,
    TimeProvider time,
    ILogger logger)
{
    private static readonly TimeSpan Recheck = TimeSpan.FromSeconds(1);

    private bool _isCleared;

    /// <summary>What this node's kernel should be; null until the node is in a cluster.</summary>
    public Published<IntendedState> Intended { get; } = new(new IntendedState(null));

    /// <summary>Takes everything of this node out of the kernel, whatever the catalog says: it is about to be reset.</summary>
    public bool IsCleared
    {
        get => Volatile.Read(ref _isCleared);
        set => Volatile.Write(ref _isCleared, value);
    }

    public async Task RunAsync(CancellationToken stoppingToken)
    {
        DataplaneIntent? intended = null, last = null;
        (CatalogSnapshot, Underlay, AttachmentSet, HostSights) builtFrom = default;
        (CatalogSnapshot, Underlay, AttachmentSet, ReconcileStatus, ServiceStatus, MeshKeys.Holding, MeshStatus, long, bool, UInt128, Duty) stated = default;
        while (true)
        {
            (Underlay link, long linkRevision) = underlay.Read();
            (CatalogSnapshot facts, long factsRevision) = catalog.Current.Read();
            (AttachmentSet wanted, long wantedRevision) = attachments.Current.Read();
            (ReconcileStatus state, long stateRevision) = reports.Status.Read();
            (ServiceStatus beside, long besideRevision) = services.Read();
            (HostSights seen, long seenRevision) = hosts.Read();
            (MeshKeys.Holding key, long keyRevision) = keys.Current.Read();
            (MeshStatus secret, long secretRevision) = mesh.Read();
            long refusalRevision = leases.RefusalsChanged.Read().Revision;

            // Before the node is in a cluster it does not know what it should be; what is in the kernel stays.
            // A node that was removed keeps it, too: its guests may be running. One that left has none, and takes all away.
            ClusterPhase phase = cluster.State.Current.Phase;
            bool empties = IsCleared || phase == ClusterPhase.Left;
            if (empties || phase == ClusterPhase.Member)
            {
                DataplaneIntent intent;
                string? heldBack = gate.HeldBack(facts.Gossip.Members);
                if (empties)
                {
                    intent = IntentBuilder.Nothing(self, link, gatewayInterface);
                    last = null;
                }
                else if (last is not null && builtFrom == (facts, link, wanted, seen))
                {
                    intent = last = IntentBuilder.Renew(last, self, link, facts, wanted, heldBack, UnderlayWatch.MtuOf);
                }
                else
                {
                    intent = last = IntentBuilder.Build(self, link, gatewayInterface, facts, wanted, heldBack, UnderlayWatch.MtuOf, seen);
                    builtFrom = (facts, link, wanted, seen);
                }

                if (intended is null || !IntentComparison.Same(intent, intended))
                {
                    intended = intent;
                    kernel.Intend(intent);
                    Intended.Replace(new IntendedState(intent));
                }
            }

            if (!empties && phase == ClusterPhase.Member && !self.VxlanDisabled && facts.View.Networks.Values.Any(n => IntentBuilder.IsMaterialised(n) && IntentBuilder.IsEncrypted(n)))
            {
                keys.Ensure();
                key = keys.Current.Current;
            }

            // What was found to be stated already is stated as long as nothing it follows from changes.
            var basis = (facts, link, wanted, state, beside, key, secret, refusalRevision, ledger.Votes, ledger.Store, identity.Duty);
            if (empties || phase != ClusterPhase.Member)
            {
                stated = default;
            }
            else if (basis != stated)
            {
                stated = await StateAsync(link, facts, wanted, state, beside, key, secret, stoppingToken) ? basis : default;
            }

            // What did not happen must not stay registered: this comes by once a second for as long as the daemon lives.
            using CancellationTokenSource woken = CancellationTokenSource.CreateLinkedTokenSource(stoppingToken);
            await Task.WhenAny(
                underlay.ChangedSince(linkRevision, woken.Token),
                catalog.Current.ChangedSince(factsRevision, woken.Token),
                attachments.Current.ChangedSince(wantedRevision, woken.Token),
                reports.Status.ChangedSince(stateRevision, woken.Token),
                services.ChangedSince(besideRevision, woken.Token),
                hosts.ChangedSince(seenRevision, woken.Token),
                keys.Current.ChangedSince(keyRevision, woken.Token),
                mesh.ChangedSince(secretRevision, woken.Token),
                leases.RefusalsChanged.ChangedSince(refusalRevision, woken.Token),
                Task.Delay(Recheck, time, woken.Token));
            await woken.CancelAsync();
            stoppingToken.ThrowIfCancellationRequested();
        }
    }

    /// <summary>Whether nothing was left to state.</summary>
    private async Task<bool> StateAsync(Underlay link, CatalogSnapshot facts, AttachmentSet wanted, ReconcileStatus state, ServiceStatus beside, MeshKeys.Holding key, MeshStatus secret, CancellationToken token)
    {
        // Until the kernel was looked at once, nothing is known that would be worth taking back what we stated before.
        if (ReferenceEquals(state, ReconcileStatus.None))
        {
            return false;
        }

        ImmutableArray<LocalWrite> writes = OwnFacts.Difference(self, link, facts, wanted, state, leases.RefusalOf, ledger.Votes, ledger.Store, beside, identity.Duty != Duty.Serving, ledger.DivergedAt,
            key.Key?.Public, key.Failure is { } failure ? secret with { IsUp = false, Failure = failure } : secret);
        if (writes.IsEmpty)
        {
            return true;
        }

        try
        {
            await cluster.PutAsync(writes, token);
        }
        catch (Exception e) when (e is InvalidOperationException or StorageException)
        {
            Log.NotStated(logger, e.Message);
        }

        return false;
    }

    private static partial class Log
    {
        [LoggerMessage(1401, LogLevel.Debug, "Own facts not stated yet: {Cause}")]
        public static partial void NotStated(ILogger logger, string cause);
    }
}

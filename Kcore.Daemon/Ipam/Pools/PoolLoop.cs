using Kcore.Daemon.Catalog;
using Kcore.Daemon.Catalog.Facts;
using Kcore.Daemon.Catalog.Naming;
using Kcore.Daemon.Catalog.View;
using Kcore.Daemon.Cluster;
using Kcore.Daemon.Ipam.Ledger;
using Microsoft.Extensions.Logging;

namespace Kcore.Daemon.Ipam.Pools;

/// <summary>
/// On the leader: gives every overlay of the catalog its address pool, takes back the pools of overlays that were
/// deleted, and gives every node with a WireGuard key its address in the mesh. Driven by what is, so a network made in a minority gets its pool when a quorum sees it.
/// </summary>
internal sealed partial class PoolLoop(ClusterLedger ledger, CatalogHub catalog, ProposalClient proposals, TimeProvider time, ILogger logger)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan Recheck = TimeSpan.FromSeconds(1);

    private readonly Dictionary<UInt128, string> _refused = [];
    private int _poolsWhenRefused;

    public async Task RunAsync(CancellationToken stoppingToken)
    {
        while (true)
        {
            (CatalogSnapshot now, long revision) = catalog.Current.Read();
            if (ledger.Leads)
            {
                if (now.View.Pools.Count != _poolsWhenRefused)
                {
                    // What stood in the way may be gone.
                    _refused.Clear();
                    _poolsWhenRefused = now.View.Pools.Count;
                }

                foreach (ReplicatedCommand command in Due(now.View, _refused))
                {
                    await ProposeAsync(command, stoppingToken);
                }
            }

            // What did not happen must not stay registered: this comes by once a second for as long as the daemon lives.
            using CancellationTokenSource woken = CancellationTokenSource.CreateLinkedTokenSource(stoppingToken);
            await Task.WhenAny(catalog.Current.ChangedSince(revision, woken.Token), Task.Delay(Recheck, time, woken.Token));
            await woken.CancelAsync();
            stoppingToken.ThrowIfCancellationRequested();
        }
    }

    /// <summary>What the log should be told, given the catalog. Deletions first, so that a name or VNI is free for its successor.</summary>
    internal static IEnumerable<ReplicatedCommand> Due(CatalogView view, IReadOnlyDictionary<UInt128, string> refused)
    {
        foreach (PoolFact pool in view.Pools.Values.OrderBy(p => p.Network))
        {
            // Never on absence: a catalog that is still arriving lacks networks that exist. Only a claim that says
            // "deleted", or that the name belongs to a later creation, is evidence.
            bool deleted = view.Verdicts.Any(v =>
                v.Home is null && string.Equals(v.Name, pool.Name, StringComparison.OrdinalIgnoreCase) && (v.Spec is null || v.Uid != pool.Network));
            if (deleted && !view.Leases.Values.Any(l => l.Network == pool.Network))
            {
                yield return new ReplicatedCommand.DeletePool(new NetworkUid(Uid.ToGuid(pool.Network)));
            }
        }

        foreach (ReplicatedCommand.JoinMesh join in MeshDue(view))
        {
            yield return join;
        }

        foreach (Network network in view.Networks.Values)
        {
            if (network.Spec.Type == NetworkType.Vxlan && network.Conflict is null && !view.Pools.ContainsKey(network.Uid) && !refused.ContainsKey(network.Uid))
            {
                yield return new ReplicatedCommand.CreatePool(
                    new NetworkUid(Uid.ToGuid(network.Uid)),
                    network.Name,
                    DerivedNames.Vni(network.Name),
                    network.Spec.Subnet,
                    network.Spec.Gateway,
                    [.. network.Spec.Excluded.Addresses()],
                    network.Spec.Reuse,
                    network.Spec.EmergencyReserve);
            }
        }
    }

    /// <summary>Nodes that have made a key take part in the mesh; they need an address in it.</summary>
    private static IEnumerable<ReplicatedCommand.JoinMesh> MeshDue(CatalogView view) => view.Nodes
        .Where(n => n.Value.Wireguard is not null && !view.Mesh.ContainsKey(n.Key) && view.Admissions.Any(a => a.Node == n.Key))
        .OrderBy(n => n.Key)
        .Select(n => new ReplicatedCommand.JoinMesh(Uid.ToGuid(n.Key.Value)));

    private async Task ProposeAsync(ReplicatedCommand command, CancellationToken token)
    {
        try
        {
            ReplicatedResult result = await proposals.ProposeAsync(command, Patience, token);
            if (result is ReplicatedResult.Refused refused && command is ReplicatedCommand.CreatePool create)
            {
                _refused[Uid.FromGuid(create.Network.Value)] = refused.Text;
                Log.Refused(logger, create.Name, refused.Text);
            }
        }
        catch (RefusedException e)
        {
            Log.Waiting(logger, e.Problem.Message);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1220, LogLevel.Error, "Network {Network} gets no address pool: {Cause}")]
        public static partial void Refused(ILogger logger, string network, string cause);

        [LoggerMessage(1221, LogLevel.Warning, "Pools wait: {Cause}")]
        public static partial void Waiting(ILogger logger, string cause);
    }
}

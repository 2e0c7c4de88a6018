using System.Collections.Immutable;
using System.Globalization;
using System.Net;
using Kcore.Contracts;
using Kcore.Daemon.Catalog.Facts;
using Kcore.Daemon.Catalog.Naming;
using Kcore.Daemon.Catalog.Validation;
using Kcore.Daemon.Catalog.View;
using Kcore.Daemon.Cluster;
using Kcore.Daemon.Cluster.Founding;
using Kcore.Daemon.Storage.Events;
using Kcore.Gossip;

namespace Kcore.Daemon.Catalog.Networks;

/// <summary>
/// Creates and deletes networks: a claim in this node's own origin, so it works in any minority. Everything is checked
/// before anything is written (behaviour 107).
/// </summary>
internal sealed partial class NetworkService(ClusterLoop cluster, CatalogHub catalog, LocalNode self, HostDevices devices, EventLog events) : IDisposable
{
    /// <summary>The nat network every node has of its own.</summary>
    public const string DefaultName = "default";

    // Two creates of one name through this node must not overwrite each other's claim.
    private readonly SemaphoreSlim _turn = new(1, 1);

    public async Task<ChangeReceipt> CreateAsync(CreateNetworkRequest request, CancellationToken token)
    {
        (string name, NetworkSpec spec) = NetworkRequest.Check(request);
        await _turn.WaitAsync(token);
        try
        {
            CatalogSnapshot now = catalog.Current.Current;
            NodeId? target = Target(spec.TargetNode, now);
            NodeId? home = spec.Type == NetworkType.Vxlan ? null : target ?? self.Id;
            if (home is null && target is { } asked && now.View.Nodes.TryGetValue(asked, out NodeFact? fact) && fact.VxlanDisabled)
            {
                throw VxlanDisabled(fact.Name, asked);
            }

            spec = spec with { TargetNode = null };
            string place = home is { } node ? now.NameOf(node) : self.Name;
            if (Existing(name, home, spec, now.View))
            {
                return new ChangeReceipt("unchanged", "Network", name, place);
            }

            if (home is null)
            {
                CheckOverlay(name, spec, now);
            }
            else
            {
                LocalPlace.Check(name, spec, home.Value, now);
            }

            if (home is null || home == self.Id)
            {
                CheckHost(spec);
            }

            await ClaimAsync(name, home, Uid.NewRandom(), spec, null, now.View, token);
            events.Add("NetworkCreated", $"network '{name}' created", (home ?? self.Id).ToString(), name, ("type", spec.TypeName), ("cidr", spec.Subnet.ToString()));
            return new ChangeReceipt("created", "Network", name, place);
        }
        finally
        {
            _turn.Release();
        }
    }

    public async Task<ChangeReceipt> DeleteAsync(string? requested, string? targetNode, CancellationToken token)
    {
        string name = ObjectName.Check(requested, "network");
        if (string.Equals(name, DefaultName, StringComparison.OrdinalIgnoreCase))
        {
            throw new RefusedException(ErrorCode.InvalidArgument, "network 'default' cannot be deleted: every node has its own");
        }

        await _turn.WaitAsync(token);
        try
        {
            CatalogSnapshot now = catalog.Current.Current;
            Network network = Meant(name, Target(targetNode, now), now);
            ImmutableArray<string> users = UsersOf(network, now);
            if (!users.IsEmpty)
            {
                throw new RefusedException(
                    ErrorCode.FailedPrecondition,
                    $"network '{name}' is in use by {users.Length} NIC{(users.Length == 1 ? "" : "s")}",
                    users,
                    $"kctl detach nic NAME --network {name}, on the node of the NIC");
            }

            await ClaimAsync(network.Name, network.Home, network.Uid, null, network.Created, now.View, token);
            events.Add("NetworkDeleted", $"network '{name}' deleted", (network.Home ?? self.Id).ToString(), name);
            return new ChangeReceipt("deleted", "Network", network.Name, network.Home is { } home ? now.NameOf(home) : self.Name);
        }
        finally
        {
            _turn.Release();
        }
    }

    public void Dispose() => _turn.Dispose();

    private static ImmutableArray<string> UsersOf(Network network, CatalogSnapshot now) =>
    [
        .. now.View.NicsOf(network.Uid).Concat(now.View.Arriving.Values.Where(n => n.Fact.Network == network.Uid)).Select(n => $"NIC {n.Fact.Name} on node {now.NameOf(n.Node)}")
            .Concat(now.View.Leases.Values.Where(l => l.Network == network.Uid).Select(l => l.Orphaned
                ? $"orphaned {l.Address} of NIC {l.NicName}: kctl network release-orphans {network.Name}"
                : $"NIC {l.NicName} on node {now.NameOf(l.Node)}"))
            .Distinct(StringComparer.Ordinal)
            .Order(StringComparer.Ordinal),
    ];

    /// <summary>The one network a deletion names (A8, behaviours 95 and 96).</summary>
    private Network Meant(string name, NodeId? target, CatalogSnapshot now)
    {
        ImmutableArray<Network> copies = now.View.Copies(name, self.Id);
        if (target is not { } node)
        {
            return copies is [var only] ? only : throw new RefusedException(
                ErrorCode.FailedPrecondition,
                $"{copies.Length} nodes have a network '{name}' of their own: say which with --target-node",
                [.. copies.Select(n => $"{n.Spec.TypeName} {n.Spec.Subnet} on node {(n.Home is { } home ? now.NameOf(home) : "all")}")],
                $"kctl delete network {name} --target-node NODE");
        }

        return copies.FirstOrDefault(n => n.Home == node) ?? throw (copies.Any(n => n.Home is null)
            ? new RefusedException(
                ErrorCode.FailedPrecondition,
                $"network '{name}' is one overlay on all nodes; it cannot be taken from a single node",
                next: $"kctl delete network {name} deletes it everywhere")
            : new RefusedException(ErrorCode.NotFound, $"network '{name}' is not on node {now.NameOf(node)}", next: $"kctl describe network {name}"));
    }

    /// <summary>True when exactly this network exists already.</summary>
    private static bool Existing(string name, NodeId? home, NetworkSpec spec, CatalogView view)
    {
        foreach (Network existing in view.AllNetworks.Where(n => string.Equals(n.Name, name, StringComparison.OrdinalIgnoreCase)))
        {
            if (!string.Equals(existing.Name, name, StringComparison.Ordinal))
            {
                throw new RefusedException(ErrorCode.InvalidArgument, $"network '{name}' differs only in case from network '{existing.Name}'");
            }

            // Two nodes may each have a network of one name; an overlay is on all of them.
            if (home is not null && existing.Home is not null && home != existing.Home)
            {
                continue;
            }

            ImmutableArray<string> differences = spec.DifferencesFrom(existing.Spec);
            return differences.IsEmpty ? true : throw new RefusedException(
                ErrorCode.InvalidArgument,
                $"network '{name}' exists with another specification, and its fields are immutable",
                differences,
                $"delete it first: kctl delete network {name}");
        }

        return false;
    }

    private static NodeId? Target(string? target, CatalogSnapshot now) => string.IsNullOrWhiteSpace(target)
        ? null
        : now.FindNode(target.Trim()) ?? throw new RefusedException(ErrorCode.NotFound, $"node '{target.Trim()}' is not known", next: "kctl get nodes");

    private static RefusedException VxlanDisabled(string name, NodeId id) => new(
        ErrorCode.FailedPrecondition,
        $"VXLAN is disabled on node {name} ({id})",
        next: "run the command on another node, or remove /etc/kcore/disable-vxlan and --disable-vxlan there and restart kcored");

    private void CheckOverlay(string name, NetworkSpec spec, CatalogSnapshot now)
    {
        if (self.VxlanDisabled)
        {
            throw VxlanDisabled(self.Name, self.Id);
        }

        uint vni = DerivedNames.Vni(name);
        Network? sameVni = now.View.Networks.Values.FirstOrDefault(n => DerivedNames.Vni(n.Name) == vni);
        if (sameVni is not null)
        {
            throw new RefusedException(
                ErrorCode.AlreadyExists,
                string.Create(CultureInfo.InvariantCulture, $"network '{name}' would get VNI {vni}, which network '{sameVni.Name}' has"),
                [$"the VNI follows from the name; '{name}' and '{sameVni.Name}' have the same one"],
                "choose another name");
        }

        // It will be on every node, beside what that node has of its own.
        Network? overlapping = now.View.AllNetworks.FirstOrDefault(n =>
            n.Spec.Type != NetworkType.Bridge
            && !(n.Home is { } home && now.View.Nodes.TryGetValue(home, out NodeFact? fact) && fact.VxlanDisabled)
            && HostSubnets.Overlap(n.Spec.Subnet, spec.Subnet));
        if (overlapping is not null)
        {
            string where = overlapping.Home is { } home ? $" of node {now.NameOf(home)}" : "";
            throw LocalPlace.Overlaps(spec.Subnet, $"network '{overlapping.Name}'{where}", overlapping.Spec.Subnet);
        }

        LocalPlace.CheckTunnels(spec.Subnet, now);
    }

    /// <summary>What only the host itself knows: its devices and addresses.</summary>
    private void CheckHost(NetworkSpec spec)
    {
        devices.Check(spec);
        if (spec.Type == NetworkType.Bridge)
        {
            return;
        }

        var host = HostSubnets.Read();
        foreach ((string device, _, IPNetwork subnet) in host)
        {
            if (HostSubnets.Overlap(subnet, spec.Subnet))
            {
                throw LocalPlace.Overlaps(spec.Subnet, $"this host's {device}", subnet);
            }
        }

        if (spec.ExternalIp is { } external && !external.Equals(IPAddress.Any) && !host.Any(h => h.Address.Equals(external)))
        {
            throw new RefusedException(
                ErrorCode.InvalidArgument,
                $"external-ip {external} is not an address of node {self.Name}",
                [.. host.Select(h => $"{h.Device}: {h.Address}")],
                "leave --external-ip out, or give an address of this node or 0.0.0.0");
        }
    }

    /// <param name="created">Null when this claim is the creation.</param>
    private async Task ClaimAsync(string name, NodeId? home, UInt128 uid, NetworkSpec? spec, ClaimStamp? created, CatalogView view, CancellationToken token)
    {
        ulong counter = view.ClaimCounter + 1;
        ClaimFact claim = Claims.Stamped(new ClaimFact(name, uid, created ?? default, default, spec) { Home = home }, counter, self.Id);
        ClaimStamp stamp = claim.Stamp;
        try
        {
            await cluster.PutAsync([new LocalWrite(FactKeys.Claim(name, home), (ushort)FactKind.Claim, FactCodec.Encode(claim))], token);
        }
        catch (InvalidOperationException)
        {
            throw new RefusedException(ErrorCode.Unavailable, "this node is in no cluster yet", next: "kctl status");
        }

        // Whoever asked finds what it made, on this node, as soon as it has its answer.
        await catalog.Current.WhenAsync(
            s => s.View.Verdicts.Any(v => v.Home == home && string.Equals(v.Name, name, StringComparison.OrdinalIgnoreCase) && v.Stamp.CompareTo(stamp) >= 0), token);
    }
}

using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Globalization;
using System.Net;
using System.Security.Cryptography;
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
internal sealed class NetworkService(ClusterLoop cluster, CatalogHub catalog, LocalNode self, EventLog events) : IDisposable
{
    // Two creates of one name through this node must not overwrite each other's claim.
    private readonly SemaphoreSlim _turn = new(1, 1);

    public async Task<ChangeReceipt> CreateAsync(CreateNetworkRequest request, CancellationToken token)
    {
        (string name, NetworkSpec spec) = NetworkRequest.Check(request);
        await _turn.WaitAsync(token);
        try
        {
            CatalogSnapshot now = catalog.Current.Current;
            CheckTarget(spec.TargetNode, now);
            spec = spec with { TargetNode = null };
            if (Existing(name, spec, now.View))
            {
                return new ChangeReceipt("unchanged", "Network", name, self.Name);
            }

            CheckPlace(name, spec, now);
            await ClaimAsync(name, Uid.NewRandom(), spec, now.View, token);
            events.Add("NetworkCreated", $"network '{name}' created", self.Id.ToString(), name, ("type", spec.TypeName), ("cidr", spec.Subnet.ToString()));
            return new ChangeReceipt("created", "Network", name, self.Name);
        }
        finally
        {
            _turn.Release();
        }
    }

    public async Task<ChangeReceipt> DeleteAsync(string? requested, string? targetNode, CancellationToken token)
    {
        string name = ObjectName.Check(requested, "network");
        if (string.Equals(name, "default", StringComparison.OrdinalIgnoreCase))
        {
            throw new RefusedException(ErrorCode.InvalidArgument, "network 'default' cannot be deleted: every node has its own");
        }

        await _turn.WaitAsync(token);
        try
        {
            CatalogSnapshot now = catalog.Current.Current;
            Network network = now.View.Find(name);
            if (!string.IsNullOrWhiteSpace(targetNode))
            {
                CheckTarget(targetNode.Trim(), now);
                throw new RefusedException(
                    ErrorCode.FailedPrecondition,
                    $"network '{name}' is one overlay on all nodes; it cannot be taken from a single node",
                    next: $"kctl delete network {name} deletes it everywhere");
            }

            ImmutableArray<string> users = UsersOf(network, now);
            if (!users.IsEmpty)
            {
                throw new RefusedException(
                    ErrorCode.FailedPrecondition,
                    $"network '{name}' is in use by {users.Length} NIC{(users.Length == 1 ? "" : "s")}",
                    users,
                    $"kctl detach nic NAME --network {name}, on the node of the NIC");
            }

            await ClaimAsync(network.Name, network.Uid, null, now.View, token);
            events.Add("NetworkDeleted", $"network '{name}' deleted", self.Id.ToString(), name);
            return new ChangeReceipt("deleted", "Network", network.Name, self.Name);
        }
        finally
        {
            _turn.Release();
        }
    }

    public void Dispose() => _turn.Dispose();

    private static ImmutableArray<string> UsersOf(Network network, CatalogSnapshot now) =>
    [
        .. now.View.NicsOf(network.Uid).Select(n => $"NIC {n.Fact.Name} on node {now.NameOf(n.Node)}")
            .Concat(now.View.Leases.Values.Where(l => l.Network == network.Uid).Select(l => $"NIC {l.NicName} on node {now.NameOf(l.Node)}"))
            .Distinct(StringComparer.Ordinal)
            .Order(StringComparer.Ordinal),
    ];

    /// <summary>True when exactly this network exists already.</summary>
    private static bool Existing(string name, NetworkSpec spec, CatalogView view)
    {
        Network? existing = view.Networks.Values.FirstOrDefault(n => string.Equals(n.Name, name, StringComparison.OrdinalIgnoreCase));
        if (existing is null)
        {
            return false;
        }

        if (!string.Equals(existing.Name, name, StringComparison.Ordinal))
        {
            throw new RefusedException(ErrorCode.InvalidArgument, $"network '{name}' differs only in case from network '{existing.Name}'");
        }

        ImmutableArray<string> differences = spec.DifferencesFrom(existing.Spec);
        return differences.IsEmpty ? true : throw new RefusedException(
                ErrorCode.InvalidArgument,
                $"network '{name}' exists with another specification, and its fields are immutable",
                differences,
                $"delete it first: kctl delete network {name}");
    }

    private static void CheckTarget(string? target, CatalogSnapshot now)
    {
        if (target is null)
        {
            return;
        }

        NodeId id = now.FindNode(target) ?? throw new RefusedException(ErrorCode.NotFound, $"node '{target}' is not known", next: "kctl get nodes");
        if (now.View.Nodes.TryGetValue(id, out NodeFact? fact) && fact.VxlanDisabled)
        {
            throw VxlanDisabled(fact.Name, id);
        }
    }

    private static RefusedException VxlanDisabled(string name, NodeId id) => new(
        ErrorCode.FailedPrecondition,
        $"VXLAN is disabled on node {name} ({id})",
        next: "run the command on another node, or remove /etc/kcore/disable-vxlan and --disable-vxlan there and restart kcored");

    private void CheckPlace(string name, NetworkSpec spec, CatalogSnapshot now)
    {
        if (spec.Type != NetworkType.Vxlan)
        {
            throw new RefusedException(
                ErrorCode.FailedPrecondition, $"this version of Kcore makes networks of type vxlan only, not {spec.TypeName}", next: "--type vxlan");
        }

        if (self.VxlanDisabled)
        {
            throw VxlanDisabled(self.Name, self.Id);
        }

        uint vni = DerivedNames.Vni(name);
        Network? sameVni = now.View.Networks.Values.FirstOrDefault(n => n.Spec.Type == NetworkType.Vxlan && DerivedNames.Vni(n.Name) == vni);
        if (sameVni is not null)
        {
            throw new RefusedException(
                ErrorCode.AlreadyExists,
                string.Create(CultureInfo.InvariantCulture, $"network '{name}' would get VNI {vni}, which network '{sameVni.Name}' has"),
                [$"the VNI follows from the name; '{name}' and '{sameVni.Name}' have the same one"],
                "choose another name");
        }

        Network? overlapping = now.View.Networks.Values.FirstOrDefault(n => HostSubnets.Overlap(n.Spec.Subnet, spec.Subnet));
        if (overlapping is not null)
        {
            throw Overlaps(spec.Subnet, $"network '{overlapping.Name}'", overlapping.Spec.Subnet);
        }

        var host = HostSubnets.Read();
        foreach ((string device, _, IPNetwork subnet) in host)
        {
            if (HostSubnets.Overlap(subnet, spec.Subnet))
            {
                throw Overlaps(spec.Subnet, $"this host's {device}", subnet);
            }
        }

        foreach (NodeFact node in now.View.Nodes.Values.OrderBy(n => n.Name, StringComparer.Ordinal))
        {
            if (spec.Subnet.Contains(node.Vtep))
            {
                throw Overlaps(spec.Subnet, $"the tunnel address of node {node.Name}", new IPNetwork(node.Vtep, 32));
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

    private static RefusedException Overlaps(IPNetwork wanted, string other, IPNetwork taken) => new(
        ErrorCode.FailedPrecondition, $"subnet {wanted} overlaps {taken} of {other}", next: "choose another --gateway-ip or --internal-netmask");

    private async Task ClaimAsync(string name, UInt128 uid, NetworkSpec? spec, CatalogView view, CancellationToken token)
    {
        ulong counter = view.ClaimCounter + 1;
        var claim = new ClaimFact(name, uid, default, new ClaimStamp(counter, self.Id, 0), spec);
        var stamp = new ClaimStamp(counter, self.Id, BinaryPrimitives.ReadUInt64BigEndian(SHA256.HashData(FactCodec.Encode(claim).Span)));
        ClaimStamp created = spec is null ? view.Networks[name].Created : stamp;
        claim = claim with { Stamp = stamp, Created = created };
        try
        {
            await cluster.PutAsync([new LocalWrite(FactKeys.Claim(name), (ushort)FactKind.Claim, FactCodec.Encode(claim))], token);
        }
        catch (InvalidOperationException)
        {
            throw new RefusedException(ErrorCode.Unavailable, "this node is in no cluster yet", next: "kctl status");
        }

        // Whoever asked finds what it made, on this node, as soon as it has its answer.
        await catalog.Current.WhenAsync(
            s => s.View.Verdicts.Any(v => string.Equals(v.Name, name, StringComparison.OrdinalIgnoreCase) && v.Stamp.CompareTo(stamp) >= 0), token);
    }
}

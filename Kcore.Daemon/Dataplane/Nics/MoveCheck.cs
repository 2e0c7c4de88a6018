using Kcore.Contracts;
using Kcore.Daemon.Catalog;
using Kcore.Daemon.Catalog.Facts;
using Kcore.Daemon.Catalog.Naming;
using Kcore.Daemon.Catalog.View;
using Kcore.Gossip;

namespace Kcore.Daemon.Dataplane.Nics;

/// <summary>A NIC that may move.</summary>
/// <param name="Network">The network on the node it goes to.</param>
/// <param name="Lease">Null on a bridge network.</param>
internal sealed record Movable(HostedNic Nic, NodeId To, Network Network, LeaseFact? Lease);

/// <summary>Whether a NIC can move to a node, as far as the catalog says: every refusal says why and what helps. Pure.</summary>
internal static class MoveCheck
{
    /// <summary>The NIC that is meant, with its network. On this node first: several nodes may have one of the same name on bridges of the same name.</summary>
    /// <exception cref="RefusedException">NotFound; FailedPrecondition when several are meant.</exception>
    public static HostedNic Find(string name, string network, CatalogSnapshot now, NodeId self)
    {
        HostedNic[] found =
        [
            .. now.View.Copies(network, self).SelectMany(n => now.View.NicsOf(n.Uid)).Where(n => n.Fact.Name == name).OrderBy(n => n.Node == self ? 0 : 1).ThenBy(n => n.Node),
        ];
        return found switch
        {
            [] => throw new RefusedException(ErrorCode.NotFound, $"NIC '{name}' does not exist on network '{network}'", next: "kctl get nics"),
            [var only] => only,
            [var here, ..] when here.Node == self => here,
            _ => throw new RefusedException(
                ErrorCode.FailedPrecondition,
                $"several nodes have a NIC '{name}' on their network '{network}'",
                [.. found.Select(n => $"node {now.NameOf(n.Node)}")],
                "run the command on the node of the NIC that is meant"),
        };
    }

    public static NodeId FindNode(string? nameOrId, CatalogSnapshot now) =>
        string.IsNullOrWhiteSpace(nameOrId) ? throw new RefusedException(ErrorCode.InvalidArgument, "to is required: the node the NIC goes to", next: "add --to NODE; kctl get nodes lists them")
        : now.FindNode(nameOrId.Trim()) ?? throw new RefusedException(ErrorCode.NotFound, $"node '{nameOrId.Trim()}' does not exist", next: "kctl get nodes");

    /// <param name="nic">Where it is.</param>
    /// <param name="to">Another node.</param>
    /// <param name="leadsIntoNamespace">On the node it goes to.</param>
    /// <param name="force">The guest is known not to run where it was.</param>
    /// <param name="now">All that is known.</param>
    /// <exception cref="RefusedException">It cannot.</exception>
    public static Movable Check(HostedNic nic, NodeId to, bool leadsIntoNamespace, bool force, CatalogSnapshot now)
    {
        Network here = now.View.NetworksByUid[nic.Fact.Network];
        if (here.Spec.Type == NetworkType.Nat)
        {
            throw Precondition(
                $"network '{here.Name}' is of type nat: its subnet is that of node {now.NameOf(nic.Node)} alone, and the address of NIC '{nic.Fact.Name}' means nothing elsewhere",
                "detach the NIC there and attach it anew where it shall be; NICs of vxlan and bridge networks can move");
        }

        if (here.Conflict is { } conflict)
        {
            throw Precondition($"network '{here.Name}' is in conflict: {conflict}", $"kctl describe network {here.Name}");
        }

        CheckTarget(here, to, now);
        if (!force)
        {
            CheckSource(nic, now);
        }

        if (nic.Fact.Netns is not null && !leadsIntoNamespace)
        {
            throw new RefusedException(
                ErrorCode.InvalidArgument, $"NIC '{nic.Fact.Name}' leads into {nic.Fact.Netns}; name the namespace on node {now.NameOf(to)}", next: "add --netns NETNS [--ifname NAME]");
        }

        return here.Home is null ? Leased(nic, to, here, now) : Bridged(nic, to, here, now);
    }

    /// <summary>Of a node that is silent nobody can say whether its guests run.</summary>
    public static void CheckSource(HostedNic nic, CatalogSnapshot now)
    {
        if (now.Gossip.Members.Find(nic.Node) is not { Status: MemberStatus.Alive } member)
        {
            string name = now.NameOf(nic.Node);
            throw new RefusedException(
                ErrorCode.FailedPrecondition,
                $"node {name}, which has NIC '{nic.Fact.Name}', is not heard: the guest may be running there",
                [$"node {name}: {StatusOf(now.Gossip.Members.Find(nic.Node))}"],
                $"make sure that it does not (power {name} off), then repeat with --force");
        }
    }

    /// <summary>That the node is there to take the NIC.</summary>
    public static void CheckPresence(NodeId to, CatalogSnapshot now)
    {
        Member? member = now.Gossip.Members.Find(to);
        if (member is not { Status: MemberStatus.Alive } || !now.View.Nodes.ContainsKey(to))
        {
            throw new RefusedException(
                ErrorCode.Unavailable, $"node {now.NameOf(to)} is not heard: it cannot take the NIC", [$"node {now.NameOf(to)}: {StatusOf(member)}"], "kctl get nodes; bring it back, or choose another with --to");
        }
    }

    private static void CheckTarget(Network network, NodeId to, CatalogSnapshot now)
    {
        CheckPresence(to, now);
        NodeFact node = now.View.Nodes[to];
        if (node.Drained)
        {
            throw Precondition($"node {node.Name} is drained and takes no NICs", $"choose another with --to, or on it: kctl node drain --undo");
        }

        if (network.Home is null && node.VxlanDisabled)
        {
            throw Precondition($"VXLAN is disabled on node {node.Name} ({to}); network '{network.Name}' is not there", "choose another node with --to");
        }
    }

    private static Movable Leased(HostedNic nic, NodeId to, Network network, CatalogSnapshot now)
    {
        if (!now.View.Leases.TryGetValue(nic.Fact.AttachmentId, out LeaseFact? lease))
        {
            throw Precondition(
                $"the address of NIC '{nic.Fact.Name}' is not a lease of the cluster's log: {(nic.Fact.Address is null ? "it has none yet" : "it is from the emergency reserve of its node, or older than a recovery")}",
                "kctl get nics; it moves once the log has it");
        }

        if (lease.Orphaned)
        {
            throw Precondition(
                $"{lease.Address} of NIC '{nic.Fact.Name}' is orphaned: no node knows the NIC",
                $"attach it again on node {now.NameOf(lease.Node)} under its name, which brings the address back; or kctl network release-orphans {network.Name}");
        }

        (NodeId _, ParticipationFact? part) = now.View.ParticipantsOf(network.Uid).FirstOrDefault(p => p.Node == to);
        return part is { State: ObjectState.Ready } ? new Movable(nic, to, network, lease) : throw Precondition(
            $"network '{network.Name}' is not ready on node {now.NameOf(to)}{(part?.Reason is { } reason ? $": {reason}" : "")}",
            $"kctl describe network {network.Name}");
    }

    private static Movable Bridged(HostedNic nic, NodeId to, Network here, CatalogSnapshot now)
    {
        string target = now.NameOf(to);
        Network there = now.View.LocalNetworks.FirstOrDefault(n => n.Home == to && n.Name == here.Name)
            ?? throw Precondition($"network '{here.Name}' is not on node {target}", $"kctl create network {here.Name} --type bridge …, on node {target}: a bridge to the same physical network");
        if (there.Spec.Type != NetworkType.Bridge || there.Conflict is not null)
        {
            throw Precondition(
                $"network '{here.Name}' is of type {there.Spec.TypeName} on node {target}{(there.Conflict is { } conflict ? $", and in conflict: {conflict}" : "")}", $"kctl describe network {here.Name}");
        }

        if (there.Spec.VlanId != here.Spec.VlanId)
        {
            throw Precondition($"network '{here.Name}' has VLAN {here.Spec.VlanId} on node {now.NameOf(nic.Node)} and {there.Spec.VlanId} on node {target}: the guest would come to another network", $"kctl describe network {here.Name}");
        }

        HostedNic? rival = now.View.NicsOf(there.Uid).FirstOrDefault(n => n.Fact.Name == nic.Fact.Name || n.Fact.Mac.Equals(nic.Fact.Mac));
        return rival is null ? new Movable(nic, to, there, null) : throw new RefusedException(
            ErrorCode.AlreadyExists,
            $"node {target} has NIC '{rival.Fact.Name}' with MAC {DerivedNames.MacText(rival.Fact.Mac)} on network '{here.Name}'",
            next: $"kctl detach nic {rival.Fact.Name} --network {here.Name}, on node {target}");
    }

    private static string StatusOf(Member? member) => member is null ? "unknown" : member.Status.ToString();

    private static RefusedException Precondition(string message, string next) => new(ErrorCode.FailedPrecondition, message, next: next);
}

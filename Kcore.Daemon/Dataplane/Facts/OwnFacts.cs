using System.Collections.Immutable;
using Kcore.Daemon.Catalog;
using Kcore.Daemon.Catalog.Facts;
using Kcore.Daemon.Catalog.View;
using Kcore.Daemon.Cluster.Addressing;
using Kcore.Daemon.Dataplane.Desired;
using Kcore.Daemon.Dataplane.Mesh;
using Kcore.Daemon.Ipam.Attachments;
using Kcore.Gossip;

namespace Kcore.Daemon.Dataplane.Facts;

/// <summary>
/// What this node should state about itself in the catalog, and the writes that lead there: compared with what it states
/// now, so that a restart, which changes nothing, writes nothing.
/// </summary>
internal static class OwnFacts
{
    public static ImmutableArray<LocalWrite> Difference(
        LocalNode self,
        Underlay underlay,
        CatalogSnapshot catalog,
        AttachmentSet attachments,
        ReconcileStatus kernel,
        Func<UInt128, LeaseRefusal?> refusalOf,
        bool votes,
        UInt128 store,
        ServiceStatus? services = null,
        bool drained = false,
        ulong divergedAt = 0,
        WireguardKey? key = null,
        MeshStatus? mesh = null)
    {
        Dictionary<string, LocalWrite> wanted = Wanted(self, underlay, catalog, attachments, kernel, refusalOf, votes, store, services ?? ServiceStatus.None, drained, divergedAt, key, mesh ?? MeshStatus.None);
        ImmutableArray<LocalWrite>.Builder writes = ImmutableArray.CreateBuilder<LocalWrite>();
        foreach (CatalogEntry entry in catalog.Gossip.Entries.Where(e => e.Origin == self.Id))
        {
            if ((FactKind)entry.Kind is not (FactKind.Node or FactKind.Participation or FactKind.Nic))
            {
                continue;
            }

            if (!wanted.Remove(entry.Key, out LocalWrite? write))
            {
                writes.Add(LocalWrite.Remove(entry.Key, entry.Kind));
            }
            else if (!write.Value.Span.SequenceEqual(entry.Value.Span))
            {
                writes.Add(write);
            }
        }

        writes.AddRange(wanted.Values.OrderBy(w => w.Key, StringComparer.Ordinal));
        return writes.DrainToImmutable();
    }

    private static Dictionary<string, LocalWrite> Wanted(
        LocalNode self,
        Underlay underlay,
        CatalogSnapshot catalog,
        AttachmentSet attachments,
        ReconcileStatus kernel,
        Func<UInt128, LeaseRefusal?> refusalOf,
        bool votes,
        UInt128 store,
        ServiceStatus services,
        bool drained,
        ulong divergedAt,
        WireguardKey? key,
        MeshStatus mesh)
    {
        var wanted = new Dictionary<string, LocalWrite>(StringComparer.Ordinal);
        Add(FactKeys.Node, FactKind.Node, FactCodec.Encode(new NodeFact(
            self.Name, underlay.Advertised.Address, self.VxlanDisabled, self.Version, underlay.Mtu, underlay.Advertised.Interface, votes, store, drained, divergedAt)
        {
            Wireguard = key is null ? null : new WireguardEndpoint(key, MeshIntent.Port),
        }));
        foreach (Network network in catalog.View.AllNetworks.Where(n =>
            n.Home is null ? !self.VxlanDisabled && IntentBuilder.IsMaterialised(n) : LocalIntents.IsHere(n, self)))
        {
            (ObjectState state, string? reason) = IntentBuilder.IsEncrypted(network)
                ? StateOf(network, self.Id, catalog, kernel, mesh)
                : StateOf(network, kernel, services);
            Add(FactKeys.Participation(network.Uid), FactKind.Participation, FactCodec.Encode(new ParticipationFact(network.Uid, state, reason)));
        }

        foreach (AttachmentRecord record in attachments.Wanted)
        {
            (ObjectState state, string? reason) = StateOf(record, catalog, kernel, refusalOf(record.Id));

            // What is only prepared here says nothing against the node that has the NIC.
            ulong lease = record.PreparedFor is null && catalog.View.Leases.TryGetValue(record.Id, out LeaseFact? fact) ? fact.Index : 0;
            Add(FactKeys.Nic(record.Id), FactKind.Nic, FactCodec.Encode(new NicFact(
                record.Id, record.Network, record.Name, record.Mac, record.Address, lease, record.Device, record.Netns, record.Ifname, state, reason)
            {
                AllowSpoofing = record.AllowSpoofing,
            }));
        }

        return wanted;

        void Add(string key, FactKind kind, ReadOnlyMemory<byte> value) => wanted[key] = new LocalWrite(key, (ushort)kind, value);
    }

    public static (ObjectState State, string? Reason) StateOf(Network network, ReconcileStatus kernel, ServiceStatus? services = null)
    {
        if (!kernel.Networks.TryGetValue(network.Name, out NetworkHealth? health))
        {
            return (ObjectState.Pending, null);
        }

        if (health.Failure is { } failure)
        {
            return (ObjectState.Failed, Shortened(failure));
        }

        if (network.Spec.Type != NetworkType.Nat)
        {
            return (ObjectState.Ready, null);
        }

        return (services ?? ServiceStatus.None).Dhcp.TryGetValue(network.Name, out DhcpHealth? dhcp)
            ? dhcp.Failure is { } reason ? (ObjectState.Failed, Shortened(reason)) : (ObjectState.Ready, null)
            : (ObjectState.Pending, "the DHCP server is being started");
    }

    /// <summary>An encrypted overlay is as good as the mesh: nothing of it goes any other way.</summary>
    public static (ObjectState State, string? Reason) StateOf(Network network, NodeId self, CatalogSnapshot catalog, ReconcileStatus kernel, MeshStatus mesh)
    {
        // Nobody has looked at the mesh since the start: what was said of it before is the best there is.
        if (ReferenceEquals(mesh, MeshStatus.None)
            && catalog.View.ParticipantsOf(network.Uid).FirstOrDefault(p => p.Node == self).Fact is { } stated)
        {
            return (stated.State, stated.Reason);
        }

        if (!catalog.View.Mesh.ContainsKey(self))
        {
            return (ObjectState.Pending, mesh.Failure is { } none ? Shortened(none) : "waits for an address in the encrypted mesh, which the cluster's log gives");
        }

        (ObjectState state, string? reason) = StateOf(network, kernel);
        if (state != ObjectState.Ready)
        {
            return (state, reason);
        }

        if (!mesh.IsUp)
        {
            return mesh.Failure is { } failure ? (ObjectState.Failed, Shortened(failure)) : (ObjectState.Pending, "the WireGuard device is being made");
        }

        string[] without = [.. IntentBuilder.WithoutKey(network, self, catalog)];
        return (ObjectState.Ready, without.Length == 0 ? null : Shortened($"not yet reached, for want of a WireGuard key: {string.Join(", ", without)}"));
    }

    public static (ObjectState State, string? Reason) StateOf(
        AttachmentRecord record, CatalogSnapshot catalog, ReconcileStatus kernel, LeaseRefusal? refusal)
    {
        if (!catalog.View.NetworksByUid.TryGetValue(record.Network, out Network? network))
        {
            return (ObjectState.Failed, $"network '{record.NetworkName}' was deleted");
        }

        if (network.Conflict is { } conflict)
        {
            return (ObjectState.Failed, conflict);
        }

        if (refusal is not null)
        {
            return (ObjectState.Failed, Shortened(refusal.Text));
        }

        if (record.Address is null && network.Spec.Type != NetworkType.Bridge)
        {
            return (ObjectState.PendingAddress, null);
        }

        if (!kernel.Networks.TryGetValue(network.Name, out NetworkHealth? health)
            || !health.Nics.TryGetValue(record.Name, out NicHealth? nic)
            || nic.AttachmentId != record.Key)
        {
            return (ObjectState.Pending, null);
        }

        return nic.Failure is { } failure ? (ObjectState.Failed, Shortened(failure))
            : MoveRules.IsArriving(record, catalog.View, catalog.Gossip.Members.Self) ? (ObjectState.Prepared, null)
            : (ObjectState.Ready, record.Grant is null ? null : "its address is from the emergency reserve; the cluster's log is told when there is a quorum");
    }

    private static string Shortened(string text) => text.Length <= 160 ? text : text[..160];
}

using System.Collections.Immutable;
using System.Net;
using Kcore.Contracts;
using Kcore.Daemon.Catalog;
using Kcore.Daemon.Catalog.Facts;
using Kcore.Daemon.Catalog.Naming;
using Kcore.Daemon.Catalog.Networks;
using Kcore.Daemon.Catalog.View;
using Kcore.Gossip;

namespace Kcore.Daemon.Api;

/// <summary>The addresses of a network and who has them, from the local replica.</summary>
internal static class AddressReports
{
    // Other nodes state the addresses of nat networks; they may be of any family.
    private static readonly Comparer<byte[]> ByLengthThenBytes = Comparer<byte[]>.Create((a, b) =>
        a.Length != b.Length ? a.Length.CompareTo(b.Length) : a.AsSpan().SequenceCompareTo(b));

    /// <summary>Whether its addresses are given by the cluster's log.</summary>
    /// <exception cref="RefusedException">InvalidArgument without a name, NotFound.</exception>
    public static bool IsTheLogs(string? networkName, CatalogSnapshot now, NodeId self) => Named(networkName, now, self).Spec.Type == NetworkType.Vxlan;

    /// <exception cref="RefusedException">
    /// InvalidArgument without a name, NotFound, FailedPrecondition for networks whose addresses Kcore does not give,
    /// Unavailable until the pool of an overlay is committed.
    /// </exception>
    public static NetworkAddresses Report(string? networkName, CatalogSnapshot now, NodeId self)
    {
        Network network = Named(networkName, now, self);
        if (network.Conflict is { } conflict)
        {
            throw new RefusedException(ErrorCode.FailedPrecondition, $"network '{network.Name}' is in conflict: {conflict}", next: $"kctl describe network {network.Name}");
        }

        return network.Spec.Type switch
        {
            NetworkType.Vxlan => Overlay(network, now),
            NetworkType.Nat => Local(network, now),
            _ => throw new RefusedException(
                ErrorCode.FailedPrecondition, $"guests of the {network.Spec.TypeName} network '{network.Name}' get their addresses from the uplink's network, not from Kcore"),
        };
    }

    private static Network Named(string? name, CatalogSnapshot now, NodeId self) => string.IsNullOrWhiteSpace(name)
        ? throw new RefusedException(ErrorCode.InvalidArgument, "network is required", next: "kctl get ips --network NETWORK")
        : now.View.Copies(name.Trim(), self)[0];

    private static NetworkAddresses Overlay(Network network, CatalogSnapshot now)
    {
        if (!now.View.Pools.TryGetValue(network.Uid, out PoolFact? pool))
        {
            throw new RefusedException(
                ErrorCode.Unavailable, $"network '{network.Name}' has no addresses yet: its pool waits for a quorum of the voters", next: "kctl status");
        }

        LeaseFact[] leases = [.. now.View.Leases.Values.Where(l => l.Network == network.Uid)];
        return Report(
            network,
            new PoolUsage(pool.Size, pool.Used, pool.Free, pool.Next?.ToString(), pool.Resting, pool.Parked),
            leases.Select(l => (l.Address, new AddressLease(
                l.Address.ToString(),
                l.NicName,
                now.NameOf(l.Node),
                l.Node.ToString(),
                DerivedNames.MacText(l.Mac),
                l.Orphaned ? "orphaned" : "held",
                FactKeys.Hex(l.AttachmentId))))) with
        {
            AddressReuse = NetworkSpec.NameOf(network.Spec.Reuse),
            Orphaned = leases.Count(l => l.Orphaned),
            EmergencyReserve = network.Spec.EmergencyReserve,
            Parked = [.. Parked(network, now)],
        };
    }

    private static IEnumerable<ParkedLease> Parked(Network network, CatalogSnapshot now)
    {
        ILookup<(NodeId, IPAddress), string> used = now.View.NicsOf(network.Uid)
            .Where(n => n.Fact.Address is not null)
            .ToLookup(n => (n.Node, n.Fact.Address!), n => n.Fact.Name);
        foreach (ParkedFact parked in now.View.Parked.Where(p => p.Network == network.Uid).OrderBy(p => p.Address.GetAddressBytes(), ByLengthThenBytes))
        {
            string? nic = used[(parked.Node, parked.Address)].FirstOrDefault();
            yield return new ParkedLease(parked.Address.ToString(), now.NameOf(parked.Node), parked.Node.ToString(), nic is null ? "parked" : "used", nic);
        }
    }

    /// <summary>A nat network has no pool: its node gives the addresses and states them with the NICs.</summary>
    private static NetworkAddresses Local(Network network, CatalogSnapshot now)
    {
        var range = GuestRange.Of(network.Spec);
        NetworkAddresses addresses = Report(
            network,
            LocalUsage(network, now),
            now.View.NicsOf(network.Uid).Where(n => n.Fact.Address is not null).Select(n => (n.Fact.Address!, new AddressLease(
                n.Fact.Address!.ToString(),
                n.Fact.Name,
                now.NameOf(n.Node),
                n.Node.ToString(),
                DerivedNames.MacText(n.Fact.Mac),
                IsMember(n.Node, now) ? "held" : "orphaned",
                FactKeys.Hex(n.Fact.AttachmentId)))));
        return addresses with { DhcpRange = $"{range.First} - {range.Last}", Orphaned = addresses.Leases.Count(l => l.State == "orphaned") };
    }

    /// <summary>How full the range of a nat network is, counted from the NICs its node states.</summary>
    internal static PoolUsage LocalUsage(Network network, CatalogSnapshot now)
    {
        var range = GuestRange.Of(network.Spec);
        HashSet<IPAddress> taken = [.. now.View.NicsOf(network.Uid).Select(n => n.Fact.Address).OfType<IPAddress>().Where(range.Contains)];
        return new PoolUsage(range.Size, taken.Count, range.Size - taken.Count, range.Free(taken)?.ToString());
    }

    private static NetworkAddresses Report(Network network, PoolUsage usage, IEnumerable<(IPAddress Address, AddressLease Lease)> leases) => new()
    {
        Network = network.Name,
        Type = network.Spec.TypeName,
        Subnet = network.Spec.Subnet.ToString(),
        Size = usage.Size,
        Used = usage.Used,
        Free = usage.Free,
        Resting = usage.Resting,
        Next = usage.Next,
        Reserved = [.. Reserved(network.Spec)],
        Leases = [.. leases.OrderBy(l => l.Address.GetAddressBytes(), ByLengthThenBytes).ThenBy(l => l.Lease.AttachmentId, StringComparer.Ordinal).Select(l => l.Lease)],
    };

    /// <summary>The gateway stands by itself, also where it lies among the excluded.</summary>
    private static IEnumerable<ReservedRange> Reserved(NetworkSpec spec)
    {
        uint gateway = AddressRange.ToNumber(spec.Gateway);
        return spec.Excluded.Ranges
            .Select(r => (Range: r, Reason: "excluded"))
            .Append((Range: new AddressRange(gateway, gateway), Reason: "gateway"))
            .OrderBy(r => r.Range.First)
            .ThenBy(r => r.Range.Last)
            .Select(r => new ReservedRange(r.Range.FirstText, r.Range.LastText, r.Reason));
    }

    /// <summary>Dead and suspected members may come back and hold what they hold; those that left or were forgotten do not.</summary>
    private static bool IsMember(NodeId node, CatalogSnapshot now) => now.Gossip.Members.Find(node) is { Status: not MemberStatus.Left };
}

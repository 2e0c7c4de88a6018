using System.Collections.Immutable;
using System.Net;
using System.Net.NetworkInformation;
using Kcore.Daemon.Dataplane.Desired;
using Kcore.Daemon.Dataplane.Observed;

namespace Kcore.Daemon.Dataplane.Plan;

/// <summary>Compares what lies on the devices: port flags, addresses, forwarding entries, neighbours.</summary>
internal sealed class EntryComparison
{
    private readonly DesiredState _desired;
    private readonly NetworkState _seen;
    private readonly ImmutableArray<AddressRoute> _lostRoutes;
    private readonly LinkComparison _links;
    private readonly IReadOnlySet<string> _settled;

    public EntryComparison(DesiredState desired, ObservedState observed, LinkComparison links)
    {
        _desired = desired;
        _seen = observed.Owned;
        _lostRoutes = observed.LostRoutes;
        _settled = observed.Settled;
        _links = links;
        ComparePorts();
        CompareAddresses();
        CompareNeighbours();
        CompareForwarding();
    }

    public List<DataplaneStep> TunnelPorts { get; } = [];

    public List<DataplaneStep> NicPorts { get; } = [];

    public List<DataplaneStep> Addresses { get; } = [];

    public List<DataplaneStep> Routes { get; } = [];

    public List<DataplaneStep> Flood { get; } = [];

    public List<DataplaneStep> RemoteMacs { get; } = [];

    public List<DataplaneStep> NicMacs { get; } = [];

    public List<DataplaneStep> Neighbours { get; } = [];

    public List<DataplaneStep> GoneNeighbours { get; } = [];

    public List<DataplaneStep> GoneEntries { get; } = [];

    public List<DataplaneStep> GoneAddresses { get; } = [];

    /// <summary>What was seen on a device counts unless the device is made anew.</summary>
    private bool Stays(string device) => !_links.IsMade(device);

    private bool StaysPort(string device) => Stays(device) && !_links.IsMoved(device);

    private void ComparePorts()
    {
        Dictionary<string, PortFlags> seen = _seen.Ports.Where(p => StaysPort(p.Device)).ToDictionary(p => p.Device, StringComparer.Ordinal);
        foreach (Wanted<PortFlags> wanted in _desired.Ports.Where(w => _links.IsWorkedOn(w.Origin)))
        {
            PortFlags? old = seen.GetValueOrDefault(wanted.Value.Device);
            if (!wanted.Value.Equals(old))
            {
                (wanted.Origin.Nic is null ? TunnelPorts : NicPorts).Add(new DataplaneStep.SetPort(old, wanted.Value, wanted.Origin));
            }
        }
    }

    private void CompareAddresses()
    {
        HashSet<InterfaceAddress> seen = [.. _seen.Addresses.Where(a => Stays(a.Device))];
        HashSet<InterfaceAddress> wanted = [.. _desired.Addresses.Select(w => w.Value)];
        Addresses.AddRange(_desired.Addresses
            .Where(w => _links.IsWorkedOn(w.Origin) && !seen.Contains(w.Value))
            .Select(w => new DataplaneStep.AddAddress(w.Value, w.Origin)));
        if (!_lostRoutes.IsEmpty)
        {
            Dictionary<InterfaceAddress, Origin> origins = _desired.Addresses.DistinctBy(w => w.Value).ToDictionary(w => w.Value, w => w.Origin);
            Routes.AddRange(_lostRoutes
                .Where(r => seen.Contains(r.Address) && origins.TryGetValue(r.Address, out Origin? origin) && _links.IsWorkedOn(origin))
                .Select(r => new DataplaneStep.AddRoute(r, origins[r.Address])));
        }

        GoneAddresses.AddRange(seen
            .Where(a => !wanted.Contains(a) && !_links.IsGoing(a.Device))
            .OrderBy(a => a.Device, StringComparer.Ordinal).ThenBy(a => a.Local.ToString(), StringComparer.Ordinal)
            .Select(a => new DataplaneStep.DeleteAddress(a, Gone("it is not the gateway of a network"))));
    }

    private void CompareNeighbours()
    {
        HashSet<Neighbour> seen = [.. _seen.Neighbours.Where(n => Stays(n.Device))];
        Dictionary<(string, IPAddress), PhysicalAddress> old = [];
        foreach (Neighbour neighbour in seen)
        {
            old[(neighbour.Device, neighbour.Address)] = neighbour.Mac;
        }

        HashSet<(string, IPAddress)> wanted = [.. _desired.Neighbours.Select(w => (w.Value.Device, w.Value.Address))];
        Neighbours.AddRange(_desired.Neighbours
            .Where(w => _links.IsWorkedOn(w.Origin) && !seen.Contains(w.Value))
            .Select(w => new DataplaneStep.SetNeighbour(w.Value, old.GetValueOrDefault((w.Value.Device, w.Value.Address)), w.Origin)));
        GoneNeighbours.AddRange(seen
            .Where(n => !wanted.Contains((n.Device, n.Address)) && !_links.IsGoing(n.Device))
            .OrderBy(n => n.Device, StringComparer.Ordinal).ThenBy(n => n.Address.ToString(), StringComparer.Ordinal)
            .Select(n => new DataplaneStep.DeleteNeighbour(n, Gone("no NIC has this address"))));
    }

    private void CompareForwarding()
    {
        Dictionary<string, string?> bridgeOf = _seen.Links.ToDictionary(l => l.Name, l => l.MasterName, StringComparer.Ordinal);
        foreach (Wanted<Link> link in _desired.Links)
        {
            bridgeOf[link.Value.Name] = link.Value.MasterName;
        }

        HashSet<TunnelEntry> seenTunnel = [.. _seen.TunnelEntries.Where(e => !_settled.Contains(e.Device) && Stays(e.Device))];
        Dictionary<(string, PhysicalAddress), BridgeEntryKind> seenBridge = [];
        foreach (BridgeEntry entry in _seen.BridgeEntries.Where(e => !_settled.Contains(e.Port) && StaysPort(e.Port)))
        {
            seenBridge[(entry.Port, entry.Mac)] = entry.Kind;
        }

        // Where a physical network is behind a port, who is there is learnt.
        HashSet<string> learning = [.. _desired.Ports.Where(p => p.Value.Learning).Select(p => p.Value.Device)];
        AddWanted(seenTunnel, seenBridge);

        HashSet<TunnelEntry> wantedTunnel = [.. _desired.TunnelEntries.Where(w => !_settled.Contains(w.Value.Device)).Select(w => w.Value)];
        HashSet<(string, PhysicalAddress)> wantedUnicast =
            [.. wantedTunnel.Where(e => !e.IsFlood).Select(e => (e.Device, e.Mac))];
        HashSet<(string?, PhysicalAddress)> wantedOnBridge =
            [.. _desired.BridgeEntries.Where(w => !_settled.Contains(w.Value.Port)).Select(w => (bridgeOf.GetValueOrDefault(w.Value.Port), w.Value.Mac))];
        HashSet<(string, PhysicalAddress)> goneTogether = [];
        foreach (TunnelEntry entry in seenTunnel
            .Where(e => !wantedTunnel.Contains(e) && !_links.IsGoing(e.Device))
            // A MAC with another destination is replaced, not removed.
            .Where(e => e.IsFlood || !wantedUnicast.Contains((e.Device, e.Mac)))
            .OrderBy(e => e.Device, StringComparer.Ordinal)
            .ThenBy(e => e.Mac.ToString(), StringComparer.Ordinal)
            .ThenBy(e => e.Destination.ToString(), StringComparer.Ordinal))
        {
            bool together = !entry.IsFlood
                && seenBridge.TryGetValue((entry.Device, entry.Mac), out BridgeEntryKind kind)
                && kind != BridgeEntryKind.Local
                && !wantedOnBridge.Contains((bridgeOf.GetValueOrDefault(entry.Device), entry.Mac));
            if (together)
            {
                goneTogether.Add((entry.Device, entry.Mac));
            }

            GoneEntries.Add(new DataplaneStep.DeleteTunnelEntry(entry, together, Gone(entry.IsFlood
                ? "no node with this tunnel address takes part"
                : "no NIC on another node has this MAC")));
        }

        foreach (((string port, PhysicalAddress mac), BridgeEntryKind kind) in seenBridge
            .OrderBy(e => e.Key.Item1, StringComparer.Ordinal)
            .ThenBy(e => e.Key.Item2.ToString(), StringComparer.Ordinal))
        {
            // Local entries are the ports' own MACs; an entry wanted at another port is moved by the message that sets it.
            if (kind != BridgeEntryKind.Local
                && !(kind == BridgeEntryKind.Dynamic && learning.Contains(port))
                && !_links.IsGoing(port)
                && !goneTogether.Contains((port, mac))
                && !wantedOnBridge.Contains((bridgeOf.GetValueOrDefault(port), mac)))
            {
                GoneEntries.Add(new DataplaneStep.DeleteBridgeEntry(
                    new BridgeEntry(port, mac, kind), Gone("no NIC of the network has this MAC")));
            }
        }
    }

    private void AddWanted(HashSet<TunnelEntry> seenTunnel, Dictionary<(string, PhysicalAddress), BridgeEntryKind> seenBridge)
    {
        Dictionary<(string, PhysicalAddress), IPAddress> destinations = [];
        foreach (TunnelEntry entry in seenTunnel.Where(e => !e.IsFlood))
        {
            destinations[(entry.Device, entry.Mac)] = entry.Destination;
        }

        HashSet<string> tunnels = new(StringComparer.Ordinal);
        foreach (Wanted<TunnelEntry> wanted in _desired.TunnelEntries)
        {
            TunnelEntry entry = wanted.Value;
            if (_settled.Contains(entry.Device))
            {
                continue;
            }

            tunnels.Add(entry.Device);
            if (!_links.IsWorkedOn(wanted.Origin))
            {
                continue;
            }

            if (entry.IsFlood)
            {
                if (!seenTunnel.Contains(entry))
                {
                    Flood.Add(new DataplaneStep.AddFlood(entry, wanted.Origin));
                }
            }
            else
            {
                IPAddress? old = destinations.GetValueOrDefault((entry.Device, entry.Mac));
                bool onBridge = seenBridge.TryGetValue((entry.Device, entry.Mac), out BridgeEntryKind kind)
                    && kind == BridgeEntryKind.Static;
                if (!onBridge || !entry.Destination.Equals(old))
                {
                    RemoteMacs.Add(new DataplaneStep.SetRemoteMac(
                        entry, entry.Destination.Equals(old) ? null : old, wanted.Origin));
                }
            }
        }

        foreach (Wanted<BridgeEntry> wanted in _desired.BridgeEntries)
        {
            if (!_settled.Contains(wanted.Value.Port)
                && !tunnels.Contains(wanted.Value.Port)
                && _links.IsWorkedOn(wanted.Origin)
                && !(seenBridge.TryGetValue((wanted.Value.Port, wanted.Value.Mac), out BridgeEntryKind kind)
                    && kind == BridgeEntryKind.Static))
            {
                NicMacs.Add(new DataplaneStep.SetBridgeEntry(wanted.Value, wanted.Origin));
            }
        }
    }

    private static Origin Gone(string reason) => new("", null, reason);
}

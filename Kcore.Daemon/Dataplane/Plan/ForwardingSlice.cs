using System.Runtime.CompilerServices;
using Kcore.Daemon.Dataplane.Desired;
using Kcore.Daemon.Dataplane.Observed;

namespace Kcore.Daemon.Dataplane.Plan;

/// <summary>
/// What is wanted, by device, so that the forwarding entries of a few devices can be compared without looking at those of all: one entry
/// that is gone costs frames until it is back. Made once for a desired state. Pure.
/// </summary>
internal sealed class ForwardingSlice
{
    // Beside the object, as a copy with another value must not take it along.
    private static readonly ConditionalWeakTable<DesiredState, ForwardingSlice> _known = [];

    private readonly DesiredState _desired;
    private readonly Dictionary<string, Wanted<Link>> _links;
    private readonly ILookup<string, Wanted<PortFlags>> _ports;
    private readonly ILookup<string, Wanted<TunnelEntry>> _tunnel;
    private readonly ILookup<string, Wanted<BridgeEntry>> _bridge;

    private ForwardingSlice(DesiredState desired)
    {
        _desired = desired;
        _links = desired.Links.DistinctBy(l => l.Value.Name, StringComparer.Ordinal).ToDictionary(l => l.Value.Name, StringComparer.Ordinal);
        _ports = desired.Ports.ToLookup(p => p.Value.Device, StringComparer.Ordinal);
        _tunnel = desired.TunnelEntries.ToLookup(e => e.Value.Device, StringComparer.Ordinal);
        _bridge = desired.BridgeEntries.ToLookup(e => e.Value.Port, StringComparer.Ordinal);
    }

    /// <summary>
    /// The steps that make the entries of some devices right, when everything else is known to be right and all devices that share a
    /// bridge are among them; null when one of them is not what it should be, so that more than entries is to be compared.
    /// </summary>
    /// <param name="last">The last look at everything, which left nothing to do.</param>
    public static DataplanePlan? Plan(DesiredState desired, ObservedState last, IReadOnlyCollection<(Link Link, DeviceForwarding Entries)> looked) =>
        _known.GetValue(desired, static d => new ForwardingSlice(d)).Plan(last, looked);

    private DataplanePlan? Plan(ObservedState last, IReadOnlyCollection<(Link Link, DeviceForwarding Entries)> looked)
    {
        string[] names = [.. looked.Select(l => l.Link.Name)];
        if (looked.Any(l => !_links.TryGetValue(l.Link.Name, out Wanted<Link> wanted) || !wanted.Value.Equals(l.Link)))
        {
            return null;
        }

        DesiredState wanted = new()
        {
            Links = [.. names.Select(n => _links[n])],
            Ports = [.. names.SelectMany(n => _ports[n])],
            TunnelEntries = [.. names.SelectMany(n => _tunnel[n])],
            BridgeEntries = [.. names.SelectMany(n => _bridge[n])],
            SparedDevices = _desired.SparedDevices,
            DeletionsHeldBack = _desired.DeletionsHeldBack,
        };
        ObservedState seen = new()
        {
            Owned = new NetworkState
            {
                Links = [.. looked.Select(l => l.Link)],
                Ports = [.. wanted.Ports.Select(p => p.Value)],
                TunnelEntries = [.. looked.SelectMany(l => l.Entries.Tunnel)],
                BridgeEntries = [.. looked.SelectMany(l => l.Entries.Bridge)],
            },
            Indexes = last.Indexes,
            Guests = last.Guests,
        };
        return Planner.Plan(wanted, seen);
    }
}

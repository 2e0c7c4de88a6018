using System.Collections.Immutable;
using System.Net.NetworkInformation;
using Kcore.Netlink.Route;

namespace Kcore.Daemon.Dataplane.Observed;

/// <summary>The forwarding entries of one device of ours. While neither they nor the device change, every look gives the same object.</summary>
internal sealed record DeviceForwarding(ImmutableArray<TunnelEntry> Tunnel, ImmutableArray<BridgeEntry> Bridge);

/// <param name="Tunnel">All of them.</param>
/// <param name="Bridge">All of them.</param>
internal sealed record ForwardingState(
    ImmutableArray<TunnelEntry> Tunnel, ImmutableArray<BridgeEntry> Bridge, IReadOnlyDictionary<string, DeviceForwarding> ByDevice);

/// <summary>
/// Reads the forwarding tables, which are most of what there is to read: what the kernel tells of a device in the same bytes as last
/// time is not taken apart again.
/// </summary>
internal sealed class ForwardingReader(RouteSocket socket)
{
    /// <summary>Devices that are asked for one by one; of more, everything is read at once.</summary>
    private const int OneByOneMax = 32;

    private readonly Dictionary<int, Known> _known = [];
    private IReadOnlyDictionary<int, LinkForwarding> _read = new Dictionary<int, LinkForwarding>();

    /// <summary>What an entry means depends on the device it is on, and on whether the device's bridge is ours.</summary>
    private sealed record Known(Link Link, LinkInfo Info, int? Master, LinkForwarding Read, DeviceForwarding Meaning);

    /// <summary>Everything.</summary>
    public ForwardingState Read(Dictionary<int, LinkInfo> byIndex, Dictionary<int, Link> owned)
    {
        _read = socket.DumpForwarding(_read);
        foreach (int gone in _known.Keys.Where(i => !owned.ContainsKey(i)).ToArray())
        {
            _known.Remove(gone);
        }

        foreach ((int index, Link link) in owned)
        {
            LinkInfo info = byIndex[index];
            int? master = info.Master is { } bridge && owned.ContainsKey(bridge) ? bridge : null;
            Learn(index, link, info, master, _read.GetValueOrDefault(index, LinkForwarding.None));
        }

        return State();
    }

    /// <summary>
    /// Some devices with all that share a bridge with them, for an entry that moves is told of where it goes to only; null when these
    /// are too many, or one is not what it was at the last look at everything: a device that goes takes its entries along first.
    /// </summary>
    public ForwardingState? ReadAgain(IReadOnlyCollection<int> links) => Look(links) is null ? null : State();

    /// <summary>As <see cref="ReadAgain"/>, with nothing but the devices that were looked at.</summary>
    public IReadOnlyCollection<(Link Link, DeviceForwarding Entries)>? Look(IReadOnlyCollection<int> links)
    {
        HashSet<int> looked = [];
        foreach (int index in links)
        {
            if (!_known.TryGetValue(index, out Known? known))
            {
                return null;
            }

            looked.Add(index);
            looked.UnionWith(_known.Where(k => known.Master is { } bridge && k.Value.Master == bridge).Select(k => k.Key));
        }

        if (looked.Count > OneByOneMax)
        {
            return null;
        }

        foreach (int index in looked)
        {
            Known known = _known[index];
            if (socket.FindLink(index) is not { } info || !IsSame(info, known.Info))
            {
                return null;
            }

            Dictionary<int, LinkForwarding> last = new() { [index] = known.Read };
            Learn(index, known.Link, known.Info, known.Master, socket.DumpForwarding(last, index).GetValueOrDefault(index, LinkForwarding.None));
        }

        return [.. looked.Select(i => (_known[i].Link, _known[i].Meaning))];
    }

    private static bool IsSame(LinkInfo now, LinkInfo then) =>
        (now.Name, now.Kind, now.IsUp, now.Mtu, now.Master, now.Mac, now.Vxlan).Equals((then.Name, then.Kind, then.IsUp, then.Mtu, then.Master, then.Mac, then.Vxlan))
        && now.Group == then.Group && now.Alias == then.Alias;

    private void Learn(int index, Link link, LinkInfo info, int? master, LinkForwarding read)
    {
        if (!_known.TryGetValue(index, out Known? known)
            || !ReferenceEquals(known.Read, read) || known.Master != master || !known.Link.Equals(link) || !Equals(known.Info.Mac, info.Mac))
        {
            _known[index] = new Known(link, info, master, read, Meaning(link, info.Mac, master, read));
        }
        else
        {
            _known[index] = known with { Info = info };
        }
    }

    private ForwardingState State() => new(
        [.. _known.Values.SelectMany(k => k.Meaning.Tunnel)],
        [.. _known.Values.SelectMany(k => k.Meaning.Bridge)],
        _known.Values.ToDictionary(k => k.Link.Name, k => k.Meaning, StringComparer.Ordinal));

    private static DeviceForwarding Meaning(Link link, PhysicalAddress? own, int? master, LinkForwarding read)
    {
        ImmutableArray<TunnelEntry>.Builder tunnel = ImmutableArray.CreateBuilder<TunnelEntry>();
        ImmutableArray<BridgeEntry>.Builder bridge = ImmutableArray.CreateBuilder<BridgeEntry>();
        foreach (NeighbourInfo entry in read.Entries())
        {
            // Kernels with VLAN filtering repeat bridge entries for VLAN 1; what we set and delete is the one without.
            if (entry.Mac is not { } mac || entry.Vlan is > 0)
            {
                continue;
            }

            if (entry.Master is { } of)
            {
                if (of == master && link is not Link.Bridge && !mac.Equals(own))
                {
                    bridge.Add(new BridgeEntry(link.Name, mac,
                        entry.State.HasFlag(NeighbourState.Permanent) ? BridgeEntryKind.Local
                        : entry.State.HasFlag(NeighbourState.NoArp) ? BridgeEntryKind.Static
                        : BridgeEntryKind.Dynamic));
                }
            }
            else if (link is Link.Vxlan && entry.Destination is { } destination)
            {
                tunnel.Add(new TunnelEntry(link.Name, mac, destination));
            }
        }

        return new DeviceForwarding(tunnel.DrainToImmutable(), bridge.DrainToImmutable());
    }
}

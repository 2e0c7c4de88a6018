using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Globalization;
using System.Net.NetworkInformation;
using System.Net.Sockets;
using Kcore.Daemon.Catalog.Naming;
using Kcore.Daemon.Dataplane.Apply;
using Kcore.Daemon.Dataplane.Desired;
using Kcore.Daemon.Dataplane.Mesh;
using Kcore.Netlink;
using Kcore.Netlink.Route;

namespace Kcore.Daemon.Dataplane.Observed;

/// <summary>Kernel dumps → observed state. Reads only.</summary>
internal sealed class KernelReader(RouteSocket socket, SysctlFiles sysctls, UplinkJournal uplinks)
{
    private const string BridgeNetfilter = "net/bridge/bridge-nf-call-iptables";

    private readonly ForwardingReader _forwarding = new(socket);

    // What the last look at everything gave, for looks at some devices only.
    private (DesiredState For, ObservedState Seen)? _last;

    /// <param name="desired">Says which settings and which guests to look at, nothing else.</param>
    /// <param name="nft">Our tables, which the caller reads only when something may have changed.</param>
    /// <exception cref="NetlinkException">The kernel could not be read.</exception>
    public ObservedState Read(DesiredState desired, NftTables? nft)
    {
        IReadOnlyList<LinkInfo> links = socket.DumpLinks();
        Dictionary<int, LinkInfo> byIndex = links.ToDictionary(l => l.Index);
        Dictionary<int, Link> owned = [];
        foreach (LinkInfo info in links)
        {
            if (AsOwned(info, byIndex) is { } link)
            {
                owned[info.Index] = link;
            }
        }

        UplinkPort[] ports = [.. links.Where(l => !owned.ContainsKey(l.Index) && l.Master is { } m && owned.ContainsKey(m)).Select(l => new UplinkPort(l.Name, owned[l.Master!.Value].Name, l.IsUp))];
        LinkInfo[] ownedInfos = [.. links.Where(l => owned.ContainsKey(l.Index))];
        ForwardingState forwarding = _forwarding.Read(byIndex, owned);
        Dictionary<string, LinkInfo> byName = links.ToDictionary(l => l.Name, StringComparer.Ordinal);
        Dictionary<string, string> values = ReadSettings(desired, byName);
        ImmutableArray<(InterfaceAddress Address, int LinkIndex)> addresses = ReadAddresses(owned);
        IReadOnlyList<RouteInfo> routes = addresses.IsEmpty && desired.Uplinks.IsEmpty ? [] : ReadRoutes();
        ObservedState seen = new()
        {
            Owned = new NetworkState
            {
                Links = [.. owned.Values],
                AltNames = [.. ownedInfos.SelectMany(l => l.AltNames.Select(a => new AltName(l.Name, a)))],
                Ports = [.. links.Where(l => l.Port is not null && (owned.ContainsKey(l.Index) || owned.ContainsKey(l.Master ?? 0))).Select(l => Flags(l.Name, l.Port!))],
                Uplinks = [.. ports],
                Addresses = [.. addresses.Select(a => a.Address)],
                TunnelEntries = forwarding.Tunnel,
                BridgeEntries = forwarding.Bridge,
                Neighbours = ReadNeighbours(owned),
                Sysctls =
                [
                    .. desired.Sysctls
                        .Where(s => values.ContainsKey(s.Value.Path))
                        .DistinctBy(s => s.Value.Path, StringComparer.Ordinal)
                        .Select(s => s.Value with { Value = values[s.Value.Path] }),
                ],
                Nft = nft,
            },
            Foreign = [.. links.Where(l => !owned.ContainsKey(l.Index)).Select(l => AsForeign(l, byIndex))],
            RememberedUplinks = uplinks.Before,
            DefaultRouteDevices = desired.Uplinks.IsEmpty ? FrozenSet<string>.Empty : DefaultRoutes(routes, byIndex),
            Indexes = byName.ToFrozenDictionary(l => l.Key, l => l.Value.Index, StringComparer.Ordinal),
            // A device that is down has none, and one in a VRF has them elsewhere.
            LostRoutes = [.. AddressRoutes.Missing(addresses.Where(a => byIndex[a.LinkIndex] is { IsUp: true, Master: null }), routes)],
            Guests = desired.Guests.ToFrozenDictionary(
                g => g.Value.HostDevice,
                g => GuestReader.Read(g.Value, byName.GetValueOrDefault(g.Value.HostDevice)),
                StringComparer.Ordinal),
            AbsentSysctls = desired.Sysctls.Select(s => s.Value.Path).Where(p => !values.ContainsKey(p)).ToFrozenSet(StringComparer.Ordinal),
            RememberedSysctls = sysctls.Remembered,
            BridgedFramesPassFirewall = values.GetValueOrDefault(BridgeNetfilter) == "1",
            Advisories = [.. Advisories(ownedInfos, values)],
            Forwarding = forwarding.ByDevice,
        };
        _last = (desired, seen);
        return seen;
    }

    /// <summary>
    /// The last look at everything, with the forwarding entries of some devices looked at anew: for when nothing else can have changed.
    /// </summary>
    /// <param name="links">Indexes of the devices.</param>
    /// <exception cref="NetlinkException">The kernel could not be read.</exception>
    public ObservedState ReadAgain(DesiredState desired, NftTables? nft, IReadOnlyCollection<int> links)
    {
        if (_last is not { } last || !ReferenceEquals(last.For, desired) || _forwarding.ReadAgain(links) is not { } forwarding)
        {
            return Read(desired, nft);
        }

        ObservedState seen = last.Seen with
        {
            Owned = last.Seen.Owned with { TunnelEntries = forwarding.Tunnel, BridgeEntries = forwarding.Bridge, Nft = nft },
            Forwarding = forwarding.ByDevice,
        };
        _last = (desired, seen);
        return seen;
    }

    /// <summary>
    /// The entries of some devices and of those that share a bridge with them, and the last look at everything; null when only another look
    /// at everything can tell.
    /// </summary>
    /// <exception cref="NetlinkException">The kernel could not be read.</exception>
    public (ObservedState Last, IReadOnlyCollection<(Link Link, DeviceForwarding Entries)> Looked)? Look(DesiredState desired, IReadOnlyCollection<int> links) =>
        _last is { } last && ReferenceEquals(last.For, desired) && _forwarding.Look(links) is { } looked ? (last.Seen, looked) : null;

    /// <summary>Those of devices came with the links; opening a file for each would take longer than everything else.</summary>
    private Dictionary<string, string> ReadSettings(DesiredState desired, Dictionary<string, LinkInfo> byName)
    {
        Dictionary<string, string> told = new(StringComparer.Ordinal);
        List<string> files = [BridgeNetfilter];
        foreach (Wanted<Sysctl> wanted in desired.Sysctls)
        {
            Sysctl setting = wanted.Value;
            if (setting.Device is { } device && byName.TryGetValue(device, out LinkInfo? link) && Told(setting, link.Settings) is { } value)
            {
                told[setting.Path] = value.ToString(CultureInfo.InvariantCulture);
            }
            else
            {
                files.Add(setting.Path);
            }
        }

        foreach ((string path, string value) in sysctls.Read(files.Distinct(StringComparer.Ordinal).ToArray()))
        {
            told[path] = value;
        }

        return told;
    }

    private static int? Told(Sysctl setting, LinkSettings of) => setting.Path[(setting.Path.LastIndexOf('/') + 1)..] switch
    {
        "rp_filter" => of.ReversePathFilter,
        "arp_ignore" => of.ArpIgnore,
        "accept_ra" => of.AcceptRouterAdvertisements,
        "disable_ipv6" => of.DisableIpv6,
        _ => null,
    };

    /// <summary>Ours by the group that the creation message set, the kind, and for shared kinds of device the name.</summary>
    private static Link? AsOwned(LinkInfo info, Dictionary<int, LinkInfo> byIndex)
    {
        if (info.Group != KcoreMark.LinkGroup)
        {
            return null;
        }

        string? master = info.Master is { } index && byIndex.TryGetValue(index, out LinkInfo? bridge) ? bridge.Name : null;
        PhysicalAddress mac = info.Mac ?? PhysicalAddress.None;
        return info.Kind switch
        {
            "bridge" when info.Name.StartsWith("kb", StringComparison.Ordinal) =>
                new Link.Bridge(info.Name, info.Mtu, info.IsUp, info.Alias, mac),
            "vxlan" when info.Name.StartsWith(DerivedNames.TunnelNames, StringComparison.Ordinal) && info.Vxlan is { } v =>
                new Link.Vxlan(info.Name, info.Mtu, info.IsUp, info.Alias, mac, v.Vni, v.Port, v.Local, v.Learning, master),
            "vlan" when info.Vlan is { } v => new Link.Vlan(
                info.Name, info.Mtu, info.IsUp, info.Alias,
                info.LinkedIndex is { } parent && byIndex.TryGetValue(parent, out LinkInfo? carrier) ? carrier.Name : null, v.Id, master),
            "tun" when info.Name != MeshIntent.Device => new Link.Tap(info.Name, info.Mtu, info.IsUp, info.Alias, master),
            "veth" => new Link.Veth(info.Name, info.Mtu, info.IsUp, info.Alias, master),
            _ => null,
        };
    }

    private IReadOnlyList<RouteInfo> ReadRoutes() =>
        [.. socket.DumpRoutes(AddressFamily.InterNetwork, RouteSpec.MainTable), .. socket.DumpRoutes(AddressFamily.InterNetwork, RouteSpec.LocalTable)];

    private static FrozenSet<string> DefaultRoutes(IReadOnlyList<RouteInfo> routes, Dictionary<int, LinkInfo> byIndex) => routes
        .Where(r => r is { IsDefault: true, Table: RouteSpec.MainTable })
        .SelectMany(r => r.NextHops.Select(h => (int?)h.LinkIndex).Append(r.LinkIndex))
        .Where(i => i is not null && byIndex.ContainsKey(i.Value))
        .Select(i => byIndex[i!.Value].Name)
        .ToFrozenSet(StringComparer.Ordinal);

    private static ForeignLink AsForeign(LinkInfo info, Dictionary<int, LinkInfo> byIndex) => new(
        info.Name,
        info.Kind ?? "",
        info.Vxlan is { CollectMetadata: false } vxlan ? vxlan.Vni : null,
        info.Vxlan?.Port,
        info is { Kind: "tun", Group: 0, Master: null },
        info.AltNames)
    {
        Up = info.IsUp,
        Master = info.Master is { } master && byIndex.TryGetValue(master, out LinkInfo? of) ? of.Name : null,
    };

    private static PortFlags Flags(string device, BridgePortInfo port) => new(
        device, port.Learning, port.Locked, port.NeighbourSuppress, port.Isolated,
        port is { UnicastFlood: true, MulticastFlood: true, BroadcastFlood: true });

    private ImmutableArray<(InterfaceAddress Address, int LinkIndex)> ReadAddresses(Dictionary<int, Link> owned) =>
    [
        .. socket.DumpAddresses()
            .Where(a => a.Protocol == KcoreMark.Protocol && owned.ContainsKey(a.LinkIndex))
            .Select(a => (new InterfaceAddress(owned[a.LinkIndex].Name, a.Address, a.PrefixLength), a.LinkIndex)),
    ];

    private ImmutableArray<Neighbour> ReadNeighbours(Dictionary<int, Link> owned) =>
    [
        .. socket.DumpNeighbours(AddressFamily.InterNetwork).Concat(socket.DumpNeighbours(AddressFamily.InterNetworkV6))
            .Where(n => n.Protocol == KcoreMark.Protocol && n.State.HasFlag(NeighbourState.Permanent)
                && n is { Mac: not null, Destination: not null } && owned.ContainsKey(n.LinkIndex))
            .Select(n => new Neighbour(owned[n.LinkIndex].Name, n.Destination!, n.Mac!)),
    ];

    private static IEnumerable<string> Advisories(LinkInfo[] owned, Dictionary<string, string> values)
    {
        if (owned.Length > 0 && values.GetValueOrDefault(BridgeNetfilter) == "1")
        {
            yield return "bridged frames pass the host's firewall (net.bridge.bridge-nf-call-iptables is 1): "
                + "a foreign drop rule in forward also drops traffic between guests";
        }

        foreach (LinkInfo link in owned)
        {
            if (link.Bridge is { Stp: true } or { ForwardDelay: > 0 })
            {
                yield return $"{link.Name} has spanning tree or a forward delay, which somebody switched on: guests may wait 30 s for the network";
            }

            if (link.Bridge is { MulticastSnooping: true })
            {
                yield return $"{link.Name} has multicast snooping, which somebody switched on: IPv6 neighbour discovery may stop";
            }
        }
    }
}

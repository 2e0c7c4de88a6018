using System.Collections.Frozen;
using System.Net;
using System.Net.NetworkInformation;
using Kcore.Daemon.Dataplane;
using Kcore.Daemon.Dataplane.Desired;
using Kcore.Daemon.Dataplane.Observed;
using Kcore.Daemon.Dataplane.Plan;
using Kcore.Netlink.Route;

namespace Kcore.Daemon.Tests.Dataplane;

/// <summary>
/// As much of the kernel as the planner relies on: devices take their entries with them, a bridge lets go of its
/// ports, a port that changes its bridge starts anew, REPLACE replaces, APPEND appends, and nothing is done to a
/// device that is not there.
/// </summary>
internal sealed class ModelKernel
{
    private readonly Dictionary<string, Link> _links = [];
    private readonly Dictionary<string, int> _indexes = [];
    private readonly HashSet<AltName> _altNames = [];
    private readonly Dictionary<string, PortFlags> _ports = [];
    private readonly HashSet<InterfaceAddress> _addresses = [];
    private readonly HashSet<AddressRoute> _lostRoutes = [];
    private readonly HashSet<TunnelEntry> _tunnel = [];
    private readonly Dictionary<(string Bridge, PhysicalAddress Mac), BridgeEntry> _bridge = [];
    private readonly Dictionary<(string, IPAddress), Neighbour> _neighbours = [];
    private readonly Dictionary<string, Sysctl> _sysctls = [];
    private readonly Dictionary<string, string> _remembered = [];
    private readonly Dictionary<string, bool> _uplinks = [];
    private readonly Dictionary<string, (GuestInterface Guest, GuestView.Interface View)> _guests = [];
    private NftTables? _nft;
    private int _nextIndex = 10;

    public ModelKernel() => _sysctls["net/ipv4/ip_forward"] = new Sysctl("net/ipv4/ip_forward", "0", null);

    /// <summary>The network cards of the host, one of them down, and what tests add.</summary>
    public List<ForeignLink> Foreign { get; } =
    [
        new("eth0", "", null, null, false, []) { Up = true },
        new("eth1", "", null, null, false, []) { Up = true },
        new("eth2", "", null, null, false, []),
    ];

    public HashSet<string> DefaultRouteDevices { get; } = [];

    public HashSet<string> MissingNamespaces { get; } = [];

    public IReadOnlyDictionary<string, Link> Links => _links;

    public NetworkState State => new()
    {
        Links = [.. _links.Values],
        AltNames = [.. _altNames],
        Ports = [.. _ports.Values],
        Addresses = [.. _addresses],
        Uplinks = [.. Foreign.Where(f => f.Master is { } m && _links.ContainsKey(m)).Select(f => new UplinkPort(f.Name, f.Master!, f.Up))],
        TunnelEntries = [.. _tunnel],
        BridgeEntries = [.. _bridge.Values],
        Neighbours = [.. _neighbours.Values],
        Sysctls = [.. _sysctls.Values],
        Nft = _nft,
    };

    public ObservedState Observe(DesiredState desired)
    {
        Dictionary<string, int> indexes = new(_indexes);
        foreach (ForeignLink foreign in Foreign)
        {
            indexes[foreign.Name] = 1000 + indexes.Count;
        }

        return new ObservedState
        {
            Owned = State,
            Foreign = [.. Foreign],
            Indexes = indexes.ToFrozenDictionary(),
            LostRoutes = [.. _lostRoutes],
            RememberedSysctls = _remembered.ToFrozenDictionary(),
            RememberedUplinks = _uplinks.ToFrozenDictionary(),
            DefaultRouteDevices = DefaultRouteDevices.ToFrozenSet(),
            Guests = desired.Guests.ToFrozenDictionary(
                g => g.Value.HostDevice,
                g => MissingNamespaces.Contains(g.Value.NamespacePath) ? new GuestView.NamespaceMissing("no namespace")
                    : _guests.TryGetValue(g.Value.HostDevice, out var known)
                        && known.Guest.Name == g.Value.Name && known.Guest.NamespacePath == g.Value.NamespacePath ? known.View
                    : (GuestView)new GuestView.NoInterface(NameTaken: false)),
        };
    }

    public void Apply(DataplaneStep step)
    {
        switch (step)
        {
            case DataplaneStep.WriteSysctl s:
                if (s.Sysctl.Device is null)
                {
                    _remembered.TryAdd(s.Sysctl.Path, _sysctls[s.Sysctl.Path].Value);
                }
                else
                {
                    Require(s.Sysctl.Device);
                }

                _sysctls[s.Sysctl.Path] = s.Sysctl;
                break;
            case DataplaneStep.RestoreSysctl s:
                _sysctls[s.Path] = new Sysctl(s.Path, s.Value, null);
                _remembered.Remove(s.Path);
                break;
            case DataplaneStep.ReplaceNft s:
                _nft = s.Tables;
                break;
            case DataplaneStep.CreateLink s:
                Assert.False(_links.ContainsKey(s.Link.Name) || Foreign.Exists(f => f.Name == s.Link.Name), $"EEXIST {s.Link.Name}");
                if (s.Link.MasterName is { } master)
                {
                    Require(master);
                }

                _links[s.Link.Name] = s.Link;
                _indexes[s.Link.Name] = _nextIndex++;
                if (s.Link.MasterName is not null)
                {
                    _ports[s.Link.Name] = new PortFlags(s.Link.Name, Learning: true, Locked: false, NeighSuppress: false);
                }

                if (s.Guest is { } guest)
                {
                    Assert.DoesNotContain(guest.NamespacePath, MissingNamespaces);
                    _guests[s.Link.Name] = (guest, new GuestView.Interface(guest.Mac, guest.Mtu, false, false, [], []));
                }

                break;
            case DataplaneStep.ChangeLink s:
                Change(s);
                break;
            case DataplaneStep.DeleteLink s:
                Require(s.Link.Name, s.Index);
                Remove(s.Link.Name);
                break;
            case DataplaneStep.Enslave s:
                Require(s.Port.Bridge);
                LeaveBridge(s.Device);
                ChangeForeign(s.Device, f =>
                {
                    _uplinks.TryAdd(s.Device, f.Up);
                    return f with { Master = s.Port.Bridge, Up = true };
                });
                _ports[s.Device] = new PortFlags(s.Device, Learning: true, Locked: false, NeighSuppress: false);
                break;
            case DataplaneStep.ReleaseUplink s:
                if (s.Index is not null)
                {
                    LeaveBridge(s.Name);
                    ChangeForeign(s.Name, f => f with { Master = s.Port ? null : f.Master, Up = f.Up && !s.Lower });
                }

                Assert.True(_uplinks.Remove(s.Name));
                break;
            case DataplaneStep.AddAltName s:
                Require(s.AltName.Device);
                _altNames.Add(s.AltName);
                break;
            case DataplaneStep.SetPort s:
                Assert.NotNull(Foreign.Find(f => f.Name == s.To.Device)?.Master ?? Require(s.To.Device).MasterName);
                _ports[s.To.Device] = s.To;
                break;
            case DataplaneStep.AddAddress s:
                Require(s.Address.Device);
                _addresses.Add(s.Address);
                break;
            case DataplaneStep.AddRoute s:
                Require(s.Device);
                Assert.Contains(s.Route.Address, _addresses);
                Assert.True(_lostRoutes.Remove(s.Route), "EEXIST");
                break;
            case DataplaneStep.DeleteAddress s:
                Assert.True(_addresses.Remove(s.Address));
                _lostRoutes.RemoveWhere(r => r.Address == s.Address);
                break;
            case DataplaneStep.AddFlood s:
                Require(s.Entry.Device);
                _tunnel.Add(s.Entry);
                break;
            case DataplaneStep.SetRemoteMac s:
                _tunnel.RemoveWhere(e => e.Device == s.Entry.Device && e.Mac.Equals(s.Entry.Mac));
                _tunnel.Add(s.Entry);
                SetOnBridge(new BridgeEntry(s.Entry.Device, s.Entry.Mac, BridgeEntryKind.Static));
                break;
            case DataplaneStep.DeleteTunnelEntry s:
                Assert.True(_tunnel.Remove(s.Entry));
                if (s.AlsoFromBridge)
                {
                    DeleteOnBridge(s.Entry.Device, s.Entry.Mac);
                }

                break;
            case DataplaneStep.SetBridgeEntry s:
                SetOnBridge(s.Entry);
                break;
            case DataplaneStep.DeleteBridgeEntry s:
                DeleteOnBridge(s.Entry.Port, s.Entry.Mac);
                break;
            case DataplaneStep.SetNeighbour s:
                Require(s.Neighbour.Device);
                _neighbours[(s.Neighbour.Device, s.Neighbour.Address)] = s.Neighbour;
                break;
            case DataplaneStep.DeleteNeighbour s:
                Assert.True(_neighbours.Remove((s.Neighbour.Device, s.Neighbour.Address)));
                break;
            case DataplaneStep.ConfigureGuest s:
                Require(s.Guest.HostDevice);
                _guests[s.Guest.HostDevice] = (s.Guest, new GuestView.Interface(
                    s.Guest.Mac, s.Guest.Mtu, true, true,
                    s.Guest.Address is { } address ? [new GuestAddress(address, s.Guest.PrefixLength, Ours: true)] : [],
                    s.Guest.Address is null ? [] : [new GuestRoute(s.Guest.Gateway, Ours: true)]));
                break;
            default:
                Assert.Fail($"unknown step {step}");
                break;
        }
    }

    /// <summary>The bridge of the port hears from that MAC.</summary>
    public void Learn(string port, PhysicalAddress mac) => SetOnBridge(new BridgeEntry(port, mac, BridgeEntryKind.Dynamic));

    /// <summary>A stranger takes something away or changes it.</summary>
    public void Damage(Random random) => Damage(random, random.Next(10));

    /// <summary>As <see cref="Damage(Random)"/>, of forwarding entries alone.</summary>
    public void DamageForwarding(Random random) => Damage(random, random.Next(3) switch { 0 => 1, 1 => 2, _ => 7 });

    private void Damage(Random random, int kind)
    {
        switch (kind)
        {
            case 0 when _links.Count > 0:
                Remove(Pick(_links.Keys, random));
                break;
            case 1 when _tunnel.Count > 0:
                _tunnel.Remove(Pick(_tunnel, random));
                break;
            case 2 when _bridge.Count > 0:
                _bridge.Remove(Pick(_bridge.Keys, random));
                break;
            case 3 when _addresses.Count > 0:
                InterfaceAddress gone = Pick(_addresses, random);
                _addresses.Remove(gone);
                _lostRoutes.RemoveWhere(r => r.Address == gone);
                break;
            case 4:
                _nft = null;
                break;
            case 5 when _nft is not null:
                _nft = _nft with { Skeleton = _nft.Skeleton.RemoveAt(random.Next(_nft.Skeleton.Length)) };
                break;
            case 6 when _ports.Count > 0:
                string port = Pick(_ports.Keys, random);
                _ports[port] = _ports[port] with { Learning = true, Locked = false };
                break;
            case 7 when _tunnel.Count > 0:
                TunnelEntry entry = Pick(_tunnel, random);
                _tunnel.Add(new TunnelEntry(entry.Device, Intents.Mac(random.Next(200, 220)), Intents.Vtep(9)));
                break;
            case 8 when _neighbours.Count > 0:
                _neighbours.Remove(Pick(_neighbours.Keys, random));
                break;
            case 9 when _addresses.Count > 0:
                _lostRoutes.Add(new AddressRoute(Pick(_addresses, random), random.Next(2) == 0 ? RouteKind.Local : RouteKind.Unicast));
                break;
        }
    }

    private static T Pick<T>(IEnumerable<T> all, Random random)
    {
        T[] items = [.. all];
        return items[random.Next(items.Length)];
    }

    private Link Require(string device, int? index = null)
    {
        Assert.True(_links.TryGetValue(device, out Link? link), $"step on {device}, which is not ours");
        if (index is not null)
        {
            Assert.Equal(_indexes[device], index);
        }

        return link!;
    }

    private void Change(DataplaneStep.ChangeLink step)
    {
        if (step.From is null)
        {
            ForeignLink taken = Foreign.Single(f => f.Name == step.To.Name);
            Assert.True(taken.IsLooseTap);
            Foreign.Remove(taken);
            _indexes[step.To.Name] = step.Index;
            _links[step.To.Name] = step.To;
            _ports[step.To.Name] = new PortFlags(step.To.Name, true, false, false);
            return;
        }

        Link old = Require(step.To.Name, step.Index);
        if (step.To.MasterName is { } master)
        {
            Require(master);
        }

        if (old.MasterName != step.To.MasterName)
        {
            LeaveBridge(step.To.Name);
            _ports[step.To.Name] = new PortFlags(step.To.Name, true, false, false);
        }

        _links[step.To.Name] = step.To;
    }

    private void ChangeForeign(string name, Func<ForeignLink, ForeignLink> change)
    {
        int at = Foreign.FindIndex(f => f.Name == name);
        Assert.True(at >= 0, $"step on {name}, which is not there");
        Foreign[at] = change(Foreign[at]);
    }

    private void SetOnBridge(BridgeEntry entry) =>
        _bridge[(Require(entry.Port).MasterName!, entry.Mac)] = entry;

    private void DeleteOnBridge(string port, PhysicalAddress mac)
    {
        (string, PhysicalAddress) key = (Require(port).MasterName!, mac);
        Assert.True(_bridge.TryGetValue(key, out BridgeEntry? entry) && entry.Port == port, "ENOENT");
        _bridge.Remove(key);
    }

    private void LeaveBridge(string port)
    {
        _ports.Remove(port);
        foreach ((string, PhysicalAddress) key in _bridge.Where(b => b.Value.Port == port).Select(b => b.Key).ToList())
        {
            _bridge.Remove(key);
        }
    }

    private void Remove(string device)
    {
        LeaveBridge(device);
        foreach (Link port in _links.Values.Where(l => l.MasterName == device).ToList())
        {
            LeaveBridge(port.Name);
            _links[port.Name] = port switch
            {
                Link.Vxlan v => v with { Master = null },
                Link.Vlan v => v with { Master = null },
                Link.Tap t => t with { Master = null },
                Link.Veth v => v with { Master = null },
                _ => port,
            };
        }

        foreach (ForeignLink port in Foreign.Where(f => f.Master == device).ToList())
        {
            LeaveBridge(port.Name);
            ChangeForeign(port.Name, f => f with { Master = null });
        }

        _links.Remove(device);
        _indexes.Remove(device);
        _guests.Remove(device);
        _altNames.RemoveWhere(a => a.Device == device);
        _addresses.RemoveWhere(a => a.Device == device);
        _lostRoutes.RemoveWhere(r => r.Address.Device == device);
        _tunnel.RemoveWhere(e => e.Device == device);
        foreach ((string, IPAddress) key in _neighbours.Keys.Where(k => k.Item1 == device).ToList())
        {
            _neighbours.Remove(key);
        }

        foreach (string path in _sysctls.Where(s => s.Value.Device == device).Select(s => s.Key).ToList())
        {
            _sysctls.Remove(path);
        }
    }
}

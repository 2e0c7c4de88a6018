using Kcore.Daemon.Dataplane.Desired;
using Kcore.Daemon.Dataplane.Observed;

namespace Kcore.Daemon.Dataplane.Plan;

/// <summary>Compares the devices, and decides which networks and NICs cannot be worked on at all.</summary>
internal sealed class LinkComparison
{
    private readonly DesiredState _desired;
    private readonly ObservedState _observed;
    private readonly Dictionary<string, Link> _owned;
    private readonly Dictionary<string, ForeignLink> _foreign = new(StringComparer.Ordinal);
    private readonly Dictionary<string, Wanted<GuestInterface>> _guests;
    private readonly HashSet<string> _overlaysLeftAlone = new(StringComparer.Ordinal);
    private readonly HashSet<(string Overlay, string Nic)> _nicsLeftAlone = [];
    private readonly HashSet<string> _made = new(StringComparer.Ordinal);
    private readonly HashSet<string> _moved = new(StringComparer.Ordinal);
    private readonly HashSet<string> _going = new(StringComparer.Ordinal);

    public LinkComparison(DesiredState desired, ObservedState observed)
    {
        _desired = desired;
        _observed = observed;
        _owned = observed.Owned.Links.ToDictionary(l => l.Name, StringComparer.Ordinal);
        _guests = desired.Guests.ToDictionary(g => g.Value.HostDevice, StringComparer.Ordinal);
        foreach (ForeignLink link in observed.Foreign)
        {
            _foreign[link.Name] = link;
            foreach (string name in link.AltNames)
            {
                _foreign.TryAdd(name, link);
            }
        }

        UplinkComparison uplinks = new(desired, observed);

        // First everything that can make a whole network impossible, so that not a part of it is touched.
        foreach (Wanted<Link> wanted in desired.Links.Where(w => w.Origin.Nic is null))
        {
            if (Obstacle(wanted.Value) is { } reason && _overlaysLeftAlone.Add(wanted.Origin.Overlay))
            {
                Refusals.Add(new Refusal(wanted.Origin.Overlay, null, Blocks: true, "link", wanted.Value.Name, reason));
            }
        }

        foreach (Wanted<UplinkPort> wanted in desired.Uplinks)
        {
            if (uplinks.Obstacle(wanted.Value) is { } reason && _overlaysLeftAlone.Add(wanted.Origin.Overlay))
            {
                Refusals.Add(new Refusal(wanted.Origin.Overlay, null, Blocks: true, "uplink", wanted.Value.Device, reason));
            }
        }

        foreach (Wanted<Link> wanted in desired.Links)
        {
            if (IsWorkedOn(wanted.Origin))
            {
                Compare(wanted);
            }
        }

        FindGone();
        Uplinks = [.. uplinks.Wanted(this)];
        ReleasedUplinks = [.. uplinks.Gone(desired.SparedDevices)];
        _moved.UnionWith(Uplinks.OfType<DataplaneStep.Enslave>().Select(s => s.Device));
    }

    public List<DataplaneStep> Bridges { get; } = [];

    public List<DataplaneStep> Tunnels { get; } = [];

    public List<DataplaneStep> Uplinks { get; }

    public List<DataplaneStep> ReleasedUplinks { get; }

    public List<DataplaneStep> Nics { get; } = [];

    public List<DataplaneStep> Guests { get; } = [];

    /// <summary>Devices that go because one of another kind takes their name.</summary>
    public List<DataplaneStep> Replaced { get; } = [];

    public List<DataplaneStep> Gone { get; } = [];

    public List<Refusal> Refusals { get; } = [];

    public IReadOnlySet<string> OverlaysLeftAlone => _overlaysLeftAlone;

    public bool IsWorkedOn(Origin origin) =>
        !_overlaysLeftAlone.Contains(origin.Overlay)
        && (origin.Nic is null || !_nicsLeftAlone.Contains((origin.Overlay, origin.Nic)));

    /// <summary>The device is created by this plan: nothing observed under its name counts.</summary>
    public bool IsMade(string device) => _made.Contains(device);

    /// <summary>The device enters another bridge, which resets its port flags and entries.</summary>
    public bool IsMoved(string device) => _moved.Contains(device);

    /// <summary>The device goes, and what is on it goes with it.</summary>
    public bool IsGoing(string device) => _going.Contains(device) || _desired.SparedDevices.Contains(device);

    private string? Obstacle(Link wanted)
    {
        if (_owned.TryGetValue(wanted.Name, out Link? seen))
        {
            return (wanted, seen) switch
            {
                (Link.Bridge, Link.Bridge) => null,
                (Link.Vxlan w, Link.Vxlan s) when w.Vni == s.Vni && w.Port == s.Port => null,
                (Link.Vlan w, Link.Vlan s) when w.Parent == s.Parent && w.Id == s.Id => null,
                (Link.Vlan w, Link.Vlan s) => $"device {s.Name} is VLAN {s.Id} of {s.Parent ?? "another namespace"}, not VLAN {w.Id} of {w.Parent}",
                (Link.Vxlan w, Link.Vxlan s) => $"device {s.Name} has VNI {s.Vni} port {s.Port}, not VNI {w.Vni} port {w.Port}",
                _ => $"device {seen.Name} is of kind {KindOf(seen)}, not {KindOf(wanted)}",
            };
        }

        if (_foreign.TryGetValue(wanted.Name, out ForeignLink? foreign))
        {
            return Stranger(wanted.Name, foreign);
        }

        if (wanted is Link.Vlan vlan && !_observed.Indexes.ContainsKey(vlan.Parent!))
        {
            return $"device {vlan.Parent}, which carries VLAN {vlan.Id}, is not there";
        }

        // The kernel takes a VNI once per port and namespace.
        return wanted is Link.Vxlan vxlan
            && _observed.Foreign.FirstOrDefault(f => f.Vni == vxlan.Vni && f.VxlanPort == vxlan.Port) is { } rival
            ? $"vni {vxlan.Vni} used by foreign device \"{rival.Name}\""
            : null;
    }

    private static string Stranger(string name, ForeignLink foreign) =>
        foreign.Name == name
            ? $"foreign device \"{name}\"{(foreign.Kind.Length > 0 ? $" of kind {foreign.Kind}" : "")} has this name"
            : $"foreign device \"{foreign.Name}\" has this name as an altname";

    private void Compare(Wanted<Link> wanted)
    {
        if (wanted.Value is Link.Veth && !GuestCanBeReached(wanted))
        {
            return;
        }

        List<DataplaneStep> steps = wanted.Value switch
        {
            Link.Bridge => Bridges,
            Link.Vxlan or Link.Vlan => Tunnels,
            _ => Nics,
        };
        Link link = wanted.Value;
        if (_owned.TryGetValue(link.Name, out Link? seen))
        {
            int index = _observed.Indexes[link.Name];
            if (seen.GetType() != link.GetType() || IsPairBroken(link))
            {
                Replaced.Add(new DataplaneStep.DeleteLink(seen, index, Replaces: true, wanted.Origin));
                Create(wanted, steps);
            }
            else if (!seen.Equals(link))
            {
                if (seen.MasterName != link.MasterName)
                {
                    _moved.Add(link.Name);
                }

                steps.Add(new DataplaneStep.ChangeLink(seen, link, index, wanted.Origin));
            }
        }
        else if (_foreign.TryGetValue(link.Name, out ForeignLink? foreign))
        {
            if (link is Link.Tap && foreign.IsLooseTap && foreign.Name == link.Name)
            {
                _moved.Add(link.Name);
                steps.Add(new DataplaneStep.ChangeLink(null, link, _observed.Indexes[link.Name], wanted.Origin));
            }
            else
            {
                LeaveAlone(wanted, Stranger(link.Name, foreign));
                return;
            }
        }
        else
        {
            Create(wanted, steps);
        }

        CompareGuest(link.Name);
    }

    private void Create(Wanted<Link> wanted, List<DataplaneStep> steps)
    {
        _made.Add(wanted.Value.Name);
        GuestInterface? guest = _guests.TryGetValue(wanted.Value.Name, out Wanted<GuestInterface> g) ? g.Value : null;
        steps.Add(new DataplaneStep.CreateLink(wanted.Value, guest, wanted.Origin));
    }

    private bool GuestCanBeReached(Wanted<Link> wanted)
    {
        string? reason = _observed.Guests.GetValueOrDefault(wanted.Value.Name) switch
        {
            null => "the guest's namespace was not looked at",
            GuestView.NamespaceMissing missing => missing.Reason,
            GuestView.NoInterface { NameTaken: true } =>
                $"the guest's namespace has another interface named {_guests[wanted.Value.Name].Value.Name}",
            _ => null,
        };
        if (reason is not null)
        {
            LeaveAlone(wanted, reason);
        }

        return reason is null;
    }

    /// <summary>Our end is there, the other is not where it should be: somebody moved or renamed it.</summary>
    private bool IsPairBroken(Link link) =>
        link is Link.Veth && _observed.Guests.GetValueOrDefault(link.Name) is GuestView.NoInterface;

    private void CompareGuest(string device)
    {
        if (!_guests.TryGetValue(device, out Wanted<GuestInterface> guest))
        {
            return;
        }

        GuestFaults faults = !_made.Contains(device) && _observed.Guests.GetValueOrDefault(device) is GuestView.Interface seen
            ? GuestComparison.Faults(guest.Value, seen)
            // The creation message gives MAC and MTU.
            : GuestFaults.Down | GuestFaults.LoopbackDown
                | (guest.Value.Address is null ? GuestFaults.None : GuestFaults.Address | GuestFaults.DefaultRoute);
        if (faults != GuestFaults.None)
        {
            Guests.Add(new DataplaneStep.ConfigureGuest(guest.Value, faults, guest.Origin));
        }
    }

    private void LeaveAlone(Wanted<Link> wanted, string reason)
    {
        _nicsLeftAlone.Add((wanted.Origin.Overlay, wanted.Origin.Nic!));
        Refusals.Add(new Refusal(wanted.Origin.Overlay, wanted.Origin.Nic, Blocks: true, "nic", wanted.Value.Name, reason));
    }

    private void FindGone()
    {
        HashSet<string> wanted = [.. _desired.Links.Select(w => w.Value.Name)];
        Origin origin = new("", null, "nothing on this node needs it");
        // NICs before tunnels before bridges.
        foreach (Link link in _owned.Values
            .Where(l => !wanted.Contains(l.Name) && !_desired.SparedDevices.Contains(l.Name))
            .OrderBy(l => l switch { Link.Tap or Link.Veth => 0, Link.Vxlan or Link.Vlan => 1, _ => 2 })
            .ThenBy(l => l.Name, StringComparer.Ordinal))
        {
            _going.Add(link.Name);
            Gone.Add(new DataplaneStep.DeleteLink(link, _observed.Indexes[link.Name], Replaces: false, origin));
        }
    }

    internal static string KindOf(Link link) => link switch
    {
        Link.Bridge => "bridge",
        Link.Vxlan => "vxlan",
        Link.Vlan => "vlan",
        Link.Tap => "tap",
        _ => "veth",
    };
}

using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Net;
using System.Net.NetworkInformation;

namespace Kcore.Daemon.Dataplane.Observed;

/// <summary>One look at the kernel.</summary>
internal sealed record ObservedState
{
    /// <summary>What carries our mark, or lies on a device that does.</summary>
    public required NetworkState Owned { get; init; }

    /// <summary>All other devices of the namespace.</summary>
    public ImmutableArray<ForeignLink> Foreign { get; init; } = [];

    /// <summary>Interface index of every device, ours and foreign, by name.</summary>
    public FrozenDictionary<string, int> Indexes { get; init; } = FrozenDictionary<string, int>.Empty;

    /// <summary>
    /// The forwarding entries of <see cref="Owned"/> by device: the same objects as at an earlier look where nothing changed.
    /// </summary>
    public IReadOnlyDictionary<string, DeviceForwarding> Forwarding { get; init; } = FrozenDictionary<string, DeviceForwarding>.Empty;

    /// <summary>
    /// Devices that are known to have the forwarding entries they should have, with all that share their bridge: they need not be
    /// compared.
    /// </summary>
    public IReadOnlySet<string> Settled { get; init; } = FrozenSet<string>.Empty;

    /// <summary>Routes that addresses of ours brought along, and that somebody took away.</summary>
    public ImmutableArray<AddressRoute> LostRoutes { get; init; } = [];

    /// <summary>What the guests' namespaces look like, by our end of the pair; only for the NICs asked about.</summary>
    public FrozenDictionary<string, GuestView> Guests { get; init; } = FrozenDictionary<string, GuestView>.Empty;

    /// <summary>Settings that were asked for and that this kernel does not have.</summary>
    public FrozenSet<string> AbsentSysctls { get; init; } = FrozenSet<string>.Empty;

    /// <summary>What host-wide settings were before we changed them, by path below /proc/sys.</summary>
    public FrozenDictionary<string, string> RememberedSysctls { get; init; } = FrozenDictionary<string, string>.Empty;

    /// <summary>Devices of the host we made ports of, and whether they were up before.</summary>
    public FrozenDictionary<string, bool> RememberedUplinks { get; init; } = FrozenDictionary<string, bool>.Empty;

    /// <summary>Devices a default route leaves by.</summary>
    public FrozenSet<string> DefaultRouteDevices { get; init; } = FrozenSet<string>.Empty;

    /// <summary>br_netfilter shows bridged IPv4 frames to the host's firewall.</summary>
    public bool BridgedFramesPassFirewall { get; init; }

    /// <summary>Conditions of the host that we do not change but people must know.</summary>
    public ImmutableArray<string> Advisories { get; init; } = [];
}

/// <summary>A device without our mark.</summary>
/// <param name="Kind">As `ip -d link` calls it; empty for hardware.</param>
/// <param name="Vni">The VXLAN identifier, when it is such a device.</param>
/// <param name="VxlanPort">Its UDP port.</param>
/// <param name="IsLooseTap">
/// A TAP in group 0 and in no bridge: what we leave when we die between making and marking one. Whether somebody has it
/// open shows only when it is taken over, which then fails.
/// </param>
internal sealed record ForeignLink(
    string Name, string Kind, uint? Vni, int? VxlanPort, bool IsLooseTap, ImmutableArray<string> AltNames)
{
    public bool Up { get; init; }

    /// <summary>The device it is a port of, ours or foreign.</summary>
    public string? Master { get; init; }
}

/// <summary>What can be seen of one guest interface.</summary>
internal abstract record GuestView
{
    private GuestView()
    {
    }

    /// <summary>The namespace cannot be entered.</summary>
    public sealed record NamespaceMissing(string Reason) : GuestView;

    /// <summary>The namespace is there, the other end of our pair is not.</summary>
    /// <param name="NameTaken">Another interface has the wanted name.</param>
    public sealed record NoInterface(bool NameTaken) : GuestView;

    public sealed record Interface(
        PhysicalAddress Mac,
        int Mtu,
        bool Up,
        bool LoopbackUp,
        ImmutableArray<GuestAddress> Addresses,
        ImmutableArray<GuestRoute> DefaultRoutes) : GuestView;
}

/// <param name="Ours">Carries our protocol mark.</param>
internal sealed record GuestAddress(IPAddress Local, int PrefixLength, bool Ours);

/// <summary>A default route of the guest's namespace, through any interface.</summary>
internal sealed record GuestRoute(IPAddress? Gateway, bool Ours);

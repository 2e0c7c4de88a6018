using System.Net;
using System.Net.NetworkInformation;
using Kcore.Daemon.Dataplane.Desired;

namespace Kcore.Daemon.Dataplane.Plan;

/// <summary>
/// One change of the kernel. Every step names the fact it follows from; steps that touch an existing device
/// carry the index it had in the snapshot, so that a stranger that took the name meanwhile is not hit.
/// </summary>
internal abstract record DataplaneStep(Origin Origin)
{
    /// <summary>Device or object the step is about.</summary>
    public abstract string Device { get; }

    /// <summary>Whether traffic of running guests is interrupted.</summary>
    public virtual bool Disruptive => false;

    public sealed record WriteSysctl(Sysctl Sysctl, string? OldValue, Origin Origin) : DataplaneStep(Origin)
    {
        public override string Device => Sysctl.Device ?? "-";
    }

    /// <summary>Writes back what a host-wide setting was before us.</summary>
    public sealed record RestoreSysctl(string Path, string Value, Origin Origin) : DataplaneStep(Origin)
    {
        public override string Device => "-";
    }

    /// <param name="Tables">Null removes our tables.</param>
    public sealed record ReplaceNft(NftTables? Tables, NftTables? Observed, Origin Origin) : DataplaneStep(Origin)
    {
        public override string Device => NftSkeleton.TableName;
    }

    /// <param name="Guest">For a veth, the other end, which is made in the guest's namespace by the same message.</param>
    public sealed record CreateLink(Link Link, GuestInterface? Guest, Origin Origin) : DataplaneStep(Origin)
    {
        public override string Device => Link.Name;
    }

    /// <param name="From">Null when an unmarked leftover of ours is taken over.</param>
    public sealed record ChangeLink(Link? From, Link To, int Index, Origin Origin) : DataplaneStep(Origin)
    {
        public override string Device => To.Name;
    }

    /// <param name="Replaces">The device is made anew afterwards.</param>
    public sealed record DeleteLink(Link Link, int Index, bool Replaces, Origin Origin) : DataplaneStep(Origin)
    {
        public override string Device => Link.Name;

        public override bool Disruptive => Replaces;
    }

    /// <summary>A device of the host becomes a port of a bridge of ours, and is raised.</summary>
    /// <param name="WasUp">How it was before it was ours to use; remembered until it is released.</param>
    public sealed record Enslave(UplinkPort Port, int Index, bool WasUp, Origin Origin) : DataplaneStep(Origin)
    {
        public override string Device => Port.Device;
    }

    /// <summary>Gives a device of the host back as it was.</summary>
    /// <param name="Index">Null when the device is gone; then it is only forgotten.</param>
    /// <param name="Port">It is still a port of a bridge of ours.</param>
    /// <param name="Lower">It was down before, so it goes down again.</param>
    public sealed record ReleaseUplink(string Name, int? Index, bool Port, bool Lower, Origin Origin) : DataplaneStep(Origin)
    {
        public override string Device => Name;
    }

    public sealed record AddAltName(AltName AltName, Origin Origin) : DataplaneStep(Origin)
    {
        public override string Device => AltName.Device;
    }

    public sealed record SetPort(PortFlags? From, PortFlags To, Origin Origin) : DataplaneStep(Origin)
    {
        public override string Device => To.Device;
    }

    public sealed record AddAddress(InterfaceAddress Address, Origin Origin) : DataplaneStep(Origin)
    {
        public override string Device => Address.Device;
    }

    /// <summary>Puts back what came with an address that is still there; whoever has another way to the same network keeps it.</summary>
    public sealed record AddRoute(AddressRoute Route, Origin Origin) : DataplaneStep(Origin)
    {
        public override string Device => Route.Address.Device;
    }

    public sealed record DeleteAddress(InterfaceAddress Address, Origin Origin) : DataplaneStep(Origin)
    {
        public override string Device => Address.Device;
    }

    public sealed record AddFlood(TunnelEntry Entry, Origin Origin) : DataplaneStep(Origin)
    {
        public override string Device => Entry.Device;
    }

    /// <summary>Tunnel entry and bridge entry of a MAC in one message that replaces whatever was there.</summary>
    /// <param name="OldDestination">The VTEP it was behind, when it moves.</param>
    public sealed record SetRemoteMac(TunnelEntry Entry, IPAddress? OldDestination, Origin Origin) : DataplaneStep(Origin)
    {
        public override string Device => Entry.Device;
    }

    /// <param name="AlsoFromBridge">The bridge entry at the tunnel port goes with it.</param>
    public sealed record DeleteTunnelEntry(TunnelEntry Entry, bool AlsoFromBridge, Origin Origin) : DataplaneStep(Origin)
    {
        public override string Device => Entry.Device;
    }

    public sealed record SetBridgeEntry(BridgeEntry Entry, Origin Origin) : DataplaneStep(Origin)
    {
        public override string Device => Entry.Port;
    }

    public sealed record DeleteBridgeEntry(BridgeEntry Entry, Origin Origin) : DataplaneStep(Origin)
    {
        public override string Device => Entry.Port;
    }

    /// <param name="OldMac">The MAC the address had until now, when it moves to another NIC.</param>
    public sealed record SetNeighbour(Neighbour Neighbour, PhysicalAddress? OldMac, Origin Origin) : DataplaneStep(Origin)
    {
        public override string Device => Neighbour.Device;
    }

    public sealed record DeleteNeighbour(Neighbour Neighbour, Origin Origin) : DataplaneStep(Origin)
    {
        public override string Device => Neighbour.Device;
    }

    public sealed record ConfigureGuest(GuestInterface Guest, GuestFaults Faults, Origin Origin) : DataplaneStep(Origin)
    {
        public override string Device => Guest.HostDevice;
    }
}

/// <summary>What of a guest interface is not as it should be.</summary>
[Flags]
internal enum GuestFaults
{
    None = 0,
    Mac = 1,
    Mtu = 2,
    Down = 4,
    LoopbackDown = 8,
    Address = 16,

    /// <summary>An address we gave earlier is still there.</summary>
    StaleAddress = 32,
    DefaultRoute = 64,
}

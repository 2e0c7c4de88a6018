using System.Collections.Immutable;
using Kcore.Contracts;
using Kcore.Daemon.Catalog.Facts;
using Kcore.Daemon.Cluster.Addressing;
using Kcore.Daemon.Reconciliation;

namespace Kcore.Daemon.Catalog.Networks;

/// <summary>The devices of this host that networks lead out of.</summary>
/// <param name="chosen">The operator's gateway interface; null takes the device of the advertised address.</param>
internal sealed class HostDevices(Published<Underlay> underlay, string? chosen, Func<ImmutableArray<HostInterface>> read)
{
    /// <summary>Where guests leave this host.</summary>
    public string GatewayInterface => chosen ?? underlay.Current.Advertised.Interface;

    /// <exception cref="RefusedException">FailedPrecondition: the device is not there, or this host itself is reached by it (behaviour 87).</exception>
    public void Check(NetworkSpec spec)
    {
        if (spec.Type == NetworkType.Vxlan || (spec.Type == NetworkType.Nat && spec.VlanId == 0))
        {
            return;
        }

        string uplink = spec.Uplink ?? GatewayInterface;
        ImmutableArray<HostInterface> devices = read();
        HostInterface? device = devices.FirstOrDefault(d => d.Name == uplink);
        if (device is null || device.Kind == InterfaceKind.Loopback)
        {
            throw new RefusedException(
                ErrorCode.FailedPrecondition,
                $"uplink {uplink} is not a network device of this host",
                [.. devices.Where(d => d.Kind == InterfaceKind.Link).Select(d => d.Name)],
                "name one with --uplink");
        }

        // A VLAN takes nothing from the device it is on.
        if (spec.VlanId == 0 && ManagementReason(device) is { } reason)
        {
            throw new RefusedException(
                ErrorCode.FailedPrecondition,
                $"{uplink} is the management interface of this host: as a port of a bridge it would be cut off",
                [reason],
                "give another device with --uplink, or a VLAN on this one with --vlan-id");
        }

        if (spec.VlanId == 0 && device.Kind is not InterfaceKind.Link)
        {
            throw new RefusedException(
                ErrorCode.FailedPrecondition, $"{uplink} is a {device.Kind.ToString().ToLowerInvariant()} device, which does not lead to a network of its own", next: "name a network card with --uplink");
        }
    }

    private string? ManagementReason(HostInterface device) =>
        device.Name == underlay.Current.Advertised.Interface ? $"it has the advertised address {underlay.Current.Advertised.Address}"
        : device.DefaultRouteMetric is not null ? "the default route leaves by it"
        : device.Name == chosen ? "it is the gateway interface guests leave by"
        : null;
}

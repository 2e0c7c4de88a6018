using System.Collections.Immutable;
using System.Net;
using System.Net.NetworkInformation;
using Kcore.Daemon.Catalog.Networks;
using Kcore.Daemon.Dataplane.Desired;

namespace Kcore.Daemon.Dhcp;

/// <summary>What the DHCP server of one nat network should serve.</summary>
/// <param name="BridgeIndex">A server stays bound to the device it found at its start; a bridge made anew needs a new one.</param>
/// <param name="Mtu">Bytes, told to guests (option 26).</param>
internal sealed record DhcpServer(
    string Network,
    string Bridge,
    int BridgeIndex,
    IPAddress Gateway,
    int PrefixLength,
    GuestRange Range,
    int Mtu,
    ImmutableArray<Reservation> Reservations)
{
    public static DhcpServer Of(LocalNetworkIntent network, NatIntent nat, int bridgeIndex) => new(
        network.Name,
        network.Bridge,
        bridgeIndex,
        nat.Gateway,
        nat.PrefixLength,
        nat.Range,
        network.Mtu,
        [
            .. network.LocalNics
                .Where(n => n.Address is not null)
                .OrderBy(n => n.Name, StringComparer.Ordinal)
                .Select(n => new Reservation(n.AttachmentId, n.Name, n.Mac, n.Address!)),
        ]);
}

/// <summary>The address that belongs to a NIC.</summary>
internal sealed record Reservation(string Attachment, string Name, PhysicalAddress Mac, IPAddress Address);

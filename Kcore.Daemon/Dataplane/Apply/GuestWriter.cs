using System.Net;
using System.Net.Sockets;
using Kcore.Daemon.Dataplane.Observed;
using Kcore.Daemon.Dataplane.Plan;
using Kcore.Netlink.Namespaces;
using Kcore.Netlink.Route;

namespace Kcore.Daemon.Dataplane.Apply;

/// <summary>Puts right what is wrong with a guest interface, inside its namespace.</summary>
internal static class GuestWriter
{
    /// <exception cref="DataplaneException">Something was refused, or the interface is not there.</exception>
    /// <exception cref="Kcore.Netlink.NetlinkException">The namespace is gone.</exception>
    public static void Configure(GuestInterface guest, GuestFaults faults, int hostIndex)
    {
        using NetworkNamespace ns = NetworkNamespace.Open(guest.NamespacePath);
        using RouteSocket socket = RouteSocket.Open(ns);
        LinkInfo? link = socket.FindLink(guest.Name);
        if (link is not { Kind: "veth" } || link.LinkedIndex != hostIndex)
        {
            throw new DataplaneException($"{guest.Name} in {guest.NamespacePath} is not the other end of {guest.HostDevice}");
        }

        RouteBatch batch = new();
        batch.ChangeLink(link.Index, new LinkChange
        {
            Mac = faults.HasFlag(GuestFaults.Mac) ? guest.Mac : null,
            Mtu = faults.HasFlag(GuestFaults.Mtu) ? guest.Mtu : null,
            Up = true,
        });
        if (faults.HasFlag(GuestFaults.LoopbackDown) && socket.FindLink("lo") is { } loopback)
        {
            batch.ChangeLink(loopback.Index, new LinkChange { Up = true });
        }

        if (faults.HasFlag(GuestFaults.Address) && guest.Address is { } address)
        {
            batch.ReplaceAddress(link.Index, address, guest.PrefixLength);
        }

        if (faults.HasFlag(GuestFaults.StaleAddress))
        {
            foreach (AddressInfo old in socket.DumpAddresses(link.Index))
            {
                if (old.LinkIndex == link.Index
                    && GuestComparison.IsStale(guest, new GuestAddress(old.Address, old.PrefixLength, old.Protocol == KcoreMark.Protocol)))
                {
                    batch.DeleteAddress(link.Index, old.Address, old.PrefixLength);
                }
            }
        }

        if (faults.HasFlag(GuestFaults.DefaultRoute))
        {
            batch.ReplaceRoute(new RouteSpec
            {
                Destination = guest.Gateway.AddressFamily == AddressFamily.InterNetworkV6
                    ? new IPNetwork(IPAddress.IPv6Any, 0)
                    : new IPNetwork(IPAddress.Any, 0),
                Gateway = guest.Gateway,
                LinkIndex = link.Index,
            });
        }

        BatchResult outcome = socket.Execute(batch);
        if (outcome.Failures is [var first, ..])
        {
            throw new DataplaneException($"{guest.Name} in {guest.NamespacePath}: {first.Description}: {first.Error}");
        }
    }
}

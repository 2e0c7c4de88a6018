using System.Net.Sockets;
using Kcore.Netlink;
using Kcore.Netlink.Namespaces;
using Kcore.Netlink.Route;

namespace Kcore.Daemon.Dataplane.Observed;

/// <summary>
/// Looks into a guest's namespace. Nothing stays open between two looks: an open socket would keep a namespace
/// alive that its owner deleted.
/// </summary>
internal static class GuestReader
{
    /// <param name="host">Our end of the pair, when it is there.</param>
    public static GuestView Read(GuestInterface guest, LinkInfo? host)
    {
        try
        {
            using NetworkNamespace ns = NetworkNamespace.Open(guest.NamespacePath);
            using RouteSocket socket = RouteSocket.Open(ns);
            IReadOnlyList<LinkInfo> links = socket.DumpLinks();
            LinkInfo? named = links.FirstOrDefault(l => l.Name == guest.Name);
            return named is not null && host is not null && ArePair(host, named)
                ? View(socket, named, links)
                : new GuestView.NoInterface(NameTaken: named is not null);
        }
        catch (NetlinkException e)
        {
            return new GuestView.NamespaceMissing($"the network namespace {guest.NamespacePath} cannot be entered: {e.Error}");
        }
    }

    /// <summary>Each end names the other's index; one alone could be chance, as indexes repeat in every namespace.</summary>
    public static bool ArePair(LinkInfo host, LinkInfo guest) =>
        host.Kind == "veth" && guest.Kind == "veth" && host.LinkedIndex == guest.Index && guest.LinkedIndex == host.Index;

    private static GuestView.Interface View(RouteSocket socket, LinkInfo link, IReadOnlyList<LinkInfo> links) => new(
        link.Mac ?? System.Net.NetworkInformation.PhysicalAddress.None,
        link.Mtu,
        link.IsUp,
        links.Any(l => l.Flags.HasFlag(LinkFlags.Loopback) && l.IsUp),
        [
            .. socket.DumpAddresses(link.Index)
                .Where(a => a.LinkIndex == link.Index)
                .Select(a => new GuestAddress(a.Address, a.PrefixLength, a.Protocol == KcoreMark.Protocol)),
        ],
        [
            .. socket.DumpRoutes(AddressFamily.InterNetwork, RouteSpec.MainTable)
                .Concat(socket.DumpRoutes(AddressFamily.InterNetworkV6, RouteSpec.MainTable))
                .Where(r => r.IsDefault)
                .Select(r => new GuestRoute(r.Gateway, r.Protocol == KcoreMark.Protocol)),
        ]);
}

using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using Kcore.Netlink.Messages;

namespace Kcore.Netlink.Route;

public sealed partial class RouteBatch
{
    private const byte ScopeUniverse = 0;
    private const byte ScopeLink = 253;
    private const byte ScopeHost = 254;
    private const byte ScopeNowhere = 255;

    /// <summary>Puts an address on a link. EEXIST when it is there, so a foreign address is never adopted by accident.</summary>
    /// <param name="protocol">IFA_PROTO, who put it there; kept by kernels from 5.18 on.</param>
    public int AddAddress(
        int linkIndex,
        IPAddress address,
        int prefixLength,
        AddressFlags flags = AddressFlags.None,
        byte protocol = KcoreMark.Protocol) =>
        PutAddress("add", CreateNew, linkIndex, address, prefixLength, flags, protocol);

    /// <summary>Puts an address on a link or, when it is there, gives it these flags and this mark, whosever it was.</summary>
    /// <param name="protocol">IFA_PROTO, who put it there; kept by kernels from 5.18 on.</param>
    public int ReplaceAddress(
        int linkIndex,
        IPAddress address,
        int prefixLength,
        AddressFlags flags = AddressFlags.None,
        byte protocol = KcoreMark.Protocol) =>
        PutAddress("replace", Nlm.Create | Nlm.Replace, linkIndex, address, prefixLength, flags, protocol);

    /// <summary>Takes an address from a link. EADDRNOTAVAIL when it is not there.</summary>
    public int DeleteAddress(int linkIndex, IPAddress address, int prefixLength)
    {
        CheckAddress(linkIndex, address, prefixLength);
        return Add($"delete the address {address}/{prefixLength}", linkIndex, Nlm.DelAddress, 0, (ref writer) =>
            PutAddressBody(ref writer, linkIndex, address, prefixLength));
    }

    /// <summary>Adds a route. EEXIST when one to the same destination with the same metric exists.</summary>
    public int AddRoute(RouteSpec route) => PutRoute("add", Nlm.NewRoute, Nlm.Create | Nlm.Exclusive, route);

    /// <summary>Adds a route or replaces the one to the same destination with the same metric, whoever made it.</summary>
    public int ReplaceRoute(RouteSpec route) => PutRoute("replace", Nlm.NewRoute, Nlm.Create | Nlm.Replace, route);

    /// <summary>Adds a route before others to the same destination with the same metric, which stay. EEXIST when the very same is there.</summary>
    public int PrependRoute(RouteSpec route) => PutRoute("prepend", Nlm.NewRoute, Nlm.Create, route);

    /// <summary>Deletes a route that matches everything given, its protocol included. ESRCH when there is none.</summary>
    public int DeleteRoute(RouteSpec route) => PutRoute("delete", Nlm.DelRoute, 0, route);

    private int PutRoute(string verb, ushort type, ushort flags, RouteSpec route)
    {
        if (route.Gateway is { } gateway && gateway.AddressFamily != route.Destination.BaseAddress.AddressFamily)
        {
            throw new ArgumentException("Gateway and destination are of different families.", nameof(route));
        }

        return Add($"{verb} the route to {route.Destination}", route.LinkIndex ?? 0, type, flags, (ref writer) =>
        {
            // struct rtmsg: family, dst_len, src_len, tos, table, protocol, scope, type, flags.
            Span<byte> body = writer.Take(Rta.BodyBytes);
            body[0] = FamilyOf(route.Destination.BaseAddress);
            body[1] = (byte)route.Destination.PrefixLength;
            body[4] = route.Table <= byte.MaxValue ? (byte)route.Table : (byte)0;
            body[5] = route.Protocol;
            body[6] = type == Nlm.DelRoute ? ScopeNowhere
                : route.Kind == RouteKind.Local ? ScopeHost
                : route.Gateway is null && body[0] == Family.Inet ? ScopeLink
                : ScopeUniverse;
            body[7] = (byte)route.Kind;
            if (route.Destination.PrefixLength > 0)
            {
                writer.PutAddress(Rta.Destination, route.Destination.BaseAddress);
            }

            if (route.Gateway is not null)
            {
                writer.PutAddress(Rta.Gateway, route.Gateway);
            }

            if (route.LinkIndex is { } linkIndex)
            {
                writer.PutInt32(Rta.OutgoingLink, linkIndex);
            }

            if (route.PreferredSource is { } source)
            {
                writer.PutAddress(Rta.PreferredSource, source);
            }

            if (route.Metric != 0)
            {
                writer.PutUInt32(Rta.Priority, route.Metric);
            }

            writer.PutUInt32(Rta.Table, route.Table);
        });
    }

    private int PutAddress(
        string verb, ushort messageFlags, int linkIndex, IPAddress address, int prefixLength, AddressFlags flags, byte protocol)
    {
        CheckAddress(linkIndex, address, prefixLength);
        return Add($"{verb} the address {address}/{prefixLength}", linkIndex, Nlm.NewAddress, messageFlags, (ref writer) =>
        {
            PutAddressBody(ref writer, linkIndex, address, prefixLength);
            if (flags != AddressFlags.None)
            {
                writer.PutUInt32(Ifa.Flags, (uint)flags);
            }

            writer.PutByte(Ifa.Protocol, protocol);
        });
    }

    private static void CheckAddress(int linkIndex, IPAddress address, int prefixLength)
    {
        CheckIndex(linkIndex);
        ArgumentOutOfRangeException.ThrowIfNegative(prefixLength);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(
            prefixLength, address.AddressFamily == AddressFamily.InterNetwork ? 32 : 128);
    }

    /// <summary><c>struct ifaddrmsg</c>: family, prefix length, flags, scope, link index.</summary>
    private static void PutAddressBody(ref MessageWriter writer, int linkIndex, IPAddress address, int prefixLength)
    {
        Span<byte> body = writer.Take(Ifa.BodyBytes);
        body[0] = FamilyOf(address);
        body[1] = (byte)prefixLength;
        body[3] = address.IsIPv6LinkLocal ? ScopeLink : ScopeUniverse;
        BinaryPrimitives.WriteInt32LittleEndian(body[4..], linkIndex);
        writer.PutAddress(Ifa.Local, address);
        writer.PutAddress(Ifa.Address, address);
    }

    private static byte FamilyOf(IPAddress address) =>
        address.AddressFamily == AddressFamily.InterNetwork ? Family.Inet : Family.Inet6;
}

using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Net;
using Kcore.Netlink.Messages;

namespace Kcore.Netlink.Route;

/// <summary>RTM_NEWROUTE to <see cref="RouteInfo"/>.</summary>
internal static class RouteDecoder
{
    /// <summary>Null for families Kcore does not look at.</summary>
    internal static RouteInfo? Decode(scoped in NetlinkMessage message)
    {
        ReadOnlySpan<byte> body = message.Body(Rta.BodyBytes);
        int bits = body[0] switch { Family.Inet => 32, Family.Inet6 => 128, _ => 0 };
        if (bits == 0)
        {
            return null;
        }

        int prefixLength = body[1] <= bits
            ? body[1]
            : throw NetlinkException.Malformed($"a route prefix has {body[1]} bits");
        IPAddress destination = bits == 32 ? IPAddress.Any : IPAddress.IPv6Any;
        var route = new RouteInfo
        {
            Destination = new IPNetwork(destination, 0),
            Table = body[4],
            Protocol = body[5],
            Scope = body[6],
            Kind = (RouteKind)body[7],
        };
        AttributeReader attributes = message.Attributes(Rta.BodyBytes);
        while (attributes.TryRead(out NetlinkAttribute attribute))
        {
            if (attribute.Type == Rta.Destination)
            {
                destination = attribute.AsAddress();
                continue;
            }

            route = attribute.Type switch
            {
                Rta.Gateway => route with { Gateway = attribute.AsAddress() },
                Rta.OutgoingLink => route with { LinkIndex = attribute.AsInt32() },
                Rta.Priority => route with { Metric = attribute.AsUInt32() },
                Rta.PreferredSource => route with { PreferredSource = attribute.AsAddress() },
                Rta.Table => route with { Table = attribute.AsUInt32() },
                Rta.MultiPath => route with { NextHops = NextHops(attribute.Value) },
                _ => route,
            };
        }

        return route with { Destination = Network(destination, prefixLength, bits) };
    }

    /// <summary>Clears host bits, which the constructor of <see cref="IPNetwork"/> would refuse.</summary>
    private static IPNetwork Network(IPAddress address, int prefixLength, int bits)
    {
        byte[] bytes = address.GetAddressBytes();
        if (bytes.Length * 8 != bits)
        {
            throw NetlinkException.Malformed("a route's destination is of another family than the route");
        }

        for (int i = 0; i < bytes.Length; i++)
        {
            int kept = Math.Clamp(prefixLength - (i * 8), 0, 8);
            bytes[i] &= (byte)(0xff << (8 - kept));
        }

        return new IPNetwork(new IPAddress(bytes), prefixLength);
    }

    /// <summary>A list of <c>struct rtnexthop</c> (length, flags, hops, index), each followed by attributes.</summary>
    private static ImmutableArray<RouteNextHop> NextHops(ReadOnlySpan<byte> rest)
    {
        List<RouteNextHop> hops = [];
        while (rest.Length >= Rta.NextHopBodyBytes)
        {
            ushort length = BinaryPrimitives.ReadUInt16LittleEndian(rest);
            if (length < Rta.NextHopBodyBytes || length > rest.Length)
            {
                throw NetlinkException.Malformed($"a next hop claims {length} bytes where {rest.Length} are left");
            }

            IPAddress? gateway = null;
            var attributes = new AttributeReader(rest[Rta.NextHopBodyBytes..length]);
            while (attributes.TryRead(out NetlinkAttribute attribute))
            {
                if (attribute.Type == Rta.Gateway)
                {
                    gateway = attribute.AsAddress();
                }
            }

            hops.Add(new RouteNextHop(BinaryPrimitives.ReadInt32LittleEndian(rest[4..]), gateway));
            rest = rest[Math.Min(MessageWriter.Align(length), rest.Length)..];
        }

        return [.. hops];
    }
}

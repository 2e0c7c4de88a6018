using System.Buffers.Binary;
using Kcore.Netlink.Messages;

namespace Kcore.Netlink.Route;

/// <summary>RTM_NEWNEIGH and RTM_DELNEIGH to <see cref="NeighbourInfo"/>.</summary>
internal static class NeighbourDecoder
{
    /// <summary>Null for families Kcore does not look at.</summary>
    internal static NeighbourInfo? Decode(scoped in NetlinkMessage message)
    {
        ReadOnlySpan<byte> body = message.Body(Nda.BodyBytes);
        if (body[0] is not (Family.Inet or Family.Inet6 or Family.Bridge))
        {
            return null;
        }

        var neighbour = new NeighbourInfo
        {
            Table = (NeighbourTable)body[0],
            LinkIndex = BinaryPrimitives.ReadInt32LittleEndian(body[4..]),
            State = (NeighbourState)BinaryPrimitives.ReadUInt16LittleEndian(body[8..]),
            Flags = (NeighbourFlags)body[10],
        };
        AttributeReader attributes = message.Attributes(Nda.BodyBytes);
        while (attributes.TryRead(out NetlinkAttribute attribute))
        {
            neighbour = attribute.Type switch
            {
                Nda.LinkAddress => neighbour with { Mac = attribute.AsMac() },
                Nda.Destination => neighbour with { Destination = attribute.AsAddress() },
                Nda.Master => neighbour with { Master = attribute.AsInt32() },
                Nda.Vlan => neighbour with { Vlan = attribute.AsUInt16() },
                Nda.Port => neighbour with { Port = attribute.AsUInt16BigEndian() },
                Nda.Vni => neighbour with { Vni = attribute.AsUInt32() },
                Nda.Protocol => neighbour with { Protocol = attribute.AsByte() },
                _ => neighbour,
            };
        }

        return neighbour;
    }
}

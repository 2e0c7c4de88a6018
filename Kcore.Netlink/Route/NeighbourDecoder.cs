using System.Buffers.Binary;
using System.Net;
using System.Net.NetworkInformation;
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

        // Tables have ten thousands of entries: a copy for each attribute would be most of the work.
        PhysicalAddress? mac = null;
        IPAddress? destination = null;
        int? master = null;
        ushort? vlan = null, port = null;
        uint? vni = null;
        byte protocol = 0;
        AttributeReader attributes = message.Attributes(Nda.BodyBytes);
        while (attributes.TryRead(out NetlinkAttribute attribute))
        {
            switch (attribute.Type)
            {
                case Nda.LinkAddress:
                    mac = attribute.AsMac();
                    break;
                case Nda.Destination:
                    destination = attribute.AsAddress();
                    break;
                case Nda.Master:
                    master = attribute.AsInt32();
                    break;
                case Nda.Vlan:
                    vlan = attribute.AsUInt16();
                    break;
                case Nda.Port:
                    port = attribute.AsUInt16BigEndian();
                    break;
                case Nda.Vni:
                    vni = attribute.AsUInt32();
                    break;
                case Nda.Protocol:
                    protocol = attribute.AsByte();
                    break;
            }
        }

        return new NeighbourInfo
        {
            Table = (NeighbourTable)body[0],
            LinkIndex = BinaryPrimitives.ReadInt32LittleEndian(body[4..]),
            State = (NeighbourState)BinaryPrimitives.ReadUInt16LittleEndian(body[8..]),
            Flags = (NeighbourFlags)body[10],
            Mac = mac,
            Destination = destination,
            Master = master,
            Vlan = vlan,
            Port = port,
            Vni = vni,
            Protocol = protocol,
        };
    }
}

using System.Buffers.Binary;
using System.Net;
using Kcore.Netlink.Messages;

namespace Kcore.Netlink.Route;

/// <summary>RTM_NEWADDR and RTM_DELADDR to <see cref="AddressInfo"/>.</summary>
internal static class AddressDecoder
{
    internal static AddressInfo? Decode(scoped in NetlinkMessage message)
    {
        ReadOnlySpan<byte> body = message.Body(Ifa.BodyBytes);
        var flags = (AddressFlags)body[2];
        IPAddress? local = null;
        IPAddress? address = null;
        byte protocol = 0;
        AttributeReader attributes = message.Attributes(Ifa.BodyBytes);
        while (attributes.TryRead(out NetlinkAttribute attribute))
        {
            switch (attribute.Type)
            {
                case Ifa.Local:
                    local = attribute.AsAddress();
                    break;
                case Ifa.Address:
                    address = attribute.AsAddress();
                    break;
                case Ifa.Flags:
                    flags = (AddressFlags)attribute.AsUInt32();
                    break;
                case Ifa.Protocol:
                    protocol = attribute.AsByte();
                    break;
            }
        }

        // IFA_ADDRESS is the far end on a point-to-point link; IFA_LOCAL is absent for plain IPv6 addresses.
        return (local ?? address) is { } own
            ? new AddressInfo(BinaryPrimitives.ReadInt32LittleEndian(body[4..]), own, body[1], protocol, flags, body[3])
            : null;
    }
}

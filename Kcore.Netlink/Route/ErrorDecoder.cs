using System.Buffers.Binary;
using Kcore.Netlink.Messages;

namespace Kcore.Netlink.Route;

/// <summary>NLMSG_ERROR and NLMSG_DONE to <see cref="NetlinkError"/>.</summary>
internal static class ErrorDecoder
{
    /// <summary>Null for an acknowledgement.</summary>
    internal static NetlinkError? Decode(scoped in NetlinkMessage message)
    {
        int errno = BinaryPrimitives.ReadInt32LittleEndian(message.Body(sizeof(int)));
        if (errno == 0)
        {
            return null;
        }

        // struct nlmsgerr: error, header of the request and, unless capped, its payload; attributes follow.
        int attributesAt = sizeof(int);
        if (message.Type == Nlm.Error)
        {
            ReadOnlySpan<byte> body = message.Body(sizeof(int) + MessageWriter.HeaderBytes);
            uint request = (message.Flags & Nlm.Capped) != 0
                ? MessageWriter.HeaderBytes
                : BinaryPrimitives.ReadUInt32LittleEndian(body[sizeof(int)..]);
            attributesAt += request <= (uint)message.Payload.Length
                ? MessageWriter.Align((int)request)
                : throw NetlinkException.Malformed("an error quotes a request longer than itself");
        }

        string? text = null;
        int? offset = null;
        if ((message.Flags & Nlm.AckAttributes) != 0)
        {
            AttributeReader attributes = message.Attributes(attributesAt);
            while (attributes.TryRead(out NetlinkAttribute attribute))
            {
                switch (attribute.Type)
                {
                    case Nlm.ErrorText:
                        text = attribute.AsString();
                        break;
                    case Nlm.ErrorOffset:
                        offset = attribute.AsInt32();
                        break;
                }
            }
        }

        // Errors are negative; int.MinValue has no positive counterpart and no kernel sends it.
        return errno is < 0 and > int.MinValue
            ? new NetlinkError((Errno)(-errno), text, offset)
            : throw NetlinkException.Malformed($"an error has the number {errno}");
    }
}

using System.Buffers.Binary;

namespace Kcore.Daemon.Dataplane.Hosts;

/// <summary>
/// ICMP echo (RFC 792): type, code, checksum, identifier, sequence number, data. The data is a secret of this start, so
/// that only who received the question can answer it.
/// </summary>
internal static class EchoPacket
{
    public const int CookieBytes = 16;
    public const int Bytes = HeaderBytes + CookieBytes;

    private const int HeaderBytes = 8;
    private const int IpHeaderMin = 20;
    private const byte Request = 8;
    private const byte Reply = 0;

    public static void WriteRequest(Span<byte> packet, ushort identifier, ushort sequence, ReadOnlySpan<byte> cookie)
    {
        packet = packet[..Bytes];
        packet.Clear();
        packet[0] = Request;
        BinaryPrimitives.WriteUInt16BigEndian(packet[4..], identifier);
        BinaryPrimitives.WriteUInt16BigEndian(packet[6..], sequence);
        cookie[..CookieBytes].CopyTo(packet[HeaderBytes..]);
        BinaryPrimitives.WriteUInt16BigEndian(packet[2..], Checksum(packet));
    }

    /// <summary>Whether a received datagram answers one of our questions. Anything may be in it.</summary>
    /// <param name="hasIpHeader">A raw socket hands the IPv4 header on, a ping socket does not.</param>
    public static bool IsReply(ReadOnlySpan<byte> datagram, bool hasIpHeader, ReadOnlySpan<byte> cookie)
    {
        if (hasIpHeader)
        {
            int header = datagram.Length > 0 ? (datagram[0] & 0x0f) * 4 : 0;
            if (header < IpHeaderMin || header > datagram.Length)
            {
                return false;
            }

            datagram = datagram[header..];
        }

        return datagram.Length == Bytes && datagram[0] == Reply && datagram[1] == 0 && datagram[HeaderBytes..].SequenceEqual(cookie);
    }

    /// <summary>Of a packet whose checksum field is zero (RFC 1071).</summary>
    private static ushort Checksum(ReadOnlySpan<byte> packet)
    {
        uint sum = 0;
        for (int i = 0; i < packet.Length; i += 2)
        {
            sum += BinaryPrimitives.ReadUInt16BigEndian(packet[i..]);
        }

        sum = (sum & 0xffff) + (sum >> 16);
        return (ushort)~(sum + (sum >> 16));
    }
}

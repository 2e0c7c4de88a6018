using System.Buffers.Binary;
using System.Net;

namespace Kcore.Daemon.Dataplane.Paths;

/// <summary>
/// A probe as it is on the wire: IPv4, UDP to 4789, VXLAN (RFC 7348) of a VNI no network ever has, an Ethernet frame of the
/// type for local experiments (IEEE 802, 0x88B5), the message, zeros. To everything on the way it is a packet of an overlay.
/// </summary>
internal static class PathPacket
{
    /// <summary>The largest of 24 bits; networks have 10000 to 15999.</summary>
    public const uint Vni = 0xFF_FFFF;

    public const ushort Port = 4789;

    /// <summary>The smallest probe, IPv4 header included.</summary>
    public const int BytesMin = IpHeader + Headers + PathMessage.Size;

    /// <summary>The largest: an underlay with larger packets is probed with this.</summary>
    public const int BytesMax = 9_216;

    public const int IpHeader = 20;

    private const int Udp = 8;
    private const int Vxlan = 8;
    private const int Ethernet = 14;
    private const int Headers = Udp + Vxlan + Ethernet;
    private const int UdpProtocol = 17;
    private const ushort Experimental = 0x88B5;
    private const uint HasVni = 0x0800_0000;

    // The range the kernel takes for the packets of tunnels.
    private const int FirstSourcePort = 32_768;
    private const int SourcePorts = 28_232;

    /// <summary>
    /// Fills <paramref name="datagram"/>, whose length says how long the packet is, around the message that <paramref name="write"/> writes:
    /// what comes after the IPv4 header.
    /// </summary>
    /// <param name="flow">Chooses the source port, and so the way where there are several.</param>
    public static void Write(Span<byte> datagram, IPAddress from, IPAddress to, UInt128 flow, Action<Span<byte>> write)
    {
        datagram.Clear();
        BinaryPrimitives.WriteUInt16BigEndian(datagram, (ushort)(FirstSourcePort + (int)(flow % SourcePorts)));
        BinaryPrimitives.WriteUInt16BigEndian(datagram[2..], Port);
        BinaryPrimitives.WriteUInt16BigEndian(datagram[4..], (ushort)datagram.Length);
        BinaryPrimitives.WriteUInt32BigEndian(datagram[Udp..], HasVni);
        BinaryPrimitives.WriteUInt32BigEndian(datagram[(Udp + 4)..], Vni << 8);
        Span<byte> frame = datagram[(Udp + Vxlan)..];
        frame[0] = frame[6] = 0x02;
        BinaryPrimitives.WriteUInt16BigEndian(frame[12..], Experimental);
        write(datagram.Slice(Headers, PathMessage.Size));
        BinaryPrimitives.WriteUInt16BigEndian(datagram[6..], Checksum(datagram, from, to));
    }

    /// <summary>The message in a received packet, and who sent the packet by its own word; false when it is no probe. Anything may be in it.</summary>
    public static bool TryRead(ReadOnlySpan<byte> packet, out ReadOnlySpan<byte> message, out IPAddress from)
    {
        message = default;
        from = IPAddress.None;
        int header = packet.Length < BytesMin ? 0 : (packet[0] & 0x0f) * 4;
        if (header < IpHeader || packet[0] >> 4 != 4 || packet[9] != UdpProtocol || packet.Length - header < Headers + PathMessage.Size)
        {
            return false;
        }

        ReadOnlySpan<byte> datagram = packet[header..];
        ReadOnlySpan<byte> rest = datagram[(Headers + PathMessage.Size)..];
        if (BinaryPrimitives.ReadUInt16BigEndian(datagram[2..]) != Port
            || BinaryPrimitives.ReadUInt16BigEndian(datagram[4..]) != datagram.Length
            || BinaryPrimitives.ReadUInt32BigEndian(datagram[Udp..]) != HasVni
            || BinaryPrimitives.ReadUInt32BigEndian(datagram[(Udp + 4)..]) != Vni << 8
            || BinaryPrimitives.ReadUInt16BigEndian(datagram[(Udp + Vxlan + 12)..]) != Experimental
            || rest.ContainsAnyExcept((byte)0))
        {
            return false;
        }

        message = datagram.Slice(Headers, PathMessage.Size);
        from = new IPAddress(packet.Slice(12, 4));
        return true;
    }

    /// <summary>Of UDP with the pseudo header (RFC 768); the checksum field is zero.</summary>
    private static ushort Checksum(ReadOnlySpan<byte> datagram, IPAddress from, IPAddress to)
    {
        Span<byte> pseudo = stackalloc byte[12];
        from.TryWriteBytes(pseudo, out _);
        to.TryWriteBytes(pseudo[4..], out _);
        pseudo[9] = UdpProtocol;
        BinaryPrimitives.WriteUInt16BigEndian(pseudo[10..], (ushort)datagram.Length);
        uint sum = Sum(pseudo) + Sum(datagram);
        sum = (sum & 0xffff) + (sum >> 16);
        var checksum = (ushort)~(sum + (sum >> 16));

        // Zero would say that there is none.
        return checksum == 0 ? (ushort)0xffff : checksum;
    }

    private static uint Sum(ReadOnlySpan<byte> bytes)
    {
        uint sum = 0;
        for (; bytes.Length > 1; bytes = bytes[2..])
        {
            sum += BinaryPrimitives.ReadUInt16BigEndian(bytes);
        }

        return bytes.IsEmpty ? sum : sum + ((uint)bytes[0] << 8);
    }
}

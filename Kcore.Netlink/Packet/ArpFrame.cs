using System.Buffers.Binary;
using System.Net;
using System.Net.NetworkInformation;

namespace Kcore.Netlink.Packet;

/// <summary>Ethernet frames that tell everybody where a MAC is, 60 bytes without the check sequence (IEEE 802.3's least).</summary>
public static class ArpFrame
{
    private const int FrameBytes = 60;

    /// <summary>An announcement (RFC 5227, 2.3): a request for the sender's own IPv4 address.</summary>
    public static byte[] Gratuitous(PhysicalAddress mac, IPAddress address)
    {
        byte[] bytes = address.GetAddressBytes();
        ArgumentOutOfRangeException.ThrowIfNotEqual(bytes.Length, 4, nameof(address));
        return Build(0x0806, 1, mac, bytes, new byte[6]);
    }

    /// <summary>A reverse request (RFC 903) for the MAC itself: nobody answers, and every switch learns the way.</summary>
    public static byte[] Reverse(PhysicalAddress mac) => Build(0x8035, 3, mac, new byte[4], mac.GetAddressBytes());

    private static byte[] Build(ushort type, ushort operation, PhysicalAddress mac, byte[] address, byte[] target)
    {
        byte[] source = mac.GetAddressBytes();
        ArgumentOutOfRangeException.ThrowIfNotEqual(source.Length, 6, nameof(mac));
        byte[] frame = new byte[FrameBytes];
        frame.AsSpan(0, 6).Fill(0xff);
        source.CopyTo(frame, 6);
        BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(12), type);
        BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(14), 1);
        BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(16), 0x0800);
        frame[18] = 6;
        frame[19] = 4;
        BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(20), operation);
        source.CopyTo(frame, 22);
        address.CopyTo(frame, 28);
        target.CopyTo(frame, 32);
        address.CopyTo(frame, 38);
        return frame;
    }
}

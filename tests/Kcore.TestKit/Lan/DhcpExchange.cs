using System.Buffers.Binary;
using System.Net;

namespace Kcore.TestKit.Lan;

/// <summary>What a DHCP server gave (RFC 2131).</summary>
/// <param name="Options">By number, as sent (RFC 2132).</param>
public sealed record DhcpLease(IPAddress Address, IPAddress Server, IReadOnlyDictionary<byte, byte[]> Options)
{
    public IPAddress AddressOf(byte option) => new(Options[option].AsSpan(0, 4));

    public IReadOnlyList<IPAddress> AddressesOf(byte option) => [.. Options[option].Chunk(4).Select(b => new IPAddress(b))];

    public uint NumberOf(byte option) => Options[option].Aggregate(0u, (sum, b) => (sum << 8) | b);

    public string TextOf(byte option) => System.Text.Encoding.ASCII.GetString(Options[option]);
}

/// <summary>A DHCP client that is nothing but frames: discover, offer, request, acknowledge.</summary>
public static class DhcpExchange
{
    private const ushort IPv4 = 0x0800;
    private const byte Discover = 1;
    private const byte Offer = 2;
    private const byte Request = 3;
    private const byte Acknowledge = 5;

    private static readonly byte[] Broadcast = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff];

    /// <summary>Asks for an address; null when nobody gives one in time.</summary>
    public static async Task<DhcpLease?> RunAsync(string netns, string device, TimeSpan patience)
    {
        using PacketSocket socket = PacketSocket.Open(netns, device, IPv4);
        uint id = BinaryPrimitives.ReadUInt32BigEndian(System.Security.Cryptography.RandomNumberGenerator.GetBytes(4));
        DhcpLease? offer = await AskAsync(socket, id, Discover, Offer, null, patience);
        return offer is null ? null : await AskAsync(socket, id, Request, Acknowledge, offer, patience);
    }

    private static async Task<DhcpLease?> AskAsync(PacketSocket socket, uint id, byte question, byte answer, DhcpLease? offer, TimeSpan patience)
    {
        long begun = System.Diagnostics.Stopwatch.GetTimestamp();
        while (System.Diagnostics.Stopwatch.GetElapsedTime(begun) < patience)
        {
            socket.Send(PacketSocket.Frame(Broadcast, socket.Mac, IPv4, Packet(Message(socket.Mac, id, question, offer))));
            IReadOnlyList<byte[]> heard = await socket.CollectAsync(TimeSpan.FromSeconds(1), f => Read(f, id, answer) is not null, most: 1);
            if (heard is [var frame])
            {
                return Read(frame, id, answer);
            }
        }

        return null;
    }

    private static byte[] Message(byte[] mac, uint id, byte kind, DhcpLease? offer)
    {
        byte[] head = new byte[240];
        (head[0], head[1], head[2]) = (1, 1, 6);
        BinaryPrimitives.WriteUInt32BigEndian(head.AsSpan(4), id);
        mac.CopyTo(head, 28);
        new byte[] { 0x63, 0x82, 0x53, 0x63 }.CopyTo(head, 236);
        byte[] wanted = offer is null ? [] : [50, 4, .. offer.Address.GetAddressBytes(), 54, 4, .. offer.Server.GetAddressBytes()];
        return [.. head, 53, 1, kind, .. wanted, 55, 6, 1, 3, 6, 12, 26, 51, 255];
    }

    /// <summary>0.0.0.0:68 to 255.255.255.255:67. A UDP checksum of zero is none (RFC 768).</summary>
    private static byte[] Packet(byte[] payload)
    {
        byte[] packet = new byte[28 + payload.Length];
        packet[0] = 0x45;
        BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(2), (ushort)packet.Length);
        (packet[8], packet[9]) = (64, 17);
        packet.AsSpan(16, 4).Fill(0xff);
        uint sum = 0;
        for (int i = 0; i < 20; i += 2)
        {
            sum += BinaryPrimitives.ReadUInt16BigEndian(packet.AsSpan(i));
        }

        BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(10), (ushort)~(sum + (sum >> 16)));
        BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(20), 68);
        BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(22), 67);
        BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(24), (ushort)(8 + payload.Length));
        payload.CopyTo(packet, 28);
        return packet;
    }

    private static DhcpLease? Read(byte[] frame, uint id, byte kind)
    {
        const int Head = 14 + 20 + 8;
        if (frame.Length < Head + 241 || frame[23] != 17 || frame[Head] != 2 || BinaryPrimitives.ReadUInt32BigEndian(frame.AsSpan(Head + 4)) != id)
        {
            return null;
        }

        Dictionary<byte, byte[]> options = [];
        for (int at = Head + 240; at + 1 < frame.Length && frame[at] != 255; at += frame[at] == 0 ? 1 : 2 + frame[at + 1])
        {
            if (frame[at] != 0 && at + 2 + frame[at + 1] <= frame.Length)
            {
                options[frame[at]] = frame[(at + 2)..(at + 2 + frame[at + 1])];
            }
        }

        return options.TryGetValue(53, out byte[]? type) && type is [var said] && said == kind && options.TryGetValue(54, out byte[]? server)
            ? new DhcpLease(new IPAddress(frame.AsSpan(Head + 16, 4)), new IPAddress(server), options)
            : null;
    }
}

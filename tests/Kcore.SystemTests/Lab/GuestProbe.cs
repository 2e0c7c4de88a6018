using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using Kcore.TestKit.Lan;

namespace Kcore.SystemTests.Lab;

/// <summary>Questions that a guest's own interface answers.</summary>
internal static class GuestProbe
{
    /// <summary>Local experimental EtherType 1 (IEEE 802): nothing else on the lab LAN speaks it.</summary>
    public const ushort Experimental = 0x88B5;

    public const ushort Arp = 0x0806;

    private const int TunnelPort = 4789;

    public static byte[] Broadcast { get; } = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff];

    /// <summary>Frame of an ARP request of the socket's device (RFC 826): Ethernet, IPv4, opcode 1.</summary>
    public static byte[] ArpRequest(PacketSocket socket, string source, string target) => PacketSocket.Frame(
        Broadcast,
        socket.Mac,
        Arp,
        [0, 1, 8, 0, 6, 4, 0, 1, .. socket.Mac, .. IPAddress.Parse(source).GetAddressBytes(), 0, 0, 0, 0, 0, 0, .. IPAddress.Parse(target).GetAddressBytes()]);

    /// <summary>The MAC of every reply to one ARP request of the guest, in the order they came.</summary>
    public static async Task<string[]> ArpRepliesAsync(Guest guest, string target, TimeSpan during)
    {
        using PacketSocket socket = guest.OpenPacket(Arp);
        byte[] sought = IPAddress.Parse(target).GetAddressBytes();
        Task<IReadOnlyList<byte[]>> replies = socket.CollectAsync(during, f => f.Length >= 42 && f[21] == 2 && f.AsSpan(28, 4).SequenceEqual(sought));
        socket.Send(ArpRequest(socket, guest.Address, target));
        return [.. (await replies).Select(f => string.Join(':', f[22..28].Select(b => b.ToString("x2", System.Globalization.CultureInfo.InvariantCulture))))];
    }

    /// <summary>Under which address something the guest sends arrives beyond the LAN.</summary>
    public static async Task<string> SourceSeenOutsideAsync(NodeLan lan, Guest guest)
    {
        using CancellationTokenSource deadline = new(TimeSpan.FromSeconds(5));
        using Socket outside = Listen(lan.Switch, 7002);
        using Socket sender = Netns.Run(guest.Namespace, () => new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp));
        await sender.SendToAsync("hello"u8.ToArray(), new IPEndPoint(IPAddress.Parse(NodeLan.Outside), 7002), deadline.Token);
        SocketReceiveFromResult got = await outside.ReceiveFromAsync(new byte[64], new IPEndPoint(IPAddress.Any, 0), deadline.Token);
        return ((IPEndPoint)got.RemoteEndPoint).Address.ToString();
    }

    public static Socket Listen(string netns, int port) => Netns.Run(netns, () =>
    {
        Socket s = new(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        s.Bind(new IPEndPoint(IPAddress.Any, port));
        return s;
    });

    /// <summary>Sends a broadcast frame wrapped by hand in a tunnel packet, and tells whether the guest got it.</summary>
    /// <param name="mark">Tells this frame from others.</param>
    /// <param name="source">Outer source address; null leaves it to the kernel.</param>
    public static async Task<bool> TunnelFrameArrivesAsync(string fromNamespace, uint vni, Guest guest, byte mark, string? source = null)
    {
        using PacketSocket listener = guest.OpenPacket(Experimental);
        byte[] sender = [0x02, 0, 0, 0, 0x46, mark];
        Task<IReadOnlyList<byte[]>> seen = listener.CollectAsync(TimeSpan.FromSeconds(1), f => f.AsSpan(6, 6).SequenceEqual(sender), most: 1);
        byte[] header = [8, 0, 0, 0, 0, 0, 0, 0];
        BinaryPrimitives.WriteUInt32BigEndian(header.AsSpan(4), vni << 8);
        byte[] packet = [.. header, .. PacketSocket.Frame(Broadcast, sender, Experimental, new byte[46])];
        using Socket socket = Netns.Run(fromNamespace, () =>
        {
            Socket s = new(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
            if (source is not null)
            {
                s.Bind(new IPEndPoint(IPAddress.Parse(source), 0));
            }

            return s;
        });
        socket.SendTo(packet, new IPEndPoint(IPAddress.Parse(guest.Node.Address), TunnelPort));
        return (await seen).Count > 0;
    }
}

/// <summary>A tunnel packet as it crosses the LAN (RFC 7348): what somebody with tcpdump on the uplink reads of it.</summary>
internal sealed record TunnelPacket(string From, string To, uint Vni, byte[] Inner)
{
    private const int Ethernet = 14;

    public ushort InnerType => BinaryPrimitives.ReadUInt16BigEndian(Inner.AsSpan(12));

    public bool IsBroadcast => Inner.AsSpan(0, 6).SequenceEqual(GuestProbe.Broadcast);

    /// <summary>Null when the frame is no IPv4 packet to UDP 4789.</summary>
    public static TunnelPacket? Read(byte[] frame)
    {
        if (frame.Length < Ethernet + 20 || frame[12] != 0x08 || frame[13] != 0 || frame[23] != 17)
        {
            return null;
        }

        int udp = Ethernet + ((frame[Ethernet] & 0xf) * 4);
        return frame.Length < udp + 16 + Ethernet || BinaryPrimitives.ReadUInt16BigEndian(frame.AsSpan(udp + 2)) != 4789
            ? null
            : new TunnelPacket(
                new IPAddress(frame.AsSpan(26, 4)).ToString(),
                new IPAddress(frame.AsSpan(30, 4)).ToString(),
                BinaryPrimitives.ReadUInt32BigEndian(frame.AsSpan(udp + 12)) >> 8,
                frame[(udp + 16)..]);
    }

    /// <summary>What crosses the LAN of one network while something is done: each packet once, on its way out of its node.</summary>
    public static async Task<IReadOnlyList<TunnelPacket>> DuringAsync(IReadOnlyList<LanNode> nodes, uint vni, Func<Task> action)
    {
        PacketSocket[] taps = [.. nodes.Select(n => PacketSocket.Open(n.Namespace, "eth0", 0x0003))];
        using CancellationTokenSource over = new();
        Task<List<byte[]>>[] watching = [.. taps.Select(t => WatchAsync(t, over.Token))];
        List<byte[]>[] seen;
        try
        {
            await action();
            // What is on its way is still counted.
            await Task.Delay(TimeSpan.FromSeconds(0.2));
        }
        finally
        {
            await over.CancelAsync();
            seen = await Task.WhenAll(watching);
            Array.ForEach(taps, t => t.Dispose());
        }

        return [.. nodes.Zip(seen, (n, frames) => frames.Select(Read).OfType<TunnelPacket>().Where(t => t.Vni == vni && t.From == n.Address)).SelectMany(p => p)];
    }

    private static async Task<List<byte[]>> WatchAsync(PacketSocket tap, CancellationToken over)
    {
        List<byte[]> frames = [];
        byte[] buffer = new byte[65536];
        try
        {
            while (true)
            {
                int length = await tap.ReceiveAsync(buffer, over);
                frames.Add(buffer[..length]);
            }
        }
        catch (OperationCanceledException)
        {
            return frames;
        }
    }
}

using System.Buffers.Binary;
using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Kcore.TestKit.Lan;

/// <summary>Sends and receives whole Ethernet frames on one device of a namespace (packet(7)).</summary>
public sealed partial class PacketSocket : IDisposable
{
    private readonly Socket _socket;

    private PacketSocket(Socket socket, byte[] mac)
    {
        _socket = socket;
        Mac = mac;
    }

    /// <summary>MAC address of the device.</summary>
    public byte[] Mac { get; }

    /// <param name="etherType">0x0003 receives every protocol.</param>
    public static PacketSocket Open(string netns, string device, ushort etherType) => Netns.Run(netns, () =>
    {
        string sys = NetDevice(device);
        Socket socket = new(AddressFamily.Packet, SocketType.Raw, (ProtocolType)BinaryPrimitives.ReverseEndianness(etherType));
        socket.Bind(new LinkEndPoint(etherType, int.Parse(sys.Split(' ')[0], CultureInfo.InvariantCulture)));
        return new PacketSocket(socket, ParseMac(sys.Split(' ')[1]));
    });

    public static byte[] ParseMac(string mac) => Convert.FromHexString(mac.Replace(":", "", StringComparison.Ordinal));

    /// <summary>Destination, source and type in front of the payload.</summary>
    public static byte[] Frame(byte[] destination, byte[] source, ushort etherType, byte[] payload) =>
        [.. destination, .. source, (byte)(etherType >> 8), (byte)etherType, .. payload];

    public void Send(byte[] frame) => _socket.Send(frame);

    /// <summary>One frame, whole.</summary>
    public ValueTask<int> ReceiveAsync(Memory<byte> buffer, CancellationToken token) => _socket.ReceiveAsync(buffer, SocketFlags.None, token);

    /// <summary>All frames that arrive during the time (or until <paramref name="most"/> have) and are wanted.</summary>
    public async Task<IReadOnlyList<byte[]>> CollectAsync(TimeSpan during, Func<byte[], bool> wanted, int most = int.MaxValue)
    {
        List<byte[]> frames = [];
        byte[] buffer = new byte[65536];
        using CancellationTokenSource deadline = new(during);
        try
        {
            while (frames.Count < most)
            {
                int length = await _socket.ReceiveAsync(buffer, SocketFlags.None, deadline.Token);
                byte[] frame = buffer[..length];
                if (wanted(frame))
                {
                    frames.Add(frame);
                }
            }
        }
        catch (OperationCanceledException)
        {
            // The time is over.
        }

        return frames;
    }

    public void Dispose() => _socket.Dispose();

    // Runs inside the namespace. One question about one device: a list of all fails when another one goes away meanwhile.
    private static string NetDevice(string device)
    {
        // struct ifreq of linux/if.h: the name, then a struct sockaddr whose data begins with the hardware address.
        const int NameBytes = 16;
        Span<byte> request = stackalloc byte[40];
        request.Clear();
        System.Text.Encoding.ASCII.GetBytes(device, request[..(NameBytes - 1)]);
        using Socket any = new(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        if (Native.Ioctl((int)any.Handle, Native.GetHardwareAddress, request) != 0)
        {
            throw new InvalidOperationException($"There is no device {device}.");
        }

        return string.Create(CultureInfo.InvariantCulture, $"{NameToIndex(device)} {string.Join(':', request.Slice(NameBytes + 2, 6).ToArray().Select(b => b.ToString("x2")))}");
    }

    private static int NameToIndex(string device) => (int)Native.IfNameToIndex(device);

    // struct sockaddr_ll of linux/if_packet.h.
    private sealed class LinkEndPoint(ushort etherType, int index) : EndPoint
    {
        public override AddressFamily AddressFamily => AddressFamily.Packet;

        public override SocketAddress Serialize()
        {
            SocketAddress address = new(AddressFamily.Packet, 20);
            address[2] = (byte)(etherType >> 8);
            address[3] = (byte)etherType;
            Span<byte> bytes = stackalloc byte[4];
            BinaryPrimitives.WriteInt32LittleEndian(bytes, index);
            for (int i = 0; i < bytes.Length; i++)
            {
                address[4 + i] = bytes[i];
            }

            return address;
        }
    }

    private static partial class Native
    {
        [System.Runtime.InteropServices.LibraryImport("libc", EntryPoint = "if_nametoindex", StringMarshalling = System.Runtime.InteropServices.StringMarshalling.Utf8)]
        internal static partial uint IfNameToIndex(string name);

        /// <summary>SIOCGIFHWADDR of linux/sockios.h.</summary>
        internal const nuint GetHardwareAddress = 0x8927;

        [System.Runtime.InteropServices.LibraryImport("libc", EntryPoint = "ioctl")]
        internal static partial int Ioctl(int descriptor, nuint request, Span<byte> argument);
    }
}

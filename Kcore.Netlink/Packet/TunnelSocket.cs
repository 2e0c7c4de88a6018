using System.Net;
using System.Net.Sockets;

namespace Kcore.Netlink.Packet;

/// <summary>
/// Sends UDP packets to the port of the kernel's own tunnel socket, and hears those of one VNI that arrive there: a raw socket
/// (raw(7)), because nobody else can bind the port. What it hears has passed the host's input filters, which is the point;
/// the kernel's tunnel socket gets the same packet and drops it, as long as no device has that VNI. IPv4.
/// </summary>
public sealed class TunnelSocket : IDisposable
{
    private const int IpProtocolIp = 0;
    private const int IpMtuDiscover = 10;
    private const int SolSocket = 1;
    private const int SoAttachFilter = 26;

    /// <summary><c>IP_PMTUDISC_PROBE</c> (linux/in.h): "don't fragment" is set, and what routes were told of the path is not believed.</summary>
    private const int Probe = 3;

    private readonly Socket _socket;

    private TunnelSocket(Socket socket) => _socket = socket;

    /// <summary>Takes CAP_NET_RAW. Opens in the network namespace of the calling thread.</summary>
    /// <param name="local">Packets come from, and are heard at, this address.</param>
    /// <param name="vni">Only VXLAN packets (RFC 7348) of this VNI are heard; 24 bits.</param>
    /// <exception cref="SocketException">Not permitted, or the address is not this host's.</exception>
    public static TunnelSocket Open(IPAddress local, ushort port, uint vni)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(vni, 0xFF_FFFFu);
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Raw, ProtocolType.Udp);
        try
        {
            // Before it is bound: a filter that comes later lets through what is already queued.
            AttachFilter(socket, port, vni);
            socket.SetRawSocketOption(IpProtocolIp, IpMtuDiscover, BitConverter.GetBytes(Probe));
            socket.Blocking = false;
            socket.Bind(new IPEndPoint(local, 0));
            return new TunnelSocket(socket);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <param name="datagram">UDP header and payload; the kernel puts the IPv4 header before it.</param>
    /// <exception cref="SocketException"><see cref="SocketError.MessageSize"/>: longer than the device carries. Others: no route, a full queue, a filter of this host.</exception>
    public void Send(IPAddress to, ReadOnlySpan<byte> datagram) => _socket.SendTo(datagram, SocketFlags.None, new IPEndPoint(to, 0));

    /// <summary>Waits for the next packet; how long it is, IPv4 header included.</summary>
    /// <exception cref="SocketException">A packet that does not fit, or the host's network is going down.</exception>
    public async ValueTask<int> ReceiveAsync(Memory<byte> packet, CancellationToken token) =>
        (await _socket.ReceiveFromAsync(packet, SocketFlags.None, new IPEndPoint(IPAddress.Any, 0), token)).ReceivedBytes;

    public void Dispose() => _socket.Dispose();

    /// <summary>
    /// Classic BPF (linux/filter.h): X is the length of the IPv4 header; then the destination port and the VNI are compared.
    /// Without it every packet of every overlay would be queued here.
    /// </summary>
    private static unsafe void AttachFilter(Socket socket, ushort port, uint vni)
    {
        const ushort LoadHeaderLength = 0xb1, LoadHalf = 0x48, LoadWord = 0x40, JumpIfEqual = 0x15, Return = 0x06;
        Instruction[] program =
        [
            new(LoadHeaderLength, 0, 0, 0),
            new(LoadHalf, 0, 0, 2),
            new(JumpIfEqual, 0, 3, port),
            new(LoadWord, 0, 0, 12),
            new(JumpIfEqual, 0, 1, vni << 8),
            new(Return, 0, 0, 0xFFFF),
            new(Return, 0, 0, 0),
        ];
        fixed (Instruction* first = program)
        {
            Program all = new() { Length = (ushort)program.Length, First = first };
            socket.SetRawSocketOption(SolSocket, SoAttachFilter, new ReadOnlySpan<byte>(&all, sizeof(Program)));
        }
    }

    private readonly record struct Instruction(ushort Code, byte IfTrue, byte IfFalse, uint Value);

    private unsafe struct Program
    {
        public ushort Length;
        public Instruction* First;
    }
}

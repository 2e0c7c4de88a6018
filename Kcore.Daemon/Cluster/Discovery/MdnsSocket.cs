using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Kcore.Daemon.Cluster.Discovery;

/// <summary>
/// A UDP socket that takes part in multicast DNS on one interface. It is bound to the group's address, so it never
/// gets unicast datagrams, which could come from beyond the link (RFC 6762 §11), and never steals those of another
/// responder on port 5353.
/// </summary>
internal sealed class MdnsSocket : IMdnsSocket
{
    public const int Port = 5353;

    // Linux's numbers (asm-generic/socket.h, linux/in.h).
    private const int SolSocket = 1;
    private const int SoReuseAddress = 2;
    private const int SoReusePort = 15;
    private const int SoBindToDevice = 25;
    private const int IpProtocol = 0;
    private const int IpMulticastInterface = 32;
    private const int IpAddMembership = 35;
    private const int IpMulticastAll = 49;

    private static readonly IPEndPoint Group = new(IPAddress.Parse("224.0.0.251"), Port);
    private static readonly IPEndPoint AnySender = new(IPAddress.Any, 0);

    private readonly Socket _socket = new(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);

    public MdnsSocket(MdnsInterface on)
    {
        try
        {
            // Avahi sets both; with only one of them the second to bind would be refused.
            SetFlag(SolSocket, SoReuseAddress, 1);
            SetFlag(SolSocket, SoReusePort, 1);
            _socket.SetRawSocketOption(SolSocket, SoBindToDevice, Encoding.UTF8.GetBytes(on.Name + "\0"));
            _socket.Bind(Group);

            // struct ip_mreqn: group, local address, index. By index, because addresses move and routes may be missing.
            Span<byte> membership = stackalloc byte[12];
            membership.Clear();
            Group.Address.TryWriteBytes(membership, out _);
            BinaryPrimitives.WriteInt32LittleEndian(membership[8..], on.Index);
            _socket.SetRawSocketOption(IpProtocol, IpAddMembership, membership);
            _socket.SetRawSocketOption(IpProtocol, IpMulticastInterface, membership);

            // Without this, groups joined by any process of the host are delivered here.
            SetFlag(IpProtocol, IpMulticastAll, 0);
            _socket.MulticastLoopback = true;
            _socket.SetSocketOption(SocketOptionLevel.IP, SocketOptionName.MulticastTimeToLive, 255);
            _socket.Ttl = 255;
            _socket.Blocking = false;
        }
        catch
        {
            _socket.Dispose();
            throw;
        }
    }

    public async ValueTask<(int Length, IPEndPoint From)> ReceiveAsync(
        Memory<byte> buffer, CancellationToken cancellationToken)
    {
        SocketReceiveFromResult result = await _socket.ReceiveFromAsync(buffer, AnySender, cancellationToken);
        return (result.ReceivedBytes, (IPEndPoint)result.RemoteEndPoint);
    }

    public void Send(ReadOnlySpan<byte> message, IPEndPoint? to) => _socket.SendTo(message, to ?? Group);

    public void Dispose() => _socket.Dispose();

    private void SetFlag(int level, int option, int value)
    {
        Span<byte> bytes = stackalloc byte[4];
        BinaryPrimitives.WriteInt32LittleEndian(bytes, value);
        _socket.SetRawSocketOption(level, option, bytes);
    }
}

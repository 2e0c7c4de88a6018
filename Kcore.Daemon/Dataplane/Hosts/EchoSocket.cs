using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;

namespace Kcore.Daemon.Dataplane.Hosts;

/// <summary>One socket that asks hosts for an echo and hears the answers. IPv4.</summary>
internal sealed class EchoSocket : IDisposable
{
    private readonly Socket _socket;
    private readonly bool _isRaw;
    private readonly ushort _identifier;
    private readonly byte[] _cookie = RandomNumberGenerator.GetBytes(EchoPacket.CookieBytes);
    private readonly byte[] _request = new byte[EchoPacket.Bytes];
    private readonly byte[] _received = new byte[256];
    private ushort _sequence;

    private EchoSocket(Socket socket, bool isRaw)
    {
        _socket = socket;
        _isRaw = isRaw;
        _identifier = (ushort)RandomNumberGenerator.GetInt32(ushort.MaxValue);
        socket.Blocking = false;

        // Receiving may come before the first question, which would bind it.
        socket.Bind(new IPEndPoint(IPAddress.Any, 0));
    }

    /// <summary>
    /// A ping socket where the host lets everybody have one (net.ipv4.ping_group_range), because the kernel hands it only
    /// its own answers; else a raw socket, which needs CAP_NET_RAW. Null with the reason when neither is to be had.
    /// </summary>
    public static EchoSocket? Open(out string? refusal)
    {
        refusal = null;
        foreach (SocketType type in (SocketType[])[SocketType.Dgram, SocketType.Raw])
        {
            try
            {
                return new EchoSocket(new Socket(AddressFamily.InterNetwork, type, ProtocolType.Icmp), type == SocketType.Raw);
            }
            catch (SocketException e)
            {
                refusal = e.Message;
            }
        }

        return null;
    }

    /// <summary>False when this host could not send it: that says nothing of the other one.</summary>
    public bool TrySend(IPAddress address)
    {
        if (address.AddressFamily != AddressFamily.InterNetwork)
        {
            return false;
        }

        EchoPacket.WriteRequest(_request, _identifier, ++_sequence, _cookie);
        try
        {
            _socket.SendTo(_request, new IPEndPoint(address, 0));
            return true;
        }
        catch (SocketException e)
        {
            // Nobody has that address on the link any more: that does say something of the other host.
            return e.SocketErrorCode == SocketError.HostUnreachable;
        }
    }

    /// <summary>Waits for the next datagram; the host that answered, or null when it was something else.</summary>
    public async Task<IPAddress?> ReceiveAsync(CancellationToken token)
    {
        try
        {
            SocketReceiveFromResult received = await _socket.ReceiveFromAsync(_received, SocketFlags.None, new IPEndPoint(IPAddress.Any, 0), token);
            return EchoPacket.IsReply(_received.AsSpan(0, received.ReceivedBytes), _isRaw, _cookie)
                ? ((IPEndPoint)received.RemoteEndPoint).Address
                : null;
        }
        catch (SocketException)
        {
            // An error another host reported, or a datagram that is longer than any answer.
            return null;
        }
    }

    public void Dispose() => _socket.Dispose();
}

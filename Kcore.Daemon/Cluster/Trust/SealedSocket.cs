using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using Kcore.Gossip;
using Kcore.Gossip.Wire.Sealing;
using Microsoft.Extensions.Logging;

namespace Kcore.Daemon.Cluster.Trust;

/// <summary>
/// The gossip socket: messages go out sealed with a key their receiver holds, and come in authenticated and fresh. The
/// gossip loop sends, one task receives; what both need is used under one lock, for microseconds.
/// </summary>
internal sealed partial class SealedSocket : IDisposable
{
    private const int CookieKeySize = 32;

    private readonly Lock _use = new();
    private readonly NodeId _self;
    private readonly Socket _socket;
    private readonly SealedChannel _channel;
    private readonly KeyRing _ring;
    private readonly PeerKeys _peers;
    private readonly TimeProvider _time;
    private readonly long _started;
    private readonly ILogger _logger;
    private readonly byte[] _outgoing = new byte[DatagramHeader.MaxDatagram];

    /// <param name="started">Timestamp that is zero for replay protection.</param>
    public SealedSocket(
        int port, NodeId self, uint bootEpoch, KeyRing ring, ClusterScope scope, PeerKeys peers, TimeProvider time, long started, ILogger logger)
    {
        _self = self;
        _ring = ring;
        _peers = peers;
        _time = time;
        _started = started;
        _logger = logger;
        Span<byte> cookieKey = stackalloc byte[CookieKeySize];
        RandomNumberGenerator.Fill(cookieKey);
        _channel = new SealedChannel(self.Value, NewBoot(bootEpoch), ring, scope, cookieKey);
        CryptographicOperations.ZeroMemory(cookieKey);
        _socket = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp) { ReceiveBufferSize = 4 << 20 };
        _socket.Bind(new IPEndPoint(IPAddress.Any, port));
    }

    private TimeSpan Now => _time.GetElapsedTime(_started);

    /// <summary>Peers remember a later start than this one; they take nothing older from us.</summary>
    public void ChangeBoot(uint epoch)
    {
        lock (_use)
        {
            _channel.ChangeBoot(NewBoot(epoch));
        }
    }

    /// <summary>Sends a message; for gossip one that cannot be sent is a lost one.</summary>
    public void Send(NodeId? to, IPEndPoint endpoint, ReadOnlyMemory<byte> payload)
    {
        lock (_use)
        {
            // Of somebody we know nothing of we do not know the keys either: while there are several, one of each.
            uint heard = to is { } known ? _channel.LatestKeyOf(known.Value) : 0;
            foreach (uint keyId in _ring.SendKeys(id => to is { } node && (_peers.Holds(node, id) || heard == id)))
            {
                int length = _channel.Seal(payload, to?.Value, endpoint, keyId, Now, _outgoing);
                if (length == 0)
                {
                    Log.NotSealed(_logger);
                    return;
                }

                Send(_outgoing.AsSpan(0, length), endpoint);
            }
        }
    }

    /// <summary>Hands every message to <paramref name="onMessage"/>, which must not block, until cancelled.</summary>
    public async Task ReceiveAsync(Action<NodeId, IPEndPoint, byte[]> onMessage, CancellationToken token)
    {
        byte[] datagram = GC.AllocateUninitializedArray<byte>(DatagramHeader.MaxDatagram + 1, pinned: true);
        byte[] plaintext = new byte[DatagramHeader.MaxPlaintext];
        byte[] reply = new byte[DatagramHeader.MaxDatagram];
        var from = new SocketAddress(_socket.AddressFamily);
        long dropped = 0;
        while (true)
        {
            int length;
            try
            {
                length = await _socket.ReceiveFromAsync(datagram, SocketFlags.None, from, token);
            }
            catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException)
            {
                return;
            }
            catch (SocketException)
            {
                // An ICMP error of an earlier send surfaces here; the datagram socket goes on. The pause keeps an error
                // that stays from taking a whole processor.
                await Task.Delay(TimeSpan.FromMilliseconds(5), _time, CancellationToken.None);
                continue;
            }

            var source = (IPEndPoint)new IPEndPoint(IPAddress.Any, 0).Create(from);
            Received received;
            lock (_use)
            {
                received = _channel.Receive(datagram.AsSpan(0, length), source, plaintext, Now, reply);
                if (received.ReplyLength > 0)
                {
                    Send(reply.AsSpan(0, received.ReplyLength), received.ReplyTo!);
                }
            }

            switch (received.Reason)
            {
                case DropReason.None:
                    onMessage(new NodeId(received.Opened.Sender), source, plaintext.AsSpan(received.Start, received.Length).ToArray());
                    break;
                case DropReason.Handshake or DropReason.Unproven:
                    break;
                default:
                    dropped++;
                    if (long.IsPow2(dropped))
                    {
                        Log.Dropped(_logger, dropped, received.Reason);
                    }

                    break;
            }
        }
    }

    public void Dispose()
    {
        lock (_use)
        {
            _socket.Dispose();
            _channel.Dispose();
        }
    }

    private static BootId NewBoot(uint epoch) => new(epoch, (uint)RandomNumberGenerator.GetInt32(int.MaxValue));

    private void Send(ReadOnlySpan<byte> datagram, IPEndPoint endpoint)
    {
        try
        {
            _socket.SendTo(datagram, SocketFlags.None, endpoint);
        }
        catch (SocketException e)
        {
            // Unreachable, no route, full buffer: for gossip all the same as a lost datagram.
            Log.NotSent(_logger, endpoint, e.SocketErrorCode);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1120, LogLevel.Debug, "Datagram to {Endpoint} not sent: {Error}")]
        public static partial void NotSent(ILogger logger, IPEndPoint endpoint, SocketError error);

        [LoggerMessage(1121, LogLevel.Error, "A datagram could not be sealed: the counter of this boot is used up, restart the daemon")]
        public static partial void NotSealed(ILogger logger);

        [LoggerMessage(1123, LogLevel.Warning, "{Count} datagrams dropped so far; the latest: {Reason}")]
        public static partial void Dropped(ILogger logger, long count, DropReason reason);
    }
}

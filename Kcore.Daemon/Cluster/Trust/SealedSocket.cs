using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using Kcore.Gossip;
using Kcore.Gossip.Wire.Sealing;
using Microsoft.Extensions.Logging;

namespace Kcore.Daemon.Cluster.Trust;

/// <summary>
/// The gossip socket: messages go out sealed with a key their receiver holds, and come in authenticated and fresh. Used by
/// the gossip loop alone, without a queue of its own: what has not been taken waits in the kernel, whose buffer holds some
/// thousand datagrams.
/// </summary>
internal sealed partial class SealedSocket : IDisposable
{
    private const int CookieKeySize = 32;
    private const int MaxPeers = 4096;

    /// <summary>Errors in a row after which the loop sleeps without the socket: one that stays must not take a whole processor.</summary>
    private const int MaxErrors = 16;

    private readonly NodeId _self;
    private readonly Socket _socket;
    private readonly SealedChannel _channel;
    private readonly KeyRing _ring;
    private readonly PeerKeys _peers;
    private readonly TimeProvider _time;
    private readonly long _started;
    private readonly ILogger _logger;
    private readonly byte[] _outgoing = GC.AllocateUninitializedArray<byte>(DatagramHeader.MaxDatagram, pinned: true);
    private readonly byte[] _incoming = GC.AllocateUninitializedArray<byte>(DatagramHeader.MaxDatagram + 1, pinned: true);
    private readonly byte[] _plaintext = new byte[DatagramHeader.MaxPlaintext];
    private readonly byte[] _reply = new byte[DatagramHeader.MaxDatagram];
    private readonly SocketAddress _from = new(AddressFamily.InterNetwork);
    private readonly IPEndPoint _any = new(IPAddress.Any, 0);

    // The two forms of an address, so that a datagram costs neither of them anew.
    private readonly Dictionary<SocketAddress, IPEndPoint> _sources = [];
    private readonly Dictionary<IPEndPoint, SocketAddress> _targets = [];
    private int _errors;
    private long _dropped;

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
        _socket = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp) { ReceiveBufferSize = 4 << 20, Blocking = false };
        _socket.Bind(new IPEndPoint(IPAddress.Any, port));
    }

    private TimeSpan Now => _time.GetElapsedTime(_started);

    /// <summary>Peers remember a later start than this one; they take nothing older from us.</summary>
    public void ChangeBoot(uint epoch) => _channel.ChangeBoot(NewBoot(epoch));

    /// <summary>Sends a message; for gossip one that cannot be sent is a lost one.</summary>
    public void Send(NodeId? to, IPEndPoint endpoint, ReadOnlyMemory<byte> payload)
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

    /// <summary>What to sleep on until there is a datagram; null while the socket gives nothing but errors.</summary>
    public SafeSocketHandle? Readable => _errors < MaxErrors ? _socket.SafeHandle : null;

    /// <summary>Takes one datagram from the socket; false when there is none.</summary>
    /// <param name="message">Null when what came was no message of a peer. Its payload is good until the next call.</param>
    public bool TryTake(out GossipInput.Datagram? message)
    {
        message = null;
        try
        {
            if (!_socket.Poll(0, SelectMode.SelectRead))
            {
                _errors = 0;
                return false;
            }

            int length = _socket.ReceiveFrom(_incoming, SocketFlags.None, _from);
            _errors = 0;
            message = Open(_incoming.AsSpan(0, length));
            return true;
        }
        catch (SocketException e)
        {
            // An error of an earlier send surfaces here, or a datagram whose checksum was wrong; the socket goes on.
            Log.NotReceived(_logger, e.SocketErrorCode);
            return ++_errors < MaxErrors;
        }
    }

    public void Dispose()
    {
        _socket.Dispose();
        _channel.Dispose();
    }

    private GossipInput.Datagram? Open(ReadOnlySpan<byte> datagram)
    {
        bool isKnown = _sources.TryGetValue(_from, out IPEndPoint? source);
        source ??= (IPEndPoint)_any.Create(_from);
        Received received = _channel.Receive(datagram, source, _plaintext, Now, _reply);
        if (received.ReplyLength > 0)
        {
            Send(_reply.AsSpan(0, received.ReplyLength), received.ReplyTo!);
        }

        switch (received.Reason)
        {
            case DropReason.None:
                if (!isKnown)
                {
                    // Strangers never get here, so they fill nothing.
                    Remember(_sources, source.Serialize(), source);
                }

                return new GossipInput.Datagram(
                    new NodeId(received.Opened.Sender), source, _plaintext.AsMemory(received.Start, received.Length));
            case DropReason.Handshake or DropReason.Unproven:
                return null;
            default:
                // Every power of two, so that a flood can be seen and does not fill the journal.
                if (long.IsPow2(++_dropped))
                {
                    Log.Dropped(_logger, _dropped, received.Reason);
                }

                return null;
        }
    }

    private static void Remember<TKey, TValue>(Dictionary<TKey, TValue> cache, TKey key, TValue value)
        where TKey : notnull
    {
        if (cache.Count >= MaxPeers)
        {
            cache.Clear();
        }

        cache[key] = value;
    }

    private static BootId NewBoot(uint epoch) => new(epoch, (uint)RandomNumberGenerator.GetInt32(int.MaxValue));

    private void Send(ReadOnlySpan<byte> datagram, IPEndPoint endpoint)
    {
        if (!_targets.TryGetValue(endpoint, out SocketAddress? target))
        {
            Remember(_targets, endpoint, target = endpoint.Serialize());
        }

        try
        {
            _socket.SendTo(datagram, SocketFlags.None, target);
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

        [LoggerMessage(1124, LogLevel.Debug, "No datagram received: {Error}")]
        public static partial void NotReceived(ILogger logger, SocketError error);

        [LoggerMessage(1123, LogLevel.Warning, "{Count} datagrams dropped so far; the latest: {Reason}")]
        public static partial void Dropped(ILogger logger, long count, DropReason reason);
    }
}

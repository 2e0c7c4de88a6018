using System.Net;
using System.Net.Sockets;
using Kcore.Gossip;
using Kcore.Gossip.Wire.Sealing;
using Microsoft.Extensions.Logging;

namespace Kcore.Daemon.Cluster.Members;

/// <summary>
/// The UDP socket of gossip: seals what goes out, opens what comes in. Used by the gossip loop alone, and without a copy or
/// a queue of its own: what has not been taken waits in the kernel, whose buffer holds some thousand datagrams.
/// </summary>
internal sealed partial class DatagramPort : IDisposable
{
    private const int MaxPeers = 4096;

    /// <summary>Errors in a row after which the loop's next turn is waited for: one that stays must not take a whole processor.</summary>
    private const int MaxErrors = 16;

    private readonly Socket _socket;
    private readonly DatagramSealer _sealer;
    private readonly DatagramOpener _opener;
    private readonly ILogger _logger;
    private readonly byte[] _received = GC.AllocateUninitializedArray<byte>(DatagramHeader.MaxDatagram + 1, pinned: true);
    private readonly byte[] _plaintext = new byte[DatagramHeader.MaxDatagram];
    private readonly byte[] _sealed = GC.AllocateUninitializedArray<byte>(DatagramHeader.MaxDatagram, pinned: true);
    private readonly SocketAddress _from;
    private readonly IPEndPoint _any = new(IPAddress.Any, 0);

    // The two forms of an address, so that a datagram costs neither of them anew.
    private readonly Dictionary<SocketAddress, IPEndPoint> _sources = [];
    private readonly Dictionary<IPEndPoint, SocketAddress> _targets = [];
    private ValueTask<int> _receiving;
    private bool _isReceiving;
    private bool _isWatched;
    private int _errors;
    private long _dropped;

    public DatagramPort(Socket socket, DatagramSealer sealer, DatagramOpener opener, ILogger logger)
    {
        _socket = socket;
        _sealer = sealer;
        _opener = opener;
        _logger = logger;
        _from = new SocketAddress(socket.AddressFamily);
    }

    /// <summary>Takes one datagram from the socket; false when there is none, then <paramref name="wake"/> is called when one comes.</summary>
    /// <param name="now">Monotonic.</param>
    /// <param name="datagram">Null when what came was dropped. Its payload is good until the next call.</param>
    public bool TryTake(TimeSpan now, Action wake, out GossipInput.Datagram? datagram)
    {
        datagram = null;
        if (_errors >= MaxErrors)
        {
            _errors = 0;
            return false;
        }

        if (!_isReceiving)
        {
#pragma warning disable CA2012 // Kept until it completes, then read exactly once: below.
            _receiving = _socket.ReceiveFromAsync(_received, SocketFlags.None, _from, CancellationToken.None);
#pragma warning restore CA2012
            (_isReceiving, _isWatched) = (true, false);
        }

        if (!_receiving.IsCompleted)
        {
            if (!_isWatched)
            {
                _isWatched = true;
                _receiving.GetAwaiter().UnsafeOnCompleted(wake);
            }

            return false;
        }

        _isReceiving = false;
        int length;
        try
        {
            length = _receiving.GetAwaiter().GetResult();
            _errors = 0;
        }
        catch (SocketException e)
        {
            // An error of an earlier send surfaces here; the socket goes on.
            _errors++;
            Log.NotReceived(_logger, e.SocketErrorCode);
            return true;
        }

        DropReason reason = _opener.TryOpen(_received.AsSpan(0, length), _plaintext, now, out OpenedDatagram opened);
        if (reason == DropReason.None)
        {
            datagram = new GossipInput.Datagram(new NodeId(opened.Sender), Source(), _plaintext.AsMemory(0, opened.Length));
        }
        else if (long.IsPow2(++_dropped))
        {
            // Every power of two, so that a flood can be seen and does not fill the journal.
            Log.Dropped(_logger, _dropped, reason);
        }

        return true;
    }

    /// <summary>Sends or loses it: unreachable, no route, full buffer are for gossip all the same as a lost datagram.</summary>
    public void Send(IPEndPoint endpoint, ReadOnlyMemory<byte> payload)
    {
        if (!_sealer.TrySeal(payload.Span, _sealed, out int length))
        {
            Log.NotSealed(_logger);
            return;
        }

        try
        {
            _socket.SendTo(_sealed.AsSpan(0, length), SocketFlags.None, Target(endpoint));
        }
        catch (SocketException e)
        {
            Log.NotSent(_logger, endpoint, e.SocketErrorCode);
        }
    }

    public void Dispose()
    {
        _socket.Dispose();
        _sealer.Dispose();
        _opener.Dispose();
    }

    /// <summary>Only authenticated senders get here, so strangers fill nothing.</summary>
    private IPEndPoint Source()
    {
        if (_sources.TryGetValue(_from, out IPEndPoint? known))
        {
            return known;
        }

        if (_sources.Count >= MaxPeers)
        {
            _sources.Clear();
        }

        var endpoint = (IPEndPoint)_any.Create(_from);
        _sources[endpoint.Serialize()] = endpoint;
        return endpoint;
    }

    private SocketAddress Target(IPEndPoint endpoint)
    {
        if (_targets.TryGetValue(endpoint, out SocketAddress? known))
        {
            return known;
        }

        if (_targets.Count >= MaxPeers)
        {
            _targets.Clear();
        }

        return _targets[endpoint] = endpoint.Serialize();
    }

    private static partial class Log
    {
        [LoggerMessage(1120, LogLevel.Debug, "Datagram to {Endpoint} not sent: {Error}")]
        public static partial void NotSent(ILogger logger, IPEndPoint endpoint, SocketError error);

        [LoggerMessage(1121, LogLevel.Error, "A datagram could not be sealed: the counter of this boot is used up, restart the daemon")]
        public static partial void NotSealed(ILogger logger);

        [LoggerMessage(1123, LogLevel.Warning, "{Count} datagrams dropped so far; the latest: {Reason}")]
        public static partial void Dropped(ILogger logger, long count, DropReason reason);

        [LoggerMessage(1124, LogLevel.Debug, "No datagram received: {Error}")]
        public static partial void NotReceived(ILogger logger, SocketError error);
    }
}

using System.Collections.Immutable;
using System.Net;
using System.Net.Sockets;
using System.Threading.Channels;
using Kcore.Netlink;
using Microsoft.Extensions.Logging;

namespace Kcore.Daemon.Cluster.Discovery;

/// <summary>
/// Runs <see cref="MdnsEngine"/> on the real network: one socket per usable interface, one loop that owns everything.
/// </summary>
internal sealed partial class MdnsDiscovery(
    IMdnsNetwork network, TimeProvider time, Random random, ILogger<MdnsDiscovery> logger)
{
    /// <summary>How soon a plugged cable or a new address is noticed.</summary>
    public static readonly TimeSpan ScanInterval = TimeSpan.FromSeconds(3);

    // While a host boots its links come up one by one, some of them a second after they were made.
    private static readonly TimeSpan EarlyScanInterval = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan EarlyPeriod = TimeSpan.FromSeconds(10);

    private readonly long _start = time.GetTimestamp();
    private readonly MdnsEngine _engine = new(random);
    private readonly Dictionary<int, Listener> _listeners = [];
    private readonly List<MdnsEffect> _effects = [];
    private readonly HashSet<string> _refused = [];

    // When the loop can't keep up the newest datagrams are dropped: multicast DNS repeats itself.
    private readonly Channel<Input> _inputs = Channel.CreateBounded<Input>(
        new BoundedChannelOptions(256) { FullMode = BoundedChannelFullMode.DropWrite, SingleReader = true });

    // Old sightings go first: a newer one of the same node says more.
    private readonly Channel<DiscoveredPeer> _sightings = Channel.CreateBounded<DiscoveredPeer>(
        new BoundedChannelOptions(1_024) { FullMode = BoundedChannelFullMode.DropOldest, SingleWriter = true });

    private Announcement? _wanted;
    private Announcement? _announced;
    private TimeSpan _nextScan;

    /// <summary>Sightings as they come, repeated for as long as a node answers. Completed when the run ends.</summary>
    public ChannelReader<DiscoveredPeer> Sightings => _sightings.Reader;

    private TimeSpan Now => time.GetElapsedTime(_start);

    /// <summary>Says this about the node from now on. May be called at any time, from any thread.</summary>
    public void Announce(Announcement announcement)
    {
        Volatile.Write(ref _wanted, announcement);
        _inputs.Writer.TryWrite(Input.Wake);
    }

    /// <summary>Announces, answers and asks until cancelled, then says goodbye.</summary>
    public async Task RunAsync(CancellationToken stoppingToken)
    {
        // A wake-up that finds the channel full is not missed: whatever fills it makes the loop look at the clock too.
        await using ITimer timer = time.CreateTimer(
            _ => _inputs.Writer.TryWrite(Input.Wake), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        try
        {
            await StepAsync(Input.Wake, timer);
            await foreach (Input input in _inputs.Reader.ReadAllAsync(stoppingToken))
            {
                await StepAsync(input, timer);
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            _engine.Stop(_effects);
            Apply();
        }
        finally
        {
            foreach (Listener listener in _listeners.Values)
            {
                await listener.DisposeAsync();
            }

            _sightings.Writer.TryComplete();
        }
    }

    private async Task StepAsync(Input input, ITimer timer)
    {
        TimeSpan now = Now;
        if (_nextScan <= now)
        {
            await ScanAsync(now);
            _nextScan = now + (now < EarlyPeriod || _listeners.Count == 0 ? EarlyScanInterval : ScanInterval);
        }

        if (Volatile.Read(ref _wanted) is { } wanted && wanted != _announced)
        {
            _announced = wanted;
            _engine.Announce(wanted, now);
        }

        if (input.Datagram is { } datagram)
        {
            _engine.HandleDatagram(input.InterfaceIndex, datagram, input.From!, now, _effects);
        }

        if (_engine.NextDeadline <= now)
        {
            _engine.HandleDeadline(now, _effects);
        }

        Apply();
        TimeSpan next = _engine.NextDeadline < _nextScan ? _engine.NextDeadline : _nextScan;
        TimeSpan wait = next - Now;
        timer.Change(wait > TimeSpan.Zero ? wait : TimeSpan.Zero, Timeout.InfiniteTimeSpan);
    }

    private async Task ScanAsync(TimeSpan now)
    {
        ImmutableArray<MdnsInterface> present;
        try
        {
            present = network.Scan();
        }
        catch (NetlinkException e)
        {
            // What was found before goes on being used.
            Log.NotScanned(logger, e);
            return;
        }

        foreach ((int index, Listener listener) in _listeners.ToArray())
        {
            // A listener that ended by itself met an error; it is opened anew if the interface is still there.
            if (listener.HasEnded || !present.Contains(listener.Interface))
            {
                _listeners.Remove(index);
                await listener.DisposeAsync();
                Log.Closed(logger, listener.Interface.Name);
            }
        }

        foreach (MdnsInterface candidate in present)
        {
            if (!_listeners.ContainsKey(candidate.Index))
            {
                TryListen(candidate);
            }
        }

        _refused.IntersectWith(present.Select(candidate => candidate.Name));
        _engine.SetInterfaces([.. _listeners.Values.Select(listener => listener.Interface)], now);
    }

    private void TryListen(MdnsInterface candidate)
    {
        try
        {
            _listeners.Add(candidate.Index, new Listener(candidate, network.Open(candidate), _inputs.Writer));
            _refused.Remove(candidate.Name);
            Log.Opened(logger, candidate.Name);
        }
        catch (SocketException e)
        {
            // Once per interface, not at every scan.
            if (_refused.Add(candidate.Name))
            {
                Log.Refused(logger, candidate.Name, e);
            }
        }
    }

    private void Apply()
    {
        foreach (MdnsEffect effect in _effects)
        {
            switch (effect)
            {
                case MdnsEffect.Send send when _listeners.TryGetValue(send.InterfaceIndex, out Listener? listener):
                    try
                    {
                        listener.Socket.Send(DnsWriter.Write(send.Message), send.To);
                    }
                    catch (SocketException e)
                    {
                        // The link is down or full; what was to be said is said again.
                        Log.NotSent(logger, listener.Interface.Name, e);
                    }

                    break;
                case MdnsEffect.Sighting sighting:
                    _sightings.Writer.TryWrite(sighting.Peer);
                    break;
            }
        }

        _effects.Clear();
    }

    private readonly record struct Input(int InterfaceIndex, byte[]? Datagram, IPEndPoint? From)
    {
        public static Input Wake => default;
    }

    /// <summary>A socket and the task that reads it; ends when disposed or when the socket fails.</summary>
    private sealed class Listener : IAsyncDisposable
    {
        private readonly CancellationTokenSource _stop = new();
        private readonly Task _receiving;

        public Listener(MdnsInterface on, IMdnsSocket socket, ChannelWriter<Input> inputs)
        {
            Interface = on;
            Socket = socket;
            _receiving = ReceiveAsync(inputs, _stop.Token);
        }

        public MdnsInterface Interface { get; }

        public IMdnsSocket Socket { get; }

        public bool HasEnded => _receiving.IsCompleted;

        public async ValueTask DisposeAsync()
        {
            await _stop.CancelAsync();
            await _receiving;
            Socket.Dispose();
            _stop.Dispose();
        }

        private async Task ReceiveAsync(ChannelWriter<Input> inputs, CancellationToken stoppingToken)
        {
            byte[] buffer = new byte[DnsMessage.MaxSize + 1];
            try
            {
                while (true)
                {
                    (int length, IPEndPoint from) = await Socket.ReceiveAsync(buffer, stoppingToken);
                    inputs.TryWrite(new Input(Interface.Index, buffer[..length], from));
                }
            }
            catch (Exception e) when (e is SocketException || (e is OperationCanceledException && stoppingToken.IsCancellationRequested))
            {
                // Either way this listener is over; the next scan tells whether there is to be another.
            }
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1101, LogLevel.Information, "Discovery listens on {Interface}")]
        public static partial void Opened(ILogger logger, string @interface);

        [LoggerMessage(1102, LogLevel.Information, "Discovery no longer listens on {Interface}")]
        public static partial void Closed(ILogger logger, string @interface);

        [LoggerMessage(1103, LogLevel.Warning, "Discovery can't listen on {Interface}; it keeps trying")]
        public static partial void Refused(ILogger logger, string @interface, Exception cause);

        [LoggerMessage(1104, LogLevel.Debug, "Discovery could not send on {Interface}")]
        public static partial void NotSent(ILogger logger, string @interface, Exception cause);

        [LoggerMessage(1105, LogLevel.Warning, "Discovery can't list the network interfaces; it keeps trying")]
        public static partial void NotScanned(ILogger logger, Exception cause);
    }
}

using System.Net;
using System.Net.Sockets;
using Kcore.Daemon.Cluster.Streams;
using Kcore.Daemon.Cluster.Trust;
using Kcore.Gossip;
using Kcore.Gossip.Wire.Sealing;
using Kcore.TestKit;
using Microsoft.Extensions.Logging.Abstractions;

namespace Kcore.Daemon.Tests.Cluster.Streams;

/// <summary>Listener and connector over loopback with the real TLS.</summary>
public sealed class PeerStreamTests : IAsyncLifetime
{
    private static readonly NodeId Server = new(0xA);
    private static readonly NodeId Client = new(0xB);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    private readonly SteppedTime _time = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly List<IDisposable> _owned = [];
    private readonly IPEndPoint _endpoint = new(IPAddress.Loopback, FreePort());
    private Task _listening = Task.CompletedTask;

    public Task InitializeAsync()
    {
        var listener = new PeerListener(
            _endpoint,
            Tls(1, Server),
            new Dictionary<StreamKind, StreamHandler>
            {
                [StreamKind.Hello] = async (peer, body, reply, _) => await reply((byte[])[(byte)peer.Value, .. body.Span], true),
                [StreamKind.Gossip] = async (_, _, reply, _) =>
                {
                    await reply(new byte[] { 1 }, false);
                    await reply(new byte[] { 2 }, false);
                    await reply(new byte[] { 3 }, true);
                },
                [StreamKind.Join] = (_, _, _, _) => throw new InvalidDataException("malformed"),
            },
            _time,
            NullLogger.Instance);
        _listening = listener.RunAsync(_stop.Token);
        return Task.CompletedTask;
    }

    [Fact]
    public async Task Both_ends_know_each_other_and_the_answer_comes_back()
    {
        (NodeId peer, ReadOnlyMemory<byte> body) = await CallAsync(Tls(1, Client), StreamKind.Hello, [7, 8]);

        Assert.Equal(Server, peer);
        Assert.Equal([0xB, 7, 8], body.ToArray());
    }

    [Fact]
    public async Task A_long_answer_comes_in_pieces_in_order()
    {
        var pieces = new List<byte>();
        await foreach ((_, StreamFrame frame) in Connector(Tls(1, Client)).RequestAsync(_endpoint, StreamKind.Gossip, default, default))
        {
            pieces.Add(frame.Body.Span[0]);
        }

        Assert.Equal([1, 2, 3], pieces);
    }

    [Fact]
    public async Task A_node_with_another_key_is_refused_by_both_ends() =>
        await Assert.ThrowsAsync<IOException>(() => CallAsync(Tls(2, Client), StreamKind.Hello, [1]));

    [Theory]
    [InlineData(new byte[] { 1, 2 }, 2)]
    [InlineData(new byte[] { 0, 1, 2 }, 2)]
    [InlineData(new byte[] { 9, 1 }, 9)]
    [InlineData(new byte[] { 1, 2, 3, 4 }, 4)]
    public async Task In_a_rotation_any_key_that_both_hold_makes_a_stream(byte[] keys, byte active)
    {
        (NodeId peer, _) = await CallAsync(Tls(keys, active, Client), StreamKind.Hello, [7]);

        Assert.Equal(Server, peer);
    }

    [Theory]
    [InlineData((byte)StreamKind.Propose)]
    [InlineData(200)]
    [InlineData((byte)StreamKind.Join)]
    public async Task A_kind_this_port_does_not_serve_or_cannot_read_ends_the_stream_and_nothing_else(byte kind)
    {
        await Assert.ThrowsAsync<IOException>(() => CallAsync(Tls(1, Client), (StreamKind)kind, [1]));

        await CallAsync(Tls(1, Client), StreamKind.Hello, [1]);
    }

    [Fact]
    public async Task Nobody_at_the_other_end_is_an_IO_error() =>
        await Assert.ThrowsAsync<IOException>(() => Connector(Tls(1, Client)).CallAsync(new IPEndPoint(IPAddress.Loopback, FreePort()), StreamKind.Hello, default, default));

    [Fact]
    public async Task Who_stays_silent_is_dropped_after_the_handshake_limit()
    {
        Socket silent = await OpenAsync(IPAddress.Loopback);
        Task<int> closed = ReadAsync(silent);
        _time.Advance(TimeSpan.FromSeconds(2.9));
        await Task.Delay(50);
        Assert.False(closed.IsCompleted);

        // The listener may begin to count a little after the connection stands.
        for (int i = 0; i < 1000 && !closed.IsCompleted; i++)
        {
            _time.Advance(TimeSpan.FromSeconds(0.1));
            await Task.WhenAny(closed, Task.Delay(10));
        }

        Assert.Equal(0, await closed.WaitAsync(Patience));
    }

    [Fact]
    public async Task One_address_does_not_take_all_places()
    {
        IPAddress attacker = IPAddress.Parse("127.0.0.66");
        var held = new List<Task<int>>();
        for (int i = 0; i < 32; i++)
        {
            held.Add(ReadAsync(await OpenAsync(attacker)));
        }

        Assert.Equal(0, await ReadAsync(await OpenAsync(attacker)).WaitAsync(Patience));
        Assert.DoesNotContain(held, h => h.IsCompleted);
        await CallAsync(Tls(1, Client), StreamKind.Hello, [1]);

        // And a place that was given back can be taken again.
        _time.Advance(TimeSpan.FromSeconds(10));
        await Task.WhenAll(held).WaitAsync(Patience);
        Task<int> later = ReadAsync(await OpenAsync(attacker));
        Assert.NotSame(later, await Task.WhenAny(later, Task.Delay(200)));
    }

    [Fact]
    public async Task There_is_a_bound_on_connections_of_all_addresses_together()
    {
        for (int i = 0; i < 512; i++)
        {
            await OpenAsync(new IPAddress([127, 0, 1, (byte)(1 + (i / 32))]));
        }

        Assert.Equal(0, await ReadAsync(await OpenAsync(IPAddress.Parse("127.0.2.1"))).WaitAsync(Patience));
    }

    [Fact]
    public async Task Stopping_ends_connections_in_progress()
    {
        Task<int> read = ReadAsync(await OpenAsync(IPAddress.Loopback));
        await CallAsync(Tls(1, Client), StreamKind.Hello, [1]);

        await _stop.CancelAsync();

        await _listening.WaitAsync(Patience);
        Assert.Equal(0, await read.WaitAsync(Patience));
    }

    public async Task DisposeAsync()
    {
        await _stop.CancelAsync();
        await _listening.WaitAsync(Patience);
        foreach (IDisposable owned in _owned)
        {
            owned.Dispose();
        }

        _stop.Dispose();
    }

    private static int FreePort()
    {
        using var probe = new TcpListener(IPAddress.Loopback, 0);
        probe.Start();
        return ((IPEndPoint)probe.LocalEndpoint).Port;
    }

    /// <summary>0 when the other end closed, in whatever manner.</summary>
    private static async Task<int> ReadAsync(Socket socket)
    {
        try
        {
            return await socket.ReceiveAsync(new byte[16]);
        }
        catch (SocketException)
        {
            return 0;
        }
    }

    private ClusterTls Tls(byte key, NodeId node) => Tls([key], key, node);

    private ClusterTls Tls(byte[] keys, byte active, NodeId node)
    {
        var ring = new KeyRing(Secret(active));
        ring.Replace([.. keys.Select(Secret)], Secret(active).KeyId);
        var tls = new ClusterTls(ring, node.Value, TimeProvider.System);
        _owned.Add(tls);
        _owned.Add(ring);
        return tls;
    }

    private static ClusterSecret Secret(byte key) => new([.. Enumerable.Repeat(key, ClusterSecret.Size)]);

    private PeerConnector Connector(ClusterTls tls) => new(tls, TimeProvider.System);

    private async Task<(NodeId Peer, ReadOnlyMemory<byte> Body)> CallAsync(ClusterTls tls, StreamKind kind, byte[] body) =>
        await Connector(tls).CallAsync(_endpoint, kind, body, default).WaitAsync(Patience);

    private async Task<Socket> OpenAsync(IPAddress from)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        _owned.Add(socket);
        socket.Bind(new IPEndPoint(from, 0));
        await socket.ConnectAsync(_endpoint);
        return socket;
    }
}

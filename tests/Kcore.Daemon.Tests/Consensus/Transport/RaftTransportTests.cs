using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using Kcore.Daemon.Cluster;
using Kcore.Daemon.Cluster.Consensus.Transport;
using Kcore.Daemon.Cluster.Streams;
using Kcore.Daemon.Cluster.Trust;
using Kcore.Gossip;
using Kcore.Gossip.Wire.Sealing;
using Kcore.Raft;
using Kcore.TestKit;
using Microsoft.Extensions.Logging.Abstractions;

namespace Kcore.Daemon.Tests.Consensus.Transport;

/// <summary>Log messages over loopback with the real TLS.</summary>
public sealed class RaftTransportTests : IAsyncLifetime
{
    private static readonly ClusterRef Cluster = new(new Guid(7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), 1);
    private static readonly MemberId Server = Member(0xA, 1);
    private static readonly MemberId Client = Member(0xB, 1);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    private readonly List<IDisposable> _owned = [];
    private readonly ConcurrentQueue<RaftMessage> _received = new();
    private IPEndPoint _endpoint = new(IPAddress.Loopback, FreePort());
    private CancellationTokenSource _stop = new();
    private Task _listening = Task.CompletedTask;
    private int _sessions;

    public Task InitializeAsync()
    {
        Listen(Server);
        return Task.CompletedTask;
    }

    [Fact]
    public async Task What_is_sent_arrives_in_order_on_one_stream()
    {
        await using RaftTransport transport = Transport(Cluster, Client);
        await SendUntilAsync(transport, Heartbeat(1), m => m.Term == 1);
        for (ulong term = 2; term <= 50; term++)
        {
            transport.Send([Heartbeat(term)]);
        }

        await SeenAsync(m => m.Term == 50);
        ulong[] terms = [.. _received.Select(m => m.Term).Distinct()];
        Assert.Equal(terms.Order(), terms);
        Assert.Equal(50, terms.Length);
        Assert.Equal(1, _sessions);
    }

    [Fact]
    public async Task A_large_entry_passes_whole()
    {
        byte[] data = [.. Enumerable.Range(0, RaftEntry.EntryBytesMax).Select(i => (byte)i)];
        await using RaftTransport transport = Transport(Cluster, Client);
        await SendUntilAsync(transport, Append(data), m => m is RaftMessage.AppendRequest);
        Assert.True(data.AsSpan().SequenceEqual(_received.OfType<RaftMessage.AppendRequest>().First().Entries[0].Data.Span));
    }

    [Theory]
    [InlineData("cluster")]
    [InlineData("epoch")]
    [InlineData("store")]
    [InlineData("sender")]
    public async Task Nothing_of_another_cluster_epoch_store_or_sender_is_looked_at(string other)
    {
        ClusterRef cluster = other switch
        {
            "cluster" => new ClusterRef(Guid.NewGuid(), 1),
            "epoch" => Cluster with { Epoch = 2 },
            _ => Cluster,
        };
        MemberId to = other == "store" ? Member(0xA, 2) : Server;
        MemberId from = other == "sender" ? Member(0xC, 1) : Client;
        await using RaftTransport wrong = Transport(cluster, from);
        await using RaftTransport right = Transport(Cluster, Client);
        for (int i = 0; i < 20; i++)
        {
            wrong.Send([new RaftMessage.Heartbeat(0) { Group = new RaftGroup(Cluster.Id, Cluster.Epoch), From = from, To = to, Term = 666 }]);
            await Task.Delay(10);
        }

        await SendUntilAsync(right, Heartbeat(1), m => m.Term == 1);
        Assert.DoesNotContain(_received, m => m.Term == 666);
    }

    [Fact]
    public async Task After_the_peer_was_away_it_is_reached_again_also_at_another_address()
    {
        await using RaftTransport transport = Transport(Cluster, Client);
        await SendUntilAsync(transport, Heartbeat(1), m => m.Term == 1);
        await _stop.CancelAsync();
        await _listening.WaitAsync(Patience);
        _stop.Dispose();
        for (int i = 0; i < 500; i++)
        {
            // More than fits: nothing may pile up while nobody is there.
            transport.Send([Heartbeat(2)]);
        }

        await Task.Delay(100);
        _stop = new CancellationTokenSource();
        _endpoint = new IPEndPoint(IPAddress.Loopback, FreePort());
        Listen(Server);
        await SendUntilAsync(transport, Heartbeat(3), m => m.Term == 3);
        Assert.True(_received.Count(m => m.Term == 2) <= 128);
    }

    [Fact]
    public async Task Garbage_on_the_stream_ends_it_and_nothing_else()
    {
        PeerConnector connector = Connector(0xB);
        await using (System.Net.Security.SslStream stream = await connector.OpenAsync(_endpoint, new NodeId(0xA), TimeSpan.FromSeconds(2), default))
        {
            await StreamFrame.WriteAsync(stream, new StreamFrame(StreamKind.Raft, false, new RaftGreeting(Cluster, Client, Server).Encode()), default);
            await StreamFrame.WriteAsync(stream, new StreamFrame(StreamKind.Raft, false, new byte[] { 1, 2, 3 }), default);
            Assert.Equal(0, await stream.ReadAtLeastAsync(new byte[1], 1, throwOnEndOfStream: false).AsTask().WaitAsync(Patience));
        }

        await using RaftTransport transport = Transport(Cluster, Client);
        await SendUntilAsync(transport, Heartbeat(1), m => m.Term == 1);
    }

    [Fact]
    public void A_greeting_is_read_as_it_was_written_and_nothing_shorter()
    {
        var greeting = new RaftGreeting(Cluster, Client, Server);
        byte[] bytes = greeting.Encode();
        Assert.True(RaftGreeting.TryDecode(bytes, out RaftGreeting? read));
        Assert.Equal(greeting, read);
        for (int length = 0; length < bytes.Length; length++)
        {
            Assert.False(RaftGreeting.TryDecode(bytes.AsSpan(0, length), out _));
        }

        Assert.False(RaftGreeting.TryDecode([.. bytes, 0], out _));
    }

    public async Task DisposeAsync()
    {
        await _stop.CancelAsync();
        await _listening.WaitAsync(Patience);
        _stop.Dispose();
        foreach (IDisposable owned in _owned)
        {
            owned.Dispose();
        }
    }

    private static MemberId Member(uint node, uint store) =>
        new(Uid.ToGuid(node), Uid.ToGuid(store));

    private static RaftMessage.Heartbeat Heartbeat(ulong term) =>
        new(0) { Group = new RaftGroup(Cluster.Id, Cluster.Epoch), From = Client, To = Server, Term = term };

    private static RaftMessage.AppendRequest Append(byte[] data) =>
        new(0, 0, 0, [new RaftEntry(1, 1, RaftEntryKind.Command, data)]) { Group = new RaftGroup(Cluster.Id, Cluster.Epoch), From = Client, To = Server, Term = 1 };

    private static int FreePort()
    {
        using var probe = new TcpListener(IPAddress.Loopback, 0);
        probe.Start();
        return ((IPEndPoint)probe.LocalEndpoint).Port;
    }

    private void Listen(MemberId self) => _listening = new PeerListener(
        _endpoint,
        Tls(0xA),
        new Dictionary<StreamKind, StreamHandler>(),
        TimeProvider.System,
        NullLogger.Instance,
        new Dictionary<StreamKind, SessionHandler>
        {
            [StreamKind.Raft] = async (peer, first, stream, token) =>
            {
                Interlocked.Increment(ref _sessions);
                await new RaftReceiver(Cluster, self, Receive, TimeProvider.System).RunAsync(peer, first, stream, token);
            },
        }).RunAsync(_stop.Token);

    private bool Receive(RaftMessage message)
    {
        _received.Enqueue(message);
        return true;
    }

    private RaftTransport Transport(ClusterRef cluster, MemberId self) =>
        new(cluster, self, Connector(0xB), _ => _endpoint, TimeProvider.System, new Random(1), NullLogger.Instance);

    private PeerConnector Connector(UInt128 node) => new(Tls(node), TimeProvider.System);

    private ClusterTls Tls(UInt128 node)
    {
        var ring = new KeyRing(new ClusterSecret([.. Enumerable.Repeat((byte)1, ClusterSecret.Size)]));
        var tls = new ClusterTls(ring, node, TimeProvider.System);
        _owned.Add(tls);
        _owned.Add(ring);
        return tls;
    }

    // As Raft does: what is not answered is said again.
    private Task SendUntilAsync(RaftTransport transport, RaftMessage message, Func<RaftMessage, bool> arrived) => Until.SeenAsync(Patience, "the message arrives", () =>
    {
        if (_received.Any(arrived))
        {
            return Task.FromResult<string?>(null);
        }

        transport.Send([message]);
        return Task.FromResult<string?>($"{_received.Count} messages");
    });

    private Task SeenAsync(Func<RaftMessage, bool> arrived) =>
        Until.SeenAsync(Patience, "the message arrives", () => Task.FromResult(_received.Any(arrived) ? null : $"{_received.Count} messages"));
}

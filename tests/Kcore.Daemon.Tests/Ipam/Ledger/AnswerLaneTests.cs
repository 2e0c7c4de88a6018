using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using Kcore.Daemon.Cluster.Consensus;
using Kcore.Daemon.Cluster.Streams;
using Kcore.Daemon.Cluster.Trust;
using Kcore.Daemon.Ipam;
using Kcore.Daemon.Ipam.Ledger;
using Kcore.Gossip;
using Kcore.Gossip.Wire.Sealing;
using Kcore.TestKit;
using Microsoft.Extensions.Logging.Abstractions;

namespace Kcore.Daemon.Tests.Ipam.Ledger;

/// <summary>The answering end of proposals and the threads that read them, over loopback with the real TLS.</summary>
public sealed class AnswerLaneTests : IAsyncLifetime
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    private readonly List<IDisposable> _owned = [];
    private readonly CancellationTokenSource _stop = new();
    private readonly FrameThreads _threads = new("test", 1);
    private readonly ConcurrentQueue<AnswerLane> _lanes = new();
    private readonly ConcurrentQueue<byte> _read = new();
    private readonly IPEndPoint _endpoint = new(IPAddress.Loopback, FreePort());
    private Task _listening = Task.CompletedTask;

    public Task InitializeAsync()
    {
        _listening = new PeerListener(
            _endpoint,
            Tls(0xA),
            new Dictionary<StreamKind, StreamHandler>(),
            TimeProvider.System,
            NullLogger.Instance,
            new Dictionary<StreamKind, SessionHandler> { [StreamKind.Propose] = ServeAsync }).RunAsync(_stop.Token);
        return Task.CompletedTask;
    }

    [Fact]
    public async Task Answers_leave_in_order_when_they_are_sent_and_not_before()
    {
        await using PeerStream client = await OpenAsync();
        AnswerLane lane = await LaneAsync(1);
        for (ulong number = 1; number <= 3; number++)
        {
            await lane.EnterAsync(default);
            lane.Grant(number, ReplicatedResult.Done.Instance);
        }

        await lane.EnterAsync(default);
        lane.Refuse(4, new ProposeException(ProposeFailure.Unavailable, "no quorum"));
        Task<LedgerReply> first = ReadAsync(client);
        await Task.Delay(100);
        Assert.False(first.IsCompleted);
        lane.Send();
        Assert.Equal((1UL, null), ((await first.WaitAsync(Patience)).Number, (await first).Failure));
        Assert.Equal(2UL, (await ReadAsync(client).WaitAsync(Patience)).Number);
        Assert.Equal(3UL, (await ReadAsync(client).WaitAsync(Patience)).Number);
        LedgerReply last = await ReadAsync(client).WaitAsync(Patience);
        Assert.Equal((4UL, ProposeFailure.Unavailable, "no quorum"), (last.Number, last.Failure, last.Text));
    }

    [Fact]
    public async Task No_more_than_the_bound_are_under_way_and_an_answer_makes_room()
    {
        await using PeerStream client = await OpenAsync();
        AnswerLane lane = await LaneAsync(1);
        for (int i = 0; i < 4; i++)
        {
            Assert.True(lane.EnterAsync(default).AsTask().IsCompleted);
        }

        Task waiting = lane.EnterAsync(default).AsTask();
        Assert.False(waiting.IsCompleted);
        lane.Grant(1, ReplicatedResult.Done.Instance);
        await waiting.WaitAsync(Patience);
        Assert.False(lane.EnterAsync(default).AsTask().IsCompleted);
    }

    [Fact]
    public async Task A_stream_that_is_gone_takes_answers_to_nowhere()
    {
        PeerStream client = await OpenAsync();
        AnswerLane lane = await LaneAsync(1);
        await client.DisposeAsync();
        for (ulong number = 1; number <= 200; number++)
        {
            await lane.EnterAsync(default);
            lane.Grant(number, ReplicatedResult.Done.Instance);
            lane.Send();
            await Task.Delay(1);
        }

        lane.Close();
        lane.Send();
    }

    [Fact]
    public async Task Streams_beyond_the_threads_are_read_too_and_end_with_the_listener()
    {
        await using PeerStream first = await OpenAsync();
        await LaneAsync(1);
        await using PeerStream second = await OpenAsync();
        await LaneAsync(2);
        await StreamFrame.WriteAsync(second, new StreamFrame(StreamKind.Propose, false, new byte[] { 22 }), default);
        await StreamFrame.WriteAsync(first, new StreamFrame(StreamKind.Propose, false, new byte[] { 11 }), default);
        await Until.SeenAsync(Patience, "both are read", () => Task.FromResult(_read.Contains((byte)11) && _read.Contains((byte)22) ? null : $"{_read.Count} frames"));
        await _stop.CancelAsync();
        await _listening.WaitAsync(Patience);
    }

    public async Task DisposeAsync()
    {
        await _stop.CancelAsync();
        await _listening.WaitAsync(Patience);
        _owned.ForEach(o => o.Dispose());
        _stop.Dispose();
    }

    private async Task ServeAsync(NodeId peer, ReadOnlyMemory<byte> first, PeerStream stream, CancellationToken token)
    {
        var lane = new AnswerLane(stream, 4);
        _lanes.Enqueue(lane);
        await _threads.ReadAsync(
            stream,
            [StreamKind.Propose],
            frame =>
            {
                _read.Enqueue(frame.Body.Span[0]);
                return ValueTask.CompletedTask;
            },
            Patience,
            TimeProvider.System,
            token);
        lane.Close();
    }

    private async Task<PeerStream> OpenAsync()
    {
        PeerStream stream = await new PeerConnector(Tls(0xB), TimeProvider.System).OpenAsync(_endpoint, new NodeId(0xA), TimeSpan.FromSeconds(2), default);
        await StreamFrame.WriteAsync(stream, new StreamFrame(StreamKind.Propose, false, new byte[] { 0 }), default);
        return stream;
    }

    private async Task<AnswerLane> LaneAsync(int count)
    {
        await Until.SeenAsync(Patience, "the stream is served", () => Task.FromResult(_lanes.Count >= count ? null : $"{_lanes.Count} streams"));
        return _lanes.Last();
    }

    private static async Task<LedgerReply> ReadAsync(PeerStream stream) =>
        LedgerReply.Decode((await StreamFrame.ReadAsync(stream, default))!.Value.Body.Span);

    private ClusterTls Tls(UInt128 node)
    {
        var ring = new KeyRing(new ClusterSecret([.. Enumerable.Repeat((byte)1, ClusterSecret.Size)]));
        var tls = new ClusterTls(ring, node, TimeProvider.System);
        _owned.Add(tls);
        _owned.Add(ring);
        return tls;
    }

    private static int FreePort()
    {
        using var probe = new TcpListener(IPAddress.Loopback, 0);
        probe.Start();
        return ((IPEndPoint)probe.LocalEndpoint).Port;
    }
}

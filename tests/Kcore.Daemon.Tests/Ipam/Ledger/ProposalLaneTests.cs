using System.Net;
using System.Net.Sockets;
using Kcore.Daemon.Cluster;
using Kcore.Daemon.Cluster.Consensus;
using Kcore.Daemon.Cluster.Streams;
using Kcore.Daemon.Ipam.Ledger;

namespace Kcore.Daemon.Tests.Ipam.Ledger;

/// <summary>Many questions on one stream.</summary>
public sealed class ProposalLaneTests : IAsyncLifetime
{
    private static readonly ClusterRef Cluster = new(Commands.Cluster, 1);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    private NetworkStream _server = null!;
    private ProposalLane _lane = null!;

    public async Task InitializeAsync()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        Socket client = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await client.ConnectAsync((IPEndPoint)listener.LocalEndpoint);
        _server = new NetworkStream(await listener.AcceptSocketAsync(), ownsSocket: true);
        _lane = new ProposalLane(new NetworkStream(client, ownsSocket: true));
    }

    [Fact]
    public async Task Every_question_gets_its_own_answer_in_whatever_order_they_come()
    {
        Task<LedgerReply>[] asked = [.. Enumerable.Range(0, 100).Select(i => AskAsync((byte)i))];
        List<LedgerRequest> heard = [];
        while (heard.Count < asked.Length)
        {
            heard.Add(await HearAsync());
        }

        Assert.Equal(asked.Length, heard.Select(h => h.Number).Distinct().Count());
        heard.Reverse();
        foreach (LedgerRequest request in heard)
        {
            await AnswerAsync(request.Number, request.Command);
        }

        for (int i = 0; i < asked.Length; i++)
        {
            Assert.Equal([(byte)i], (await asked[i].WaitAsync(Patience)).Result.ToArray());
        }
    }

    [Fact]
    public async Task A_read_goes_among_the_commands_and_is_told_apart()
    {
        Task<LedgerReply> command = AskAsync(1);
        LedgerRequest first = await HearAsync();
        Task<LedgerReply> read = _lane.AskAsync(new LedgerRequest(Cluster, default), default, StreamKind.Read);
        LedgerRequest second = await HearAsync(StreamKind.Read);
        Assert.True(second.Command.IsEmpty);
        await AnswerAsync(second.Number, new byte[] { 9 });
        Assert.Equal([9], (await read.WaitAsync(Patience)).Result.ToArray());
        await AnswerAsync(first.Number, first.Command);
        Assert.Equal([1], (await command.WaitAsync(Patience)).Result.ToArray());
    }

    [Fact]
    public async Task An_answer_nobody_waits_for_any_more_disturbs_nobody()
    {
        using var impatient = new CancellationTokenSource();
        Task<LedgerReply> given = _lane.AskAsync(new LedgerRequest(Cluster, new byte[] { 1 }), impatient.Token);
        LedgerRequest first = await HearAsync();
        await impatient.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => given);

        Task<LedgerReply> next = AskAsync(2);
        LedgerRequest second = await HearAsync();
        await AnswerAsync(first.Number, first.Command);
        await AnswerAsync(12345, first.Command);
        await AnswerAsync(second.Number, second.Command);

        Assert.Equal([2], (await next.WaitAsync(Patience)).Result.ToArray());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task When_the_stream_ends_or_carries_nonsense_nobody_waits(bool isNonsense)
    {
        Task<LedgerReply>[] asked = [.. Enumerable.Range(0, 10).Select(i => AskAsync((byte)i))];
        await HearAsync();
        if (isNonsense)
        {
            await StreamFrame.WriteAsync(_server, new StreamFrame(StreamKind.Propose, false, new byte[] { 0xC1, 0xFF }), default);
        }
        else
        {
            await _server.DisposeAsync();
        }

        foreach (Task<LedgerReply> one in asked)
        {
            await Assert.ThrowsAsync<IOException>(() => one.WaitAsync(Patience));
        }

        Assert.True(_lane.IsBroken);
        await Assert.ThrowsAsync<IOException>(() => AskAsync(1).WaitAsync(Patience));
    }

    [Fact]
    public async Task Who_closes_the_lane_tells_those_who_wait()
    {
        Task<LedgerReply> asked = AskAsync(1);
        await HearAsync();
        await _lane.DisposeAsync();
        await Assert.ThrowsAsync<IOException>(() => asked.WaitAsync(Patience));
    }

    public async Task DisposeAsync()
    {
        await _lane.DisposeAsync();
        await _server.DisposeAsync();
    }

    private Task<LedgerReply> AskAsync(byte command) => _lane.AskAsync(new LedgerRequest(Cluster, new[] { command }), default);

    private async Task<LedgerRequest> HearAsync(StreamKind kind = StreamKind.Propose)
    {
        using var limit = new CancellationTokenSource(Patience);
        StreamFrame frame = (await StreamFrame.ReadAsync(_server, limit.Token))!.Value;
        Assert.Equal(kind, frame.Kind);
        return LedgerRequest.Decode(frame.Body.Span);
    }

    private ValueTask AnswerAsync(ulong number, ReadOnlyMemory<byte> result) => StreamFrame.WriteAsync(
        _server, new StreamFrame(StreamKind.Propose, false, new LedgerReply((ProposeFailure?)null, result, null, null, number).Encode()), default);
}

using Kcore.Daemon.Cluster;
using Kcore.Daemon.Cluster.Consensus;
using Kcore.Daemon.Cluster.Streams;
using Kcore.Gossip;
using Kcore.Gossip.Wire;
using Kcore.Raft;

namespace Kcore.Daemon.Ipam.Ledger;

/// <summary>Answers what other nodes ask on the Raft port. Only the leader does what is asked; everybody else names it.</summary>
internal sealed class LedgerStreams(ClusterLedger ledger, TimeProvider time)
{
    // Of one stream; who asks more at once is read no further.
    private const int ProposalsMax = 256;

    // Longer than any answer takes.
    private static readonly TimeSpan IdleLimit = TimeSpan.FromMinutes(2);

    private static readonly TimeSpan HandOverLimit = TimeSpan.FromSeconds(3);

    /// <summary>Serves <see cref="StreamKind.Raft"/>.</summary>
    public Task ReceiveAsync(NodeId peer, ReadOnlyMemory<byte> first, Stream stream, CancellationToken token) =>
        ledger.Open is { } open
            ? open.ReceiveAsync(peer, first, stream, token)
            : throw new InvalidDataException("this node holds no log");

    /// <summary>
    /// Serves <see cref="StreamKind.Propose"/>: any number of commands on one stream, each answered when it is
    /// done, in whatever order that is.
    /// </summary>
    public async Task HandleProposalsAsync(NodeId peer, ReadOnlyMemory<byte> first, Stream stream, CancellationToken token)
    {
        using var idle = new CancellationTokenSource(IdleLimit, time);
        using CancellationTokenSource over = CancellationTokenSource.CreateLinkedTokenSource(token, idle.Token);
        using var room = new SemaphoreSlim(ProposalsMax, ProposalsMax);
        var replies = new FrameWriter(stream, StreamKind.Propose);
        try
        {
            ReadOnlyMemory<byte> body = first;
            while (true)
            {
                LedgerRequest request = Read(body.Span);
                await room.WaitAsync(over.Token);
                _ = AnswerInTimeAsync(request, replies, room, over.Token);
                if (await StreamFrame.ReadAsync(stream, over.Token) is not { Kind: StreamKind.Propose } frame)
                {
                    return;
                }

                body = frame.Body;
                idle.CancelAfter(IdleLimit);
            }
        }
        finally
        {
            // Nobody is there to be answered; what was appended is decided by the log all the same.
            await over.CancelAsync();
            for (int i = 0; i < ProposalsMax; i++)
            {
                await room.WaitAsync(CancellationToken.None);
            }
        }
    }

    /// <summary>Serves <see cref="StreamKind.LogReport"/>.</summary>
    public Task HandleReportAsync(NodeId peer, ReadOnlyMemory<byte> body, Func<ReadOnlyMemory<byte>, bool, ValueTask> reply, CancellationToken token) =>
        AnswerAsync(body, reply, async (open, _) => LogReportCodec.Encode(await open.Loop.ReportAsync(token)));

    /// <summary>Serves <see cref="StreamKind.Transfer"/>.</summary>
    public Task HandleTransferAsync(NodeId peer, ReadOnlyMemory<byte> body, Func<ReadOnlyMemory<byte>, bool, ValueTask> reply, CancellationToken token) =>
        AnswerAsync(body, reply, async (open, request) => NodeBytes(await HandOverAsync(open, request.Command.Span is { Length: NodeId.ByteCount } id ? NodeId.FromBytes(id) : null, token)));

    /// <summary>Hands the seat of this node, which leads, over; to any voter when none is named.</summary>
    /// <exception cref="ProposeException">It does not lead, or nobody took over in time.</exception>
    public static async Task<NodeId> HandOverAsync(OpenLedger open, NodeId? to, CancellationToken token)
    {
        MemberId target = MemberId.None;
        if (to is { } node)
        {
            target = open.Loop.Status.Voters.FirstOrDefault(v => v.NodeUid == Uid.ToGuid(node.Value), MemberId.None);
            if (target.IsNone)
            {
                throw new ProposeException(ProposeFailure.Unavailable, $"node {node.Short} does not vote, so it cannot lead");
            }
        }

        if (target == open.Loop.Status.Self)
        {
            return new NodeId(Uid.FromGuid(target.NodeUid));
        }

        MemberId leader = await open.Loop.HandOverAsync(target, HandOverLimit, token);
        return leader.IsNone
            ? throw new ProposeException(ProposeFailure.UnknownOutcome, $"nobody took over within {HandOverLimit.TotalSeconds:0} s")
            : new NodeId(Uid.FromGuid(leader.NodeUid));
    }

    private static byte[] NodeBytes(NodeId node)
    {
        var bytes = new byte[NodeId.ByteCount];
        node.WriteBytes(bytes);
        return bytes;
    }

    private async Task AnswerAsync(
        ReadOnlyMemory<byte> body, Func<ReadOnlyMemory<byte>, bool, ValueTask> reply, Func<OpenLedger, LedgerRequest, Task<byte[]>> act)
    {
        await reply((await AnswerAsync(Read(body.Span), act)).Encode(), true);
    }

    private async Task AnswerInTimeAsync(LedgerRequest request, FrameWriter replies, SemaphoreSlim room, CancellationToken over)
    {
        try
        {
            LedgerReply answer = await AnswerAsync(request, async (open, r) => ResultCodec.Encode(await open.Loop.ProposeAsync(r.Command, over)));
            await replies.WriteAsync((answer with { Number = request.Number }).Encode(), over);
        }
        catch (Exception e) when (e is IOException or OperationCanceledException or ObjectDisposedException)
        {
            // The stream broke, which its reader notices too.
        }
        finally
        {
            room.Release();
        }
    }

    private static LedgerRequest Read(ReadOnlySpan<byte> body)
    {
        try
        {
            return LedgerRequest.Decode(body);
        }
        catch (WireFormatException e)
        {
            throw new InvalidDataException(e.Message, e);
        }
    }

    private async Task<LedgerReply> AnswerAsync(LedgerRequest request, Func<OpenLedger, LedgerRequest, Task<byte[]>> act)
    {
        if (ledger.Open is not { } open || open.Cluster != request.Cluster)
        {
            return new LedgerReply(ProposeFailure.Stopped, default, "this node holds no log of that cluster");
        }

        ConsensusStatus status = open.Loop.Status;
        if (status.Role != RaftRole.Leader)
        {
            // Not waited for: whoever asks knows other voters too, and asks again.
            return new LedgerReply(ProposeFailure.NotLeader, default, "it does not lead the cluster's log", NodeOf(status.Leader));
        }

        try
        {
            return new LedgerReply(null, await act(open, request), null);
        }
        catch (ProposeException e)
        {
            return new LedgerReply(e.Failure, default, e.Message, NodeOf(e.LeaderHint));
        }
    }

    private static NodeId? NodeOf(MemberId member) => member.IsNone ? null : new NodeId(Uid.FromGuid(member.NodeUid));
}

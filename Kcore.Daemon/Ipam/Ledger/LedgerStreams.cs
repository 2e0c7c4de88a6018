using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
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
    // Of one stream; who asks more at once, or takes no answers, is read no further.
    private const int ProposalsMax = 256;
    private const int UntakenBytesMax = 256 * 1024;

    // More nodes than ask for addresses at once in most clusters; the others' proposals are read a little later.
    private const int ThreadsMax = 16;

    // Longer than any answer takes.
    private static readonly TimeSpan IdleLimit = TimeSpan.FromMinutes(2);

    private static readonly TimeSpan HandOverLimit = TimeSpan.FromSeconds(3);

    // A leader that lost its quorum knows after one to two seconds; who asks has given up before.
    private static readonly TimeSpan ReadLimit = TimeSpan.FromSeconds(2);

    private readonly FrameThreads _threads = new("proposals", ThreadsMax);

    /// <summary>Serves <see cref="StreamKind.Raft"/>.</summary>
    public Task ReceiveAsync(NodeId peer, ReadOnlyMemory<byte> first, PeerStream stream, CancellationToken token) =>
        ledger.Open is { } open
            ? open.ReceiveAsync(peer, first, stream, token)
            : throw new InvalidDataException("this node holds no log");

    /// <summary>
    /// Serves <see cref="StreamKind.Propose"/>: any number of commands and reads on one stream, each answered when it is
    /// done, in whatever order that is.
    /// </summary>
    public Task HandleProposalsAsync(NodeId peer, ReadOnlyMemory<byte> first, PeerStream stream, CancellationToken token) =>
        ServeAsync(new StreamFrame(StreamKind.Propose, false, first), stream, token);

    /// <summary>Serves <see cref="StreamKind.Read"/>: the same, beginning with a read.</summary>
    public Task HandleReadsAsync(NodeId peer, ReadOnlyMemory<byte> first, PeerStream stream, CancellationToken token) =>
        ServeAsync(new StreamFrame(StreamKind.Read, false, first), stream, token);

    private async Task ServeAsync(StreamFrame first, PeerStream stream, CancellationToken token)
    {
        var answers = new AnswerLane(stream, ProposalsMax);
        try
        {
            await TakeAsync(first);
            await _threads.ReadAsync(stream, [StreamKind.Propose, StreamKind.Read], TakeAsync, IdleLimit, time, token);
        }
        finally
        {
            // Nobody is there to be answered; what was appended is decided by the log all the same.
            answers.Close();
        }

        async ValueTask TakeAsync(StreamFrame frame)
        {
            LedgerRequest request = Read(frame.Body.Span);
            await answers.EnterAsync(token);
            if (stream.WaitingBytes > UntakenBytesMax)
            {
                await stream.FlushAsync(token);
            }

            if (frame.Kind == StreamKind.Read)
            {
                _ = ConfirmAsync(request, answers, token);
            }
            else
            {
                Propose(request, answers);
            }
        }
    }

    // Not awaited: the stream goes on, and no failure of it is left.
    private async Task ConfirmAsync(LedgerRequest request, AnswerLane answers, CancellationToken token)
    {
        using var limit = new CancellationTokenSource(ReadLimit, time);
        using CancellationTokenSource both = CancellationTokenSource.CreateLinkedTokenSource(token, limit.Token);
        LedgerReply reply;
        try
        {
            reply = await AnswerAsync(request, async (open, _) =>
            {
                ulong index = await open.Loop.ReadCommittedAsync(() => open.Mirror.Index, both.Token);
                byte[] bytes = new byte[sizeof(ulong)];
                BinaryPrimitives.WriteUInt64BigEndian(bytes, index);
                return bytes;
            });
        }
        catch (OperationCanceledException)
        {
            reply = new LedgerReply(ProposeFailure.Unavailable, default, "no quorum confirmed that it still leads");
        }

        answers.Add(reply with { Number = request.Number });
        answers.Send();
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

    private void Propose(LedgerRequest request, AnswerLane answers)
    {
        if (TryOpen(request, out OpenLedger? open, out LedgerReply? refusal))
        {
            open.Loop.Propose(request.Command, request.Number, answers);
            return;
        }

        answers.Add(refusal with { Number = request.Number });
        answers.Send();
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
        if (!TryOpen(request, out OpenLedger? open, out LedgerReply? refusal))
        {
            return refusal;
        }

        try
        {
            return new LedgerReply(null, await act(open, request), null);
        }
        catch (ProposeException e)
        {
            return new LedgerReply(e.Failure, default, e.Message, AnswerLane.NodeOf(e.LeaderHint));
        }
    }

    private bool TryOpen(LedgerRequest request, [NotNullWhen(true)] out OpenLedger? open, [NotNullWhen(false)] out LedgerReply? refusal)
    {
        open = ledger.Open;
        if (open is null || open.Cluster != request.Cluster)
        {
            refusal = new LedgerReply(ProposeFailure.Stopped, default, "this node holds no log of that cluster");
            return false;
        }

        // Not waited for: whoever asks knows other voters too, and asks again.
        ConsensusStatus status = open.Loop.Status;
        refusal = status.Role == RaftRole.Leader
            ? null
            : new LedgerReply(ProposeFailure.NotLeader, default, "it does not lead the cluster's log", AnswerLane.NodeOf(status.Leader));
        return refusal is null;
    }
}

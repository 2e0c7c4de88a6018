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

    private readonly FrameThreads _threads = new("proposals", ThreadsMax);

    /// <summary>Serves <see cref="StreamKind.Raft"/>.</summary>
    public Task ReceiveAsync(NodeId peer, ReadOnlyMemory<byte> first, PeerStream stream, CancellationToken token) =>
        ledger.Open is { } open
            ? open.ReceiveAsync(peer, first, stream, token)
            : throw new InvalidDataException("this node holds no log");

    /// <summary>
    /// Serves <see cref="StreamKind.Propose"/>: any number of commands on one stream, each answered when it is
    /// done, in whatever order that is.
    /// </summary>
    public async Task HandleProposalsAsync(NodeId peer, ReadOnlyMemory<byte> first, PeerStream stream, CancellationToken token)
    {
        var answers = new AnswerLane(stream, ProposalsMax);
        try
        {
            await TakeAsync(first);
            await _threads.ReadAsync(stream, StreamKind.Propose, frame => TakeAsync(frame.Body), IdleLimit, time, token);
        }
        finally
        {
            // Nobody is there to be answered; what was appended is decided by the log all the same.
            answers.Close();
        }

        async ValueTask TakeAsync(ReadOnlyMemory<byte> body)
        {
            LedgerRequest request = Read(body.Span);
            await answers.EnterAsync(token);
            if (stream.WaitingBytes > UntakenBytesMax)
            {
                await stream.FlushAsync(token);
            }

            Propose(request, answers);
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

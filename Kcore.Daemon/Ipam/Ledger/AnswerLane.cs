using System.Buffers;
using Kcore.Daemon.Cluster;
using Kcore.Daemon.Cluster.Consensus;
using Kcore.Daemon.Cluster.Streams;
using Kcore.Gossip;
using Kcore.Raft;

namespace Kcore.Daemon.Ipam.Ledger;

/// <summary>
/// The answering end of a stream of proposals. The log itself writes the answers, those of one round in one write; a stream
/// that takes nothing loses them with its end, and every command can be repeated.
/// </summary>
/// <param name="stream">Written to by nobody else until <see cref="Close"/>.</param>
/// <param name="max">Proposals under way at once.</param>
internal sealed class AnswerLane(PeerStream stream, int max) : IProposalAnswers<ReplicatedResult>
{
    private readonly Lock _turn = new();
    private readonly ArrayBufferWriter<byte> _buffer = new(1024);
    private TaskCompletionSource? _roomWanted;
    private int _underWay;
    private bool _isOver;

    /// <summary>Returns when one more may be under way; one caller at a time.</summary>
    public async ValueTask EnterAsync(CancellationToken token)
    {
        Task room = Task.CompletedTask;
        lock (_turn)
        {
            if (_underWay < max)
            {
                _underWay++;
            }
            else
            {
                _roomWanted = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                room = _roomWanted.Task;
            }
        }

        if (!room.IsCompleted)
        {
            await room.WaitAsync(token);
        }
    }

    public void Grant(ulong number, ReplicatedResult result) =>
        Add(new LedgerReply(null, ResultCodec.Encode(result), null, Number: number));

    public void Refuse(ulong number, ProposeException failure) =>
        Add(new LedgerReply(failure.Failure, default, failure.Message, NodeOf(failure.LeaderHint), number));

    /// <summary>Takes one answer; it leaves with <see cref="Send"/>.</summary>
    public void Add(LedgerReply reply)
    {
        ReadOnlyMemory<byte> body = reply.Encode();
        lock (_turn)
        {
            if (_roomWanted is { } wanted)
            {
                // The place goes to who waits for it.
                _roomWanted = null;
                wanted.SetResult();
            }
            else
            {
                _underWay--;
            }

            if (!_isOver)
            {
                StreamFrame.Append(_buffer, StreamKind.Propose, body.Span);
            }
        }
    }

    public void Send()
    {
        lock (_turn)
        {
            if (_isOver || _buffer.WrittenCount == 0)
            {
                return;
            }

            try
            {
                stream.Write(_buffer.WrittenSpan);
            }
            catch (Exception e) when (e is IOException or ObjectDisposedException)
            {
                // Its reader notices it too.
                _isOver = true;
            }

            _buffer.ResetWrittenCount();
        }
    }

    /// <summary>Nothing is written from now on: the stream is about to be disposed.</summary>
    public void Close()
    {
        lock (_turn)
        {
            _isOver = true;
        }
    }

    public static NodeId? NodeOf(MemberId member) => member.IsNone ? null : new NodeId(Uid.FromGuid(member.NodeUid));
}

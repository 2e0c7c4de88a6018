using System.Buffers;
using Kcore.Daemon.Cluster;
using Kcore.Daemon.Cluster.Consensus;
using Kcore.Gossip;
using Kcore.Gossip.Wire;

namespace Kcore.Daemon.Ipam.Ledger;

/// <summary>What a node asks of the leader: for <c>Propose</c> a command, for <c>Transfer</c> the uid of the node that shall lead (or nothing), for <c>LogReport</c> and <c>Read</c> nothing.</summary>
/// <param name="Number">Tells the answers apart on a stream that carries many questions.</param>
internal sealed record LedgerRequest(ClusterRef Cluster, ReadOnlyMemory<byte> Command, ulong Number = 0)
{
    private const int CommandBytes = 64 * 1024;

    public ReadOnlyMemory<byte> Encode()
    {
        var buffer = new ArrayBufferWriter<byte>(Command.Length + 48);
        var writer = new MessagePackWriter(buffer);
        writer.WriteMapHeader(4);
        writer.WriteUInt64(1);
        writer.WriteBinary(Cluster.Id.ToByteArray(bigEndian: true));
        writer.WriteUInt64(2);
        writer.WriteUInt64(Cluster.Epoch);
        writer.WriteUInt64(3);
        writer.WriteBinary(Command.Span);
        writer.WriteUInt64(4);
        writer.WriteUInt64(Number);
        return buffer.WrittenMemory;
    }

    /// <exception cref="WireFormatException">Not a proposal.</exception>
    public static LedgerRequest Decode(ReadOnlySpan<byte> bytes)
    {
        Guid cluster = default;
        uint epoch = 0;
        byte[] command = [];
        ulong number = 0;
        var reader = new MessagePackReader(bytes);
        for (int left = reader.ReadMapHeader(16); left > 0; left--)
        {
            switch (reader.ReadUInt64())
            {
                case 1:
                    ReadOnlySpan<byte> id = reader.ReadBinary(16);
                    cluster = id.Length == 16 ? new Guid(id, bigEndian: true) : throw new WireFormatException("not a cluster id");
                    break;
                case 2: epoch = reader.ReadUInt32(); break;
                case 3: command = reader.ReadBinary(CommandBytes).ToArray(); break;
                case 4: number = reader.ReadUInt64(); break;
                default: reader.Skip(); break;
            }
        }

        return new LedgerRequest(new ClusterRef(cluster, epoch), command, number);
    }
}

/// <summary>The result, or why there is none.</summary>
/// <param name="Failure">Null when <paramref name="Result"/> holds the encoded result.</param>
/// <param name="Leader">Who leads, as far as the answering node knows.</param>
/// <param name="Number">That of the request.</param>
internal sealed record LedgerReply(ProposeFailure? Failure, ReadOnlyMemory<byte> Result, string? Text, NodeId? Leader = null, ulong Number = 0)
{
    private const int ResultBytes = 64 * 1024;
    private const int TextCharacters = 160;

    public ReadOnlyMemory<byte> Encode()
    {
        var buffer = new ArrayBufferWriter<byte>(Result.Length + 32);
        var writer = new MessagePackWriter(buffer);
        if (Failure is { } failure)
        {
            writer.WriteMapHeader(Leader is null ? 3 : 4);
            writer.WriteUInt64(1);
            writer.WriteUInt64((ulong)failure);
            writer.WriteUInt64(2);
            writer.WriteString(Text is { Length: > TextCharacters } ? Text[..TextCharacters] : Text ?? "");
            if (Leader is { } leader)
            {
                writer.WriteUInt64(4);
                Span<byte> id = stackalloc byte[NodeId.ByteCount];
                leader.WriteBytes(id);
                writer.WriteBinary(id);
            }
        }
        else
        {
            writer.WriteMapHeader(2);
            writer.WriteUInt64(3);
            writer.WriteBinary(Result.Span);
        }

        writer.WriteUInt64(5);
        writer.WriteUInt64(Number);

        return buffer.WrittenMemory;
    }

    /// <exception cref="WireFormatException">Not a reply.</exception>
    public static LedgerReply Decode(ReadOnlySpan<byte> bytes)
    {
        ProposeFailure? failure = null;
        string? text = null;
        NodeId? leader = null;
        byte[] result = [];
        ulong number = 0;
        var reader = new MessagePackReader(bytes);
        for (int left = reader.ReadMapHeader(16); left > 0; left--)
        {
            switch (reader.ReadUInt64())
            {
                case 1: failure = (ProposeFailure)reader.ReadByte(); break;
                case 2: text = reader.ReadString(512); break;
                case 3: result = reader.ReadBinary(ResultBytes).ToArray(); break;
                case 4:
                    ReadOnlySpan<byte> id = reader.ReadBinary(NodeId.ByteCount);
                    leader = id.Length == NodeId.ByteCount ? NodeId.FromBytes(id) : throw new WireFormatException("not a node id");
                    break;
                case 5: number = reader.ReadUInt64(); break;
                default: reader.Skip(); break;
            }
        }

        return new LedgerReply(failure, result, text, leader, number);
    }
}

using System.Buffers;
using Kcore.Daemon.Cluster;
using Kcore.Daemon.Cluster.Consensus;
using Kcore.Gossip.Wire;

namespace Kcore.Daemon.Ipam.Ledger;

/// <summary>A command that a node without the leader's seat sends to a voter.</summary>
internal sealed record ProposeRequest(ClusterRef Cluster, ReadOnlyMemory<byte> Command)
{
    private const int CommandBytes = 64 * 1024;

    public ReadOnlyMemory<byte> Encode()
    {
        var buffer = new ArrayBufferWriter<byte>(Command.Length + 48);
        var writer = new MessagePackWriter(buffer);
        writer.WriteMapHeader(3);
        writer.WriteUInt64(1);
        writer.WriteBinary(Cluster.Id.ToByteArray(bigEndian: true));
        writer.WriteUInt64(2);
        writer.WriteUInt64(Cluster.Epoch);
        writer.WriteUInt64(3);
        writer.WriteBinary(Command.Span);
        return buffer.WrittenMemory;
    }

    /// <exception cref="WireFormatException">Not a proposal.</exception>
    public static ProposeRequest Decode(ReadOnlySpan<byte> bytes)
    {
        Guid cluster = default;
        uint epoch = 0;
        byte[] command = [];
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
                default: reader.Skip(); break;
            }
        }

        return new ProposeRequest(new ClusterRef(cluster, epoch), command);
    }
}

/// <summary>The result, or why there is none.</summary>
/// <param name="Failure">Null when <paramref name="Result"/> holds the encoded result.</param>
internal sealed record ProposeReply(ProposeFailure? Failure, ReadOnlyMemory<byte> Result, string? Text)
{
    private const int ResultBytes = 64 * 1024;
    private const int TextCharacters = 160;

    public ReadOnlyMemory<byte> Encode()
    {
        var buffer = new ArrayBufferWriter<byte>(Result.Length + 32);
        var writer = new MessagePackWriter(buffer);
        if (Failure is { } failure)
        {
            writer.WriteMapHeader(2);
            writer.WriteUInt64(1);
            writer.WriteUInt64((ulong)failure);
            writer.WriteUInt64(2);
            writer.WriteString(Text is { Length: > TextCharacters } ? Text[..TextCharacters] : Text ?? "");
        }
        else
        {
            writer.WriteMapHeader(1);
            writer.WriteUInt64(3);
            writer.WriteBinary(Result.Span);
        }

        return buffer.WrittenMemory;
    }

    /// <exception cref="WireFormatException">Not a reply.</exception>
    public static ProposeReply Decode(ReadOnlySpan<byte> bytes)
    {
        ProposeFailure? failure = null;
        string? text = null;
        byte[] result = [];
        var reader = new MessagePackReader(bytes);
        for (int left = reader.ReadMapHeader(16); left > 0; left--)
        {
            switch (reader.ReadUInt64())
            {
                case 1: failure = (ProposeFailure)reader.ReadByte(); break;
                case 2: text = reader.ReadString(512); break;
                case 3: result = reader.ReadBinary(ResultBytes).ToArray(); break;
                default: reader.Skip(); break;
            }
        }

        return new ProposeReply(failure, result, text);
    }
}

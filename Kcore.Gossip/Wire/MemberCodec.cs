using System.Buffers;

namespace Kcore.Gossip.Wire;

/// <summary>Member records as maps with small integer keys; pairs of newer versions are kept and written back.</summary>
internal static class MemberCodec
{
    private const int KnownFields = 10;

    public static void Write(MessagePackWriter writer, Member member)
    {
        writer.WriteMapHeader(KnownFields + member.UnknownCount);
        writer.WriteUInt64(1);
        writer.WriteId(member.Id);
        writer.WriteUInt64(2);
        writer.WriteUInt64(member.Epoch);
        writer.WriteUInt64(3);
        writer.WriteUInt64(member.Incarnation);
        writer.WriteUInt64(4);
        writer.WriteUInt64((uint)member.Status);
        writer.WriteUInt64(5);
        writer.WriteUInt64(member.BootNonce);
        writer.WriteUInt64(6);
        EndpointCodec.Write(writer, member.Endpoint);
        writer.WriteUInt64(7);
        writer.WriteUInt64(member.RaftPort);
        writer.WriteUInt64(8);
        writer.WriteString(member.Name);
        writer.WriteUInt64(9);
        writer.WriteUInt64(member.ProtocolMin);
        writer.WriteUInt64(10);
        writer.WriteUInt64(member.ProtocolMax);
        writer.WriteRaw(member.Unknown.Span);
    }

    public static Member Read(ref MessagePackReader reader)
    {
        NodeId? id = null;
        uint epoch = 0, incarnation = 0;
        MemberStatus status = MemberStatus.Alive;
        ulong nonce = 0;
        System.Net.IPEndPoint? endpoint = null;
        ushort raftPort = 0;
        string name = "";
        byte min = 1, max = 1;
        ArrayBufferWriter<byte>? unknown = null;
        int unknownCount = 0;
        int count = reader.ReadMapHeader(WireLimits.FieldsPerRecord);
        for (int i = 0; i < count; i++)
        {
            int start = reader.Position;
            switch (reader.ReadUInt64())
            {
                case 1:
                    id = reader.ReadId();
                    break;
                case 2:
                    epoch = reader.ReadUInt32();
                    break;
                case 3:
                    incarnation = reader.ReadUInt32();
                    break;
                case 4:
                    status = (MemberStatus)reader.ReadUInt64((uint)MemberStatus.Left);
                    break;
                case 5:
                    nonce = reader.ReadUInt64();
                    break;
                case 6:
                    endpoint = EndpointCodec.Read(ref reader);
                    break;
                case 7:
                    raftPort = reader.ReadUInt16();
                    break;
                case 8:
                    name = reader.ReadString(WireLimits.NameBytes);
                    break;
                case 9:
                    min = reader.ReadByte();
                    break;
                case 10:
                    max = reader.ReadByte();
                    break;
                default:
                    reader.Skip();
                    unknown ??= new ArrayBufferWriter<byte>();
                    unknown.Write(reader.Since(start));
                    unknownCount++;
                    break;
            }
        }

        if (id is null || endpoint is null || id == NodeId.Raft || unknown?.WrittenCount > WireLimits.UnknownBytes)
        {
            throw new WireFormatException("not a member record");
        }

        return new Member
        {
            Id = id.Value,
            Epoch = epoch,
            Incarnation = incarnation,
            Status = status,
            BootNonce = nonce,
            Endpoint = endpoint,
            RaftPort = raftPort,
            Name = name,
            ProtocolMin = min,
            ProtocolMax = max,
            Unknown = unknown?.WrittenMemory ?? default,
            UnknownCount = unknownCount,
        };
    }
}

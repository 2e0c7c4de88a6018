using System.Buffers;
using System.Collections.Immutable;
using Kcore.Gossip.Wire;

namespace Kcore.Daemon.Cluster.Founding;

/// <summary>Asks a member to have this node admitted. The node's id is that of its certificate.</summary>
/// <param name="Store">Id of its Raft store; a wiped one comes back with another.</param>
internal sealed record JoinRequest(string Name, Guid Store)
{
    public ReadOnlyMemory<byte> Encode()
    {
        var buffer = new ArrayBufferWriter<byte>(96);
        var writer = new MessagePackWriter(buffer);
        writer.WriteMapHeader(2);
        writer.WriteUInt64(1);
        writer.WriteString(Name);
        writer.WriteUInt64(2);
        writer.WriteBinary(Store.ToByteArray(bigEndian: true));
        return buffer.WrittenMemory;
    }

    /// <exception cref="WireFormatException">Not a join request.</exception>
    public static JoinRequest Decode(ReadOnlySpan<byte> bytes)
    {
        string name = "";
        Guid store = default;
        var reader = new MessagePackReader(bytes);
        for (int left = reader.ReadMapHeader(16); left > 0; left--)
        {
            switch (reader.ReadUInt64())
            {
                case 1: name = reader.ReadString(WireLimits.NameBytes); break;
                case 2: store = HelloMessage.ReadGuid(ref reader); break;
                default: reader.Skip(); break;
            }
        }

        return new JoinRequest(name, store);
    }
}

/// <summary>The answer: the cluster and where its members are, or why not.</summary>
internal sealed record JoinReply(ClusterRef? Cluster, ImmutableArray<string> Contacts, string? Refusal)
{
    /// <summary>More contacts than a joiner can use are not sent.</summary>
    private const int MaxContacts = 32;

    public ReadOnlyMemory<byte> Encode()
    {
        var buffer = new ArrayBufferWriter<byte>(256);
        var writer = new MessagePackWriter(buffer);
        if (Cluster is not { } cluster)
        {
            writer.WriteMapHeader(1);
            writer.WriteUInt64(4);
            writer.WriteString(Refusal ?? "refused");
            return buffer.WrittenMemory;
        }

        writer.WriteMapHeader(3);
        writer.WriteUInt64(1);
        writer.WriteBinary(cluster.Id.ToByteArray(bigEndian: true));
        writer.WriteUInt64(2);
        writer.WriteUInt64(cluster.Epoch);
        writer.WriteUInt64(3);
        int count = Math.Min(Contacts.Length, MaxContacts);
        writer.WriteArrayHeader(count);
        for (int i = 0; i < count; i++)
        {
            writer.WriteString(Contacts[i]);
        }

        return buffer.WrittenMemory;
    }

    /// <exception cref="WireFormatException">Not a join reply.</exception>
    public static JoinReply Decode(ReadOnlySpan<byte> bytes)
    {
        Guid? cluster = null;
        uint epoch = 0;
        ImmutableArray<string> contacts = [];
        string? refusal = null;
        var reader = new MessagePackReader(bytes);
        for (int left = reader.ReadMapHeader(16); left > 0; left--)
        {
            switch (reader.ReadUInt64())
            {
                case 1: cluster = HelloMessage.ReadGuid(ref reader); break;
                case 2: epoch = reader.ReadUInt32(); break;
                case 3:
                    int count = reader.ReadArrayHeader(MaxContacts);
                    ImmutableArray<string>.Builder builder = ImmutableArray.CreateBuilder<string>(count);
                    for (int i = 0; i < count; i++)
                    {
                        builder.Add(reader.ReadString(64));
                    }

                    contacts = builder.DrainToImmutable();
                    break;
                case 4: refusal = reader.ReadString(512); break;
                default: reader.Skip(); break;
            }
        }

        return new JoinReply(cluster is { } id ? new ClusterRef(id, epoch) : null, contacts, refusal);
    }
}

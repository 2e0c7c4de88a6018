using System.Buffers;
using System.Security.Cryptography;
using Kcore.Gossip.Wire;
using Kcore.Gossip.Wire.Sealing;

namespace Kcore.Daemon.Cluster.Trust;

/// <summary>Asks a member of the cluster for a key it holds. Only ever sent over an authenticated stream.</summary>
internal sealed record KeyRequest(Guid Cluster, uint KeyId)
{
    public ReadOnlyMemory<byte> Encode()
    {
        var buffer = new ArrayBufferWriter<byte>(32);
        var writer = new MessagePackWriter(buffer);
        writer.WriteMapHeader(2);
        writer.WriteUInt64(1);
        writer.WriteBinary(Cluster.ToByteArray(bigEndian: true));
        writer.WriteUInt64(2);
        writer.WriteUInt64(KeyId);
        return buffer.WrittenMemory;
    }

    /// <exception cref="WireFormatException">Not a request for a key.</exception>
    public static KeyRequest Decode(ReadOnlySpan<byte> bytes)
    {
        Guid cluster = default;
        uint key = 0;
        var reader = new MessagePackReader(bytes);
        for (int left = reader.ReadMapHeader(16); left > 0; left--)
        {
            switch (reader.ReadUInt64())
            {
                case 1: cluster = Founding.HelloMessage.ReadGuid(ref reader); break;
                case 2: key = reader.ReadUInt32(); break;
                default: reader.Skip(); break;
            }
        }

        return new KeyRequest(cluster, key);
    }
}

/// <summary>The key, or why not.</summary>
internal sealed record KeyReply(RingKey? Key, string? Refusal)
{
    /// <summary>The caller zeroes it once it is sent.</summary>
    public byte[] Encode()
    {
        var buffer = new ArrayBufferWriter<byte>(128);
        var writer = new MessagePackWriter(buffer);
        if (Key is not { } key)
        {
            writer.WriteMapHeader(1);
            writer.WriteUInt64(4);
            writer.WriteString(Refusal ?? "refused");
            return buffer.WrittenSpan.ToArray();
        }

        Span<byte> secret = stackalloc byte[ClusterSecret.Size];
        key.Secret.CopyTo(secret);
        writer.WriteMapHeader(3);
        writer.WriteUInt64(1);
        writer.WriteUInt64(key.Generation);
        writer.WriteUInt64(2);
        writer.WriteBinary(secret);
        writer.WriteUInt64(3);
        writer.WriteUInt64((ulong)key.Overlap.TotalSeconds);
        CryptographicOperations.ZeroMemory(secret);
        byte[] bytes = buffer.WrittenSpan.ToArray();
        buffer.Clear();
        return bytes;
    }

    /// <exception cref="WireFormatException">Not an answer to a request for a key.</exception>
    public static KeyReply Decode(ReadOnlySpan<byte> bytes)
    {
        uint generation = 0;
        ClusterSecret? secret = null;
        TimeSpan overlap = RingKey.DefaultOverlap;
        string? refusal = null;
        var reader = new MessagePackReader(bytes);
        for (int left = reader.ReadMapHeader(16); left > 0; left--)
        {
            switch (reader.ReadUInt64())
            {
                case 1: generation = (uint)reader.ReadUInt64(KeyName.MaxGeneration); break;
                case 2:
                    ReadOnlySpan<byte> read = reader.ReadBinary(ClusterSecret.Size);
                    secret = read.Length == ClusterSecret.Size ? new ClusterSecret(read) : throw new WireFormatException("not a key");
                    break;
                case 3: overlap = TimeSpan.FromSeconds(reader.ReadUInt64((ulong)RingKey.MaxOverlap.TotalSeconds)); break;
                case 4: refusal = reader.ReadString(512); break;
                default: reader.Skip(); break;
            }
        }

        return secret is null ? new KeyReply(null, refusal ?? "refused") : new KeyReply(new RingKey(generation, secret, overlap, null), null);
    }
}

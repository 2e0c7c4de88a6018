using System.Buffers.Binary;
using System.Security.Cryptography;
using Kcore.Gossip;
using Kcore.Gossip.Wire.Sealing;

namespace Kcore.Daemon.Dataplane.Paths;

internal enum PathMessageKind : byte
{
    Question = 1,
    Answer = 2,
}

/// <summary>
/// What a probe says, 72 bytes, big endian: version 1, kind 1, size of the question's IPv4 packet 2, key id 4, sender 16,
/// receiver 16, nonce 16, tag 16. The tag is HMAC-SHA256, cut to 16 bytes, over the rest and the cluster. Nobody outside can
/// ask, so this node reflects nothing; an answer carries the nonce of its question, so that a recorded one is worth nothing.
/// </summary>
/// <param name="Bytes">How long the question's IPv4 packet is, also in the answer to it.</param>
internal sealed record PathMessage(PathMessageKind Kind, int Bytes, uint KeyId, NodeId From, NodeId To, UInt128 Nonce)
{
    public const int Size = Signed + TagSize;

    private const byte Version = 1;
    private const int Signed = 56;
    private const int TagSize = 16;
    private const int ClusterSize = 20;

    /// <param name="key">32 bytes, of the key that <see cref="KeyId"/> names.</param>
    public void Write(Span<byte> destination, ReadOnlySpan<byte> key, ClusterScope cluster)
    {
        destination[0] = Version;
        destination[1] = (byte)Kind;
        BinaryPrimitives.WriteUInt16BigEndian(destination[2..], (ushort)Bytes);
        BinaryPrimitives.WriteUInt32BigEndian(destination[4..], KeyId);
        BinaryPrimitives.WriteUInt128BigEndian(destination[8..], From.Value);
        BinaryPrimitives.WriteUInt128BigEndian(destination[24..], To.Value);
        BinaryPrimitives.WriteUInt128BigEndian(destination[40..], Nonce);
        Tag(destination[..Signed], key, cluster, destination.Slice(Signed, TagSize));
    }

    /// <summary>Reads without believing anything; null when it is no probe. Anything may be in it.</summary>
    public static PathMessage? Read(ReadOnlySpan<byte> source) =>
        source.Length < Size || source[0] != Version || source[1] is not ((byte)PathMessageKind.Question or (byte)PathMessageKind.Answer)
            ? null
            : new PathMessage(
                (PathMessageKind)source[1],
                BinaryPrimitives.ReadUInt16BigEndian(source[2..]),
                BinaryPrimitives.ReadUInt32BigEndian(source[4..]),
                new NodeId(BinaryPrimitives.ReadUInt128BigEndian(source[8..])),
                new NodeId(BinaryPrimitives.ReadUInt128BigEndian(source[24..])),
                BinaryPrimitives.ReadUInt128BigEndian(source[40..]));

    /// <summary>Whether who wrote the bytes that were read holds the key, and meant this cluster.</summary>
    public static bool IsGenuine(ReadOnlySpan<byte> source, ReadOnlySpan<byte> key, ClusterScope cluster)
    {
        Span<byte> tag = stackalloc byte[TagSize];
        Tag(source[..Signed], key, cluster, tag);
        return CryptographicOperations.FixedTimeEquals(tag, source.Slice(Signed, TagSize));
    }

    private static void Tag(ReadOnlySpan<byte> signed, ReadOnlySpan<byte> key, ClusterScope cluster, Span<byte> tag)
    {
        Span<byte> all = stackalloc byte[Signed + ClusterSize];
        signed.CopyTo(all);
        BinaryPrimitives.WriteUInt128BigEndian(all[Signed..], cluster.ClusterId);
        BinaryPrimitives.WriteUInt32BigEndian(all[(Signed + 16)..], cluster.ClusterEpoch);
        Span<byte> whole = stackalloc byte[HMACSHA256.HashSizeInBytes];
        HMACSHA256.HashData(key, all, whole);
        whole[..TagSize].CopyTo(tag);
    }
}

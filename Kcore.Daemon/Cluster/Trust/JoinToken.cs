using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using Kcore.Gossip.Wire.Sealing;

namespace Kcore.Daemon.Cluster.Trust;

/// <summary>
/// A cluster's key as one line to paste: <c>kcore1-</c> and, in the base32 of RFC 4648 in small letters without padding,
/// generation 4, secret 32, cluster id 16 and the first 4 bytes of SHA-256 over the 52 before, big endian. Whoever has it
/// can join; it is as secret as the key.
/// </summary>
/// <param name="Key">The key the cluster seals with.</param>
/// <param name="Cluster">Where it is meant for: a hint that tells a slip before it does harm.</param>
internal sealed record JoinToken(RingKey Key, Guid Cluster)
{
    private const string Prefix = "kcore1-";
    private const string Alphabet = "abcdefghijklmnopqrstuvwxyz234567";
    private const int Body = 4 + ClusterSecret.Size + 16;
    private const int Size = Body + 4;
    private const int Characters = ((Size * 8) + 4) / 5;

    public string Print()
    {
        Span<byte> bytes = stackalloc byte[Size];
        BinaryPrimitives.WriteUInt32BigEndian(bytes, Key.Generation);
        Key.Secret.CopyTo(bytes[4..]);
        Cluster.TryWriteBytes(bytes[(4 + ClusterSecret.Size)..], bigEndian: true, out _);
        CheckSum(bytes[..Body], bytes[Body..]);
        Span<char> text = stackalloc char[Characters];
        for (int i = 0; i < Characters; i++)
        {
            int value = 0;
            for (int bit = i * 5; bit < (i * 5) + 5; bit++)
            {
                value = (value << 1) | (bit < Size * 8 ? (bytes[bit / 8] >> (7 - (bit % 8))) & 1 : 0);
            }

            text[i] = Alphabet[value];
        }

        CryptographicOperations.ZeroMemory(bytes);
        return string.Concat(Prefix, text);
    }

    /// <summary>False for anything but a whole token: a character too few or wrong does not pass the check sum.</summary>
    public static bool TryParse(string text, [NotNullWhen(true)] out JoinToken? token)
    {
        token = null;
        string trimmed = text.Trim();
        if (trimmed.Length != Prefix.Length + Characters || !trimmed.StartsWith(Prefix, StringComparison.OrdinalIgnoreCase))
        {
            return false;
        }

        Span<byte> bytes = stackalloc byte[Size + 1];
        bytes.Clear();
        for (int i = 0; i < Characters; i++)
        {
            int value = Alphabet.IndexOf(char.ToLowerInvariant(trimmed[Prefix.Length + i]), StringComparison.Ordinal);
            if (value < 0)
            {
                return false;
            }

            for (int bit = 0; bit < 5; bit++)
            {
                int at = (i * 5) + bit;
                bytes[at / 8] |= (byte)(((value >> (4 - bit)) & 1) << (7 - (at % 8)));
            }
        }

        Span<byte> sum = stackalloc byte[4];
        CheckSum(bytes[..Body], sum);
        uint generation = BinaryPrimitives.ReadUInt32BigEndian(bytes);
        if (!sum.SequenceEqual(bytes[Body..Size]) || bytes[Size] != 0 || generation > KeyName.MaxGeneration)
        {
            return false;
        }

        token = new JoinToken(
            new RingKey(generation, new ClusterSecret(bytes.Slice(4, ClusterSecret.Size)), RingKey.DefaultOverlap, null),
            new Guid(bytes.Slice(4 + ClusterSecret.Size, 16), bigEndian: true));
        CryptographicOperations.ZeroMemory(bytes);
        return true;
    }

    /// <summary>Never the key: a log line must not leak it.</summary>
    public override string ToString() => $"token for cluster {Cluster:N}";

    private static void CheckSum(ReadOnlySpan<byte> body, Span<byte> sum)
    {
        Span<byte> hash = stackalloc byte[32];
        SHA256.HashData(body, hash);
        hash[..4].CopyTo(sum);
    }
}

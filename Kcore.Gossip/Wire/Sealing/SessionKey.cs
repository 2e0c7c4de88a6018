using System.Buffers.Binary;
using System.Security.Cryptography;

namespace Kcore.Gossip.Wire.Sealing;

/// <summary>Names one traffic key: one secret, one sender, one boot.</summary>
internal readonly record struct SessionKey(uint KeyId, UInt128 Sender, BootId Boot)
{
    private const int KeySize = 32;

    private static ReadOnlySpan<byte> Label => "kcore-gossip-v1"u8;

    /// <summary>The cipher of this session: AES-256-GCM under HKDF(secret, label, cluster, key id, sender, boot).</summary>
    /// <returns>Null when the secret was retired at this very moment.</returns>
    public AesGcm? CreateCipher(ClusterSecret secret, ClusterScope scope)
    {
        Span<byte> info = stackalloc byte[Label.Length + 48];
        Label.CopyTo(info);
        Span<byte> rest = info[Label.Length..];
        BinaryPrimitives.WriteUInt128BigEndian(rest, scope.ClusterId);
        BinaryPrimitives.WriteUInt32BigEndian(rest[16..], scope.ClusterEpoch);
        BinaryPrimitives.WriteUInt32BigEndian(rest[20..], KeyId);
        BinaryPrimitives.WriteUInt128BigEndian(rest[24..], Sender);
        BinaryPrimitives.WriteUInt32BigEndian(rest[40..], Boot.Epoch);
        BinaryPrimitives.WriteUInt32BigEndian(rest[44..], Boot.Nonce);

        Span<byte> key = stackalloc byte[KeySize];
        if (!secret.TryDerive(info, key))
        {
            return null;
        }

        var cipher = new AesGcm(key, DatagramHeader.TagSize);
        CryptographicOperations.ZeroMemory(key);
        return cipher;
    }
}

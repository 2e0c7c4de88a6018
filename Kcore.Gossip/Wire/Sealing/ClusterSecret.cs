using System.Security.Cryptography;

namespace Kcore.Gossip.Wire.Sealing;

/// <summary>
/// The 32 bytes whose possession makes a machine a member. Every key in use is derived from it by HKDF-SHA256
/// (RFC 5869) under its own label; the secret itself never encrypts anything and is zeroed on disposal.
/// </summary>
public sealed class ClusterSecret : IDisposable
{
    /// <summary>Length of a secret in bytes.</summary>
    public const int Size = 32;

    /// <summary>Length in bytes of the fingerprint announced on the LAN.</summary>
    public const int FingerprintSize = 8;

    // Pinned, so that the garbage collector never leaves a second copy behind that nobody zeroes.
    private readonly byte[] _bytes = GC.AllocateUninitializedArray<byte>(Size, pinned: true);

    // A rotation disposes of a secret while another thread may be opening a datagram under it.
    private readonly Lock _use = new();
    private bool _disposed;

    /// <exception cref="ArgumentException">The length is not <see cref="Size"/>.</exception>
    public ClusterSecret(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length != Size)
        {
            throw new ArgumentException($"A cluster secret has {Size} bytes, not {bytes.Length}.", nameof(bytes));
        }

        bytes.CopyTo(_bytes);
        Span<byte> id = stackalloc byte[4];
        Derive("kcore-key-id-v1"u8, id);
        KeyId = System.Buffers.Binary.BinaryPrimitives.ReadUInt32BigEndian(id);
    }

    /// <summary>
    /// Names the secret in datagram headers. It is derived, so all nodes agree on it without talking; it tells an
    /// observer only whether two datagrams were sealed under one secret.
    /// </summary>
    public uint KeyId { get; }

    /// <summary>
    /// Tells clusters on one LAN apart (mDNS TXT <c>f=</c>): 16 hexadecimal digits, a keyed hash from which the secret
    /// can't be computed. Equal fingerprints are a hint that a contact is worth trying, never a proof.
    /// </summary>
    public string Fingerprint()
    {
        Span<byte> hash = stackalloc byte[FingerprintSize];
        Derive("kcore-mdns-fingerprint-v1"u8, hash);
        return Convert.ToHexStringLower(hash);
    }

    /// <summary>Fills <paramref name="output"/> with key material for the purpose named by <paramref name="info"/>.</summary>
    public void Derive(ReadOnlySpan<byte> info, Span<byte> output) =>
        ObjectDisposedException.ThrowIf(!TryDerive(info, output), this);

    /// <summary>As <see cref="Derive"/>; false when the secret has been disposed of meanwhile.</summary>
    public bool TryDerive(ReadOnlySpan<byte> info, Span<byte> output)
    {
        lock (_use)
        {
            if (!_disposed)
            {
                HKDF.DeriveKey(HashAlgorithmName.SHA256, _bytes, output, salt: [], info);
            }

            return !_disposed;
        }
    }

    /// <summary>Copies the secret out, for the key file and the join token only.</summary>
    public void CopyTo(Span<byte> destination)
    {
        lock (_use)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            _bytes.CopyTo(destination);
        }
    }

    /// <summary>Compares in constant time.</summary>
    public bool HasSameBytes(ClusterSecret other) => CryptographicOperations.FixedTimeEquals(_bytes, other._bytes);

    public void Dispose()
    {
        lock (_use)
        {
            _disposed = true;
            CryptographicOperations.ZeroMemory(_bytes);
        }
    }

    /// <summary>Names the key by its id, so that a log line can't leak the secret.</summary>
    public override string ToString() => $"cluster secret {KeyId:x8}";
}

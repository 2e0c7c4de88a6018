using System.Security.Cryptography;

namespace Kcore.Gossip.Wire.Sealing;

/// <summary>
/// Seals what one boot of this node sends. There must be one sealer per boot id, ever: the counter is the nonce, and
/// it goes on growing across key rotation and change of cluster. Not thread-safe.
/// </summary>
public sealed class DatagramSealer : IDisposable
{
    private readonly UInt128 _sender;
    private readonly BootId _boot;
    private readonly KeyRing _ring;
    private ClusterScope _scope;
    private ulong _lastCounter;
    private AesGcm? _cipher;
    private uint _cipherKeyId;

    public DatagramSealer(UInt128 sender, BootId boot, KeyRing ring, ClusterScope scope)
        : this(sender, boot, ring, scope, lastCounter: 0)
    {
    }

    internal DatagramSealer(UInt128 sender, BootId boot, KeyRing ring, ClusterScope scope, ulong lastCounter)
    {
        _sender = sender;
        _boot = boot;
        _ring = ring;
        _scope = scope;
        _lastCounter = lastCounter;
    }

    /// <summary>Moves to another cluster or cluster epoch, under new keys.</summary>
    public void ChangeScope(ClusterScope scope)
    {
        _scope = scope;
        DropCipher();
    }

    /// <summary>
    /// Writes header, ciphertext and tag. <paramref name="plaintext"/> holds at most
    /// <see cref="DatagramHeader.MaxPlaintext"/> bytes, <paramref name="destination"/> has room for
    /// <see cref="DatagramHeader.Overhead"/> more; they do not overlap. False when this boot has used up its counter:
    /// it may never send again, and only a new boot id helps.
    /// </summary>
    public bool TrySeal(ReadOnlySpan<byte> plaintext, Span<byte> destination, out int written)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(plaintext.Length, DatagramHeader.MaxPlaintext);
        ArgumentOutOfRangeException.ThrowIfLessThan(destination.Length, plaintext.Length + DatagramHeader.Overhead);
        written = 0;
        if (_lastCounter == ulong.MaxValue)
        {
            return false;
        }

        AesGcm cipher = CurrentCipher();
        ulong counter = ++_lastCounter;
        new DatagramHeader(_cipherKeyId, _sender, _boot, counter).Write(destination);

        Span<byte> authenticated = stackalloc byte[DatagramHeader.AuthenticatedSize];
        DatagramHeader.WriteAuthenticated(destination, _scope, authenticated);
        Span<byte> nonce = stackalloc byte[DatagramHeader.NonceSize];
        DatagramHeader.WriteNonce(counter, nonce);
        cipher.Encrypt(
            nonce,
            plaintext,
            destination.Slice(DatagramHeader.Size, plaintext.Length),
            destination.Slice(DatagramHeader.Size + plaintext.Length, DatagramHeader.TagSize),
            authenticated);
        written = plaintext.Length + DatagramHeader.Overhead;
        return true;
    }

    public void Dispose() => DropCipher();

    private AesGcm CurrentCipher()
    {
        ClusterSecret active = _ring.Active;
        if (_cipher is null || _cipherKeyId != active.KeyId)
        {
            DropCipher();
            _cipher = new SessionKey(active.KeyId, _sender, _boot).CreateCipher(active, _scope);
            _cipherKeyId = active.KeyId;
        }

        return _cipher;
    }

    private void DropCipher()
    {
        _cipher?.Dispose();
        _cipher = null;
    }
}

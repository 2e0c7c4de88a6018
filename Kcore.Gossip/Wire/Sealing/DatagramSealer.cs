using System.Security.Cryptography;

namespace Kcore.Gossip.Wire.Sealing;

/// <summary>
/// Seals what one boot of this node sends. There must be one sealer per boot id, ever: the counter is the nonce, and
/// it goes on growing across key rotation and change of cluster. Not thread-safe.
/// </summary>
public sealed class DatagramSealer : IDisposable
{
    private readonly UInt128 _sender;
    private readonly KeyRing _ring;
    private readonly Dictionary<uint, AesGcm> _ciphers = new(KeyRing.MaxSecrets);
    private BootId _boot;
    private ClusterScope _scope;
    private int _ringVersion;

    public DatagramSealer(UInt128 sender, BootId boot, KeyRing ring, ClusterScope scope)
        : this(sender, boot, ring, scope, lastCounter: 0)
    {
    }

    internal DatagramSealer(UInt128 sender, BootId boot, KeyRing ring, ClusterScope scope, ulong lastCounter)
    {
        _sender = sender;
        _boot = boot;
        _ring = ring;
        _ringVersion = ring.Version;
        _scope = scope;
        LastCounter = lastCounter;
    }

    /// <summary>The counter of the datagram sealed last; 0 before the first.</summary>
    public ulong LastCounter { get; private set; }

    /// <summary>Moves to another cluster or cluster epoch, under new keys.</summary>
    public void ChangeScope(ClusterScope scope)
    {
        _scope = scope;
        DropCiphers();
    }

    /// <summary>Goes on as a later boot: what peers remember of this node turned out to be newer than what it did itself.</summary>
    public void ChangeBoot(BootId boot)
    {
        _boot = boot;
        DropCiphers();
    }

    /// <summary>Seals a greeting under the active key.</summary>
    public bool TrySeal(ReadOnlySpan<byte> plaintext, Span<byte> destination, out int written) =>
        TrySeal(plaintext, DatagramKind.Greeting, default, _ring.Active.KeyId, destination, out written);

    /// <summary>
    /// Writes header, ciphertext and tag. <paramref name="plaintext"/> holds at most
    /// <see cref="DatagramHeader.MaxPlaintext"/> bytes, <paramref name="destination"/> has room for
    /// <see cref="DatagramHeader.Overhead"/> more; they do not overlap. The active key takes the place of a key that
    /// the ring does not hold. False when this boot has used up its counter: it may never send again, and only a new boot
    /// id helps.
    /// </summary>
    public bool TrySeal(
        ReadOnlySpan<byte> plaintext, DatagramKind kind, UInt128 receiver, uint keyId, Span<byte> destination, out int written)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(plaintext.Length, DatagramHeader.MaxPlaintext);
        ArgumentOutOfRangeException.ThrowIfLessThan(destination.Length, plaintext.Length + DatagramHeader.Overhead);
        written = 0;
        if (LastCounter == ulong.MaxValue || Cipher(ref keyId) is not { } cipher)
        {
            return false;
        }

        ulong counter = ++LastCounter;
        new DatagramHeader(keyId, _sender, _boot, counter, kind).Write(destination);

        Span<byte> room = stackalloc byte[DatagramHeader.AuthenticatedMax];
        ReadOnlySpan<byte> authenticated = DatagramHeader.WriteAuthenticated(destination, _scope, receiver, room);
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

    public void Dispose() => DropCiphers();

    private AesGcm? Cipher(ref uint keyId)
    {
        if (_ringVersion != _ring.Version)
        {
            _ringVersion = _ring.Version;
            DropCiphers();
        }

        if (_ciphers.TryGetValue(keyId, out AesGcm? known))
        {
            return known;
        }

        ClusterSecret secret = _ring.Find(keyId) ?? _ring.Active;
        keyId = secret.KeyId;
        if (!_ciphers.TryGetValue(keyId, out AesGcm? cipher)
            && new SessionKey(keyId, _sender, _boot).CreateCipher(secret, _scope) is { } made)
        {
            _ciphers[keyId] = cipher = made;
        }

        return cipher;
    }

    private void DropCiphers()
    {
        foreach (AesGcm cipher in _ciphers.Values)
        {
            cipher.Dispose();
        }

        _ciphers.Clear();
    }
}

using System.Security.Cryptography;

namespace Kcore.Gossip.Wire.Sealing;

/// <summary>Who sealed a datagram, as vouched for by the tag, and how long the message in it is.</summary>
public readonly record struct OpenedDatagram(UInt128 Sender, BootId Boot, uint KeyId, ulong Counter, int Length);

/// <summary>Bounds on what unauthenticated datagrams may cost.</summary>
public sealed record OpenerLimits
{
    /// <summary>Sessions kept with their key and replay window (about 600 bytes each); twice the members is plenty.</summary>
    public int Sessions { get; init; } = 4_096;

    /// <summary>Senders whose newest boot epoch is remembered after their session was given up.</summary>
    public int Senders { get; init; } = 16_384;

    /// <summary>
    /// First datagrams of unknown sessions tried at once; each costs a key derivation, some 10 µs. A cluster of a
    /// thousand nodes that starts at one moment fits.
    /// </summary>
    public int TrialBurst { get; init; } = 1_024;

    /// <summary>The same on average; bounds a flood of made-up senders to about a hundredth of one core.</summary>
    public int TrialsPerSecond { get; init; } = 500;
}

/// <summary>
/// Opens datagrams of the own cluster and drops everything else at a bounded price. Known sessions are opened without
/// allocating; nothing is remembered of a datagram before its tag was found right. A session given up for lack of room
/// forgets its replay window, so what is above must bear a repeated message, as gossip does. Not thread-safe.
/// </summary>
public sealed class DatagramOpener : IDisposable
{
    private readonly KeyRing _ring;
    private readonly LeastRecentlyUsed<SessionKey, Session> _sessions;
    private readonly LeastRecentlyUsed<UInt128, SenderEpoch> _senders;
    private readonly TokenBucket _trials;
    private readonly byte[] _resealed = new byte[DatagramHeader.MaxPlaintext];
    private ClusterScope _scope;
    private int _ringVersion;

    public DatagramOpener(KeyRing ring, ClusterScope scope, OpenerLimits? limits = null)
    {
        limits ??= new OpenerLimits();
        _ring = ring;
        _ringVersion = ring.Version;
        _scope = scope;
        _sessions = new LeastRecentlyUsed<SessionKey, Session>(limits.Sessions);
        _senders = new LeastRecentlyUsed<UInt128, SenderEpoch>(limits.Senders);
        _trials = new TokenBucket(limits.TrialBurst, limits.TrialsPerSecond);
    }

    /// <summary>Sessions remembered; a gauge.</summary>
    public int SessionCount => _sessions.Count;

    /// <summary>Moves to another cluster or cluster epoch; datagrams of the old one stop opening at once.</summary>
    public void ChangeScope(ClusterScope scope)
    {
        _scope = scope;
        Forget(_ => true);
    }

    /// <summary>
    /// Opens into <paramref name="plaintext"/>, which has room for <see cref="DatagramHeader.MaxPlaintext"/> bytes and
    /// holds nothing of a dropped datagram. <paramref name="now"/> is monotonic.
    /// </summary>
    public DropReason TryOpen(ReadOnlySpan<byte> datagram, Span<byte> plaintext, TimeSpan now, out OpenedDatagram opened)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(plaintext.Length, DatagramHeader.MaxPlaintext);
        opened = default;
        DropReason malformed = DatagramHeader.TryRead(datagram, out DatagramHeader header);
        if (malformed != DropReason.None)
        {
            return malformed;
        }

        ForgetRetiredKeys();
        if (_ring.Find(header.KeyId) is not { } secret)
        {
            return DropReason.UnknownKey;
        }

        var key = new SessionKey(header.KeyId, header.Sender, header.Boot);
        DropReason refused = _sessions.TryGet(key, out Session session)
            ? OpenKnown(session, datagram, header, plaintext)
            : OpenUnknown(key, secret, datagram, header, plaintext, now);
        if (refused == DropReason.None)
        {
            _sessions.Touch(key);
            opened = new OpenedDatagram(
                header.Sender, header.Boot, header.KeyId, header.Counter, datagram.Length - DatagramHeader.Overhead);
        }

        return refused;
    }

    public void Dispose() => Forget(_ => true);

    private DropReason OpenKnown(
        Session session, ReadOnlySpan<byte> datagram, DatagramHeader header, Span<byte> plaintext)
    {
        if (header.Boot.Epoch < session.Sender.Newest)
        {
            return DropReason.OldBoot;
        }

        DropReason repeated = session.Window.Check(header.Counter);
        if (repeated != DropReason.None)
        {
            return repeated;
        }

        if (!IsAuthentic(session.Cipher, datagram, header.Counter, plaintext))
        {
            return DropReason.NotAuthentic;
        }

        session.Window.Mark(header.Counter);
        return DropReason.None;
    }

    private DropReason OpenUnknown(
        SessionKey key,
        ClusterSecret secret,
        ReadOnlySpan<byte> datagram,
        DatagramHeader header,
        Span<byte> plaintext,
        TimeSpan now)
    {
        if (_senders.TryGet(header.Sender, out SenderEpoch sender) && header.Boot.Epoch < sender.Newest)
        {
            return DropReason.OldBoot;
        }

        // A sealer's first counter is one; zero would be marked as used without ever having been sendable.
        if (header.Counter == 0)
        {
            return DropReason.TooOld;
        }

        if (!_trials.TryTake(now))
        {
            return DropReason.Throttled;
        }

        AesGcm cipher = key.CreateCipher(secret, _scope);
        if (!IsAuthentic(cipher, datagram, header.Counter, plaintext))
        {
            cipher.Dispose();
            return DropReason.NotAuthentic;
        }

        if (sender is null)
        {
            sender = new SenderEpoch();
            _senders.Add(header.Sender, sender, out _);
        }

        _senders.Touch(header.Sender);
        sender.Newest = header.Boot.Epoch;
        var session = new Session(cipher, new ReplayWindow(), sender);
        session.Window.Mark(header.Counter);
        if (_sessions.Add(key, session, out Session evicted))
        {
            evicted.Cipher.Dispose();
        }

        return DropReason.None;
    }

    /// <summary>
    /// Checks the tag without <see cref="AesGcm.Decrypt(ReadOnlySpan{byte}, ReadOnlySpan{byte}, ReadOnlySpan{byte}, Span{byte}, ReadOnlySpan{byte})"/>,
    /// which answers a wrong tag by an exception and so would hand a flood of forged datagrams an amplifier.
    /// GCM encrypts by XOR with a key stream, so "encrypting" the ciphertext gives the plaintext, and encrypting that
    /// again gives the one right tag, to compare in constant time. Nothing of it leaves this process.
    /// </summary>
    private bool IsAuthentic(AesGcm cipher, ReadOnlySpan<byte> datagram, ulong counter, Span<byte> plaintext)
    {
        ReadOnlySpan<byte> ciphertext = datagram[DatagramHeader.Size..^DatagramHeader.TagSize];
        Span<byte> message = plaintext[..ciphertext.Length];
        Span<byte> authenticated = stackalloc byte[DatagramHeader.AuthenticatedSize];
        DatagramHeader.WriteAuthenticated(datagram, _scope, authenticated);
        Span<byte> nonce = stackalloc byte[DatagramHeader.NonceSize];
        DatagramHeader.WriteNonce(counter, nonce);
        Span<byte> tag = stackalloc byte[DatagramHeader.TagSize];

        cipher.Encrypt(nonce, ciphertext, message, tag);
        cipher.Encrypt(nonce, message, _resealed.AsSpan(0, message.Length), tag, authenticated);
        if (CryptographicOperations.FixedTimeEquals(tag, datagram[^DatagramHeader.TagSize..]))
        {
            return true;
        }

        CryptographicOperations.ZeroMemory(message);
        return false;
    }

    private void ForgetRetiredKeys()
    {
        if (_ringVersion == _ring.Version)
        {
            return;
        }

        _ringVersion = _ring.Version;
        Forget(key => _ring.Find(key.KeyId) is null);
    }

    private void Forget(Predicate<SessionKey> match)
    {
        foreach (Session session in _sessions.RemoveWhere(match))
        {
            session.Cipher.Dispose();
        }
    }

    /// <summary>Shared by the sessions of one sender, so that a newer boot closes the older ones at once.</summary>
    private sealed class SenderEpoch
    {
        public uint Newest { get; set; }
    }

    private sealed record Session(AesGcm Cipher, ReplayWindow Window, SenderEpoch Sender);
}

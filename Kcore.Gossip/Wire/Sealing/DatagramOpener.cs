using System.Security.Cryptography;

namespace Kcore.Gossip.Wire.Sealing;

/// <summary>Who sealed a datagram, as vouched for by the tag, and how long the message in it is.</summary>
public readonly record struct OpenedDatagram(UInt128 Sender, BootId Boot, uint KeyId, ulong Counter, DatagramKind Kind, int Length);

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
/// allocating; nothing is remembered of a datagram before its tag was found right.
/// <para>
/// A session is one boot of one sender, whatever keys it seals with: they share one counter. It begins with
/// <see cref="Admit"/>, once the sender was seen to send now, and with every counter up to that datagram taken as used.
/// So neither a restart of the receiver nor a session given up for lack of room lets a recorded datagram in.
/// </para>
/// Not thread-safe.
/// </summary>
public sealed class DatagramOpener : IDisposable
{
    private readonly UInt128 _self;
    private readonly KeyRing _ring;
    private readonly LeastRecentlyUsed<SessionId, Session> _sessions;
    private readonly LeastRecentlyUsed<UInt128, SenderRecord> _senders;
    private readonly TokenBucket _trials;
    private readonly byte[] _resealed = new byte[DatagramHeader.MaxPlaintext];
    private ClusterScope _scope;
    private int _ringVersion;

    /// <param name="self">This node's uid: datagrams sealed for another one do not open.</param>
    public DatagramOpener(UInt128 self, KeyRing ring, ClusterScope scope, OpenerLimits? limits = null)
    {
        limits ??= new OpenerLimits();
        _self = self;
        _ring = ring;
        _ringVersion = ring.Version;
        _scope = scope;
        _sessions = new LeastRecentlyUsed<SessionId, Session>(limits.Sessions);
        _senders = new LeastRecentlyUsed<UInt128, SenderRecord>(limits.Senders);
        _trials = new TokenBucket(limits.TrialBurst, limits.TrialsPerSecond);
    }

    /// <summary>Sessions remembered; a gauge.</summary>
    public int SessionCount => _sessions.Count;

    /// <summary>Moves to another cluster or cluster epoch; datagrams of the old one stop opening at once.</summary>
    public void ChangeScope(ClusterScope scope)
    {
        _scope = scope;
        foreach (Session session in _sessions.RemoveWhere(_ => true))
        {
            session.Dispose();
        }
    }

    /// <summary>The key a sender sealed its latest datagram with; 0 when nothing of it was opened yet.</summary>
    public uint LatestKeyOf(UInt128 sender) => _senders.TryGet(sender, out SenderRecord record) ? record.LatestKey : 0;

    /// <summary>
    /// Opens into <paramref name="plaintext"/>, which has room for <see cref="DatagramHeader.MaxPlaintext"/> bytes and
    /// holds nothing of a dropped datagram. <see cref="DropReason.Unproven"/> is the exception: the datagram is authentic
    /// and open, but may be a recording; it serves for nothing but the question whether to <see cref="Admit"/> its sender.
    /// <paramref name="now"/> is monotonic.
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

        if (_senders.TryGet(header.Sender, out SenderRecord sender) && header.Boot.Epoch < sender.Newest.Epoch)
        {
            return DropReason.OldBoot;
        }

        var id = new SessionId(header.Sender, header.Boot);
        DropReason refused = _sessions.TryGet(id, out Session session)
            ? OpenKnown(session, secret, datagram, header, plaintext, now)
            : OpenUnknown(sender, secret, datagram, header, plaintext, now);
        if (refused is DropReason.None or DropReason.Unproven)
        {
            opened = new OpenedDatagram(
                header.Sender, header.Boot, header.KeyId, header.Counter, header.Kind, datagram.Length - DatagramHeader.Overhead);
        }

        if (refused == DropReason.None)
        {
            _sessions.Touch(id);
            _senders.Touch(header.Sender);
            session.Sender.LatestKey = header.KeyId;
        }

        return refused;
    }

    /// <summary>
    /// Begins the session of a datagram that was <see cref="DropReason.Unproven"/> and turned out to be sent just now. What
    /// its sender sent before, this datagram included, does not open any more; an older boot of the sender neither.
    /// False when even so it can be a recording: the session was given up at a later counter.
    /// </summary>
    public bool Admit(in OpenedDatagram opened)
    {
        var id = new SessionId(opened.Sender, opened.Boot);
        if (_sessions.TryGet(id, out _))
        {
            return true;
        }

        if (!_senders.TryGet(opened.Sender, out SenderRecord sender))
        {
            sender = new SenderRecord();
            _senders.Add(opened.Sender, sender, out _);
        }

        if (sender.IsBehind(opened.Boot, opened.Counter))
        {
            return false;
        }

        _senders.Touch(opened.Sender);
        sender.Newest = opened.Boot;
        sender.LatestKey = opened.KeyId;
        var session = new Session(opened.Boot, new ReplayWindow(opened.Counter), sender);
        if (_sessions.Add(id, session, out Session evicted))
        {
            evicted.Dispose();
        }

        return true;
    }

    public void Dispose()
    {
        foreach (Session session in _sessions.RemoveWhere(_ => true))
        {
            session.Dispose();
        }
    }

    private DropReason OpenKnown(
        Session session, ClusterSecret secret, ReadOnlySpan<byte> datagram, DatagramHeader header, Span<byte> plaintext, TimeSpan now)
    {
        DropReason repeated = session.Window.Check(header.Counter);
        if (repeated != DropReason.None)
        {
            return repeated;
        }

        AesGcm? known = session.CipherOf(header.KeyId);
        if (known is null && !_trials.TryTake(now))
        {
            return DropReason.Throttled;
        }

        AesGcm? cipher = known ?? new SessionKey(header.KeyId, header.Sender, header.Boot).CreateCipher(secret, _scope);
        if (cipher is null || !IsAuthentic(cipher, datagram, header.Counter, plaintext))
        {
            if (known is null)
            {
                cipher?.Dispose();
            }

            return cipher is null ? DropReason.UnknownKey : DropReason.NotAuthentic;
        }

        if (known is null)
        {
            session.Keep(header.KeyId, cipher);
        }

        session.Window.Mark(header.Counter);
        return DropReason.None;
    }

    private DropReason OpenUnknown(
        SenderRecord? sender, ClusterSecret secret, ReadOnlySpan<byte> datagram, DatagramHeader header, Span<byte> plaintext, TimeSpan now)
    {
        // A sealer's first counter is one; zero was never sendable. Of a session that was given up, what lies before its
        // end needs no second look.
        if (header.Counter == 0 || (sender?.IsBehind(header.Boot, header.Counter) ?? false))
        {
            return DropReason.TooOld;
        }

        if (!_trials.TryTake(now))
        {
            return DropReason.Throttled;
        }

        using AesGcm? cipher = new SessionKey(header.KeyId, header.Sender, header.Boot).CreateCipher(secret, _scope);
        return cipher is null ? DropReason.UnknownKey
            : IsAuthentic(cipher, datagram, header.Counter, plaintext) ? DropReason.Unproven
            : DropReason.NotAuthentic;
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
        Span<byte> room = stackalloc byte[DatagramHeader.AuthenticatedMax];
        ReadOnlySpan<byte> authenticated = DatagramHeader.WriteAuthenticated(datagram, _scope, _self, room);
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
        foreach (Session session in _sessions.Values)
        {
            session.Forget(keyId => _ring.Find(keyId) is null);
        }
    }

    private readonly record struct SessionId(UInt128 Sender, BootId Boot);

    /// <summary>Outlives the sender's sessions, so that a newer boot closes the older ones and an end stays an end.</summary>
    private sealed class SenderRecord
    {
        private BootId _endedBoot;
        private ulong _endedAt;

        public BootId Newest { get; set; }

        public uint LatestKey { get; set; }

        /// <summary>A session of this boot was given up at this counter.</summary>
        public void End(BootId boot, ulong counter) => (_endedBoot, _endedAt) = (boot, counter);

        public bool IsBehind(BootId boot, ulong counter) =>
            boot.Epoch < Newest.Epoch || (boot == _endedBoot && counter <= _endedAt);
    }

    private sealed class Session(BootId boot, ReplayWindow window, SenderRecord sender) : IDisposable
    {
        private readonly List<(uint KeyId, AesGcm Cipher)> _ciphers = new(KeyRing.MaxSecrets);

        public ReplayWindow Window { get; } = window;

        public SenderRecord Sender { get; } = sender;

        public AesGcm? CipherOf(uint keyId)
        {
            foreach ((uint id, AesGcm cipher) in _ciphers)
            {
                if (id == keyId)
                {
                    return cipher;
                }
            }

            return null;
        }

        public void Keep(uint keyId, AesGcm cipher) => _ciphers.Add((keyId, cipher));

        public void Forget(Predicate<uint> match)
        {
            foreach ((_, AesGcm cipher) in _ciphers.Where(c => match(c.KeyId)))
            {
                cipher.Dispose();
            }

            _ciphers.RemoveAll(c => match(c.KeyId));
        }

        public void Dispose()
        {
            Sender.End(boot, Window.Highest);
            Forget(_ => true);
        }
    }
}

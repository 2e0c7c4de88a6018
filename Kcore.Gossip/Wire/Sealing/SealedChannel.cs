using System.Buffers.Binary;
using System.Net;
using System.Security.Cryptography;

namespace Kcore.Gossip.Wire.Sealing;

/// <summary>What became of a datagram that was received.</summary>
/// <param name="Reason"><see cref="DropReason.None"/> when there is a message to hand up.</param>
/// <param name="Opened">Who sent it; meaningful with a message.</param>
/// <param name="Start">Where the message begins in the plaintext.</param>
/// <param name="Length">How long it is.</param>
/// <param name="ReplyLength">Bytes to send to <paramref name="ReplyTo"/>; 0 for none.</param>
public readonly record struct Received(
    DropReason Reason, OpenedDatagram Opened, int Start, int Length, int ReplyLength, IPEndPoint? ReplyTo);

/// <summary>
/// Sealed datagrams in both directions, with a proof that whoever is heard for the first time sends now. A receiver that
/// has just started, or has given a session up, knows no counter of the sender, so any recorded datagram would pass for a
/// first one. Therefore:
/// <code>
/// sender                                     receiver
///   message, counter c          ──────────►  authentic, but the session is unknown: not handed up
///                               ◄──────────  challenge (sender's boot, c, cookie)
///   still remembers c           ──────────►  answer (cookie, the message again): the session begins here
/// </code>
/// The challenge proves the receiver to the sender as well: it names a datagram of the last moments. The receiver keeps
/// nothing meanwhile, the cookie is a keyed hash. A challenge is never longer than what it answers and goes only to whoever
/// sealed with a key of the cluster; an answer goes only where its message went before, and once. Nobody else gets a byte.
/// <para>Pure: time, boot id and cookie key come in. Not thread-safe.</para>
/// </summary>
public sealed class SealedChannel : IDisposable
{
    /// <summary>How long a sender remembers what it sent; a challenge that takes longer meets a repetition.</summary>
    public static readonly TimeSpan AnswerWithin = TimeSpan.FromSeconds(2);

    /// <summary>Sent datagrams remembered for that. A slot holds a reference, not a copy.</summary>
    private const int Remembered = 512;

    private const int CookieSize = 16;
    private const int ChallengeSize = 8 + 8 + CookieSize;
    private static readonly TimeSpan CookieSlot = TimeSpan.FromSeconds(10);

    private readonly UInt128 _self;
    private readonly KeyRing _ring;
    private readonly DatagramSealer _sealer;
    private readonly DatagramOpener _opener;
    private readonly byte[] _cookieKey;
    private readonly Sent[] _sent = new Sent[Remembered];
    private readonly byte[] _answer = new byte[DatagramHeader.MaxPlaintext];
    private BootId _boot;

    /// <param name="cookieKey">32 random bytes, made for this channel.</param>
    public SealedChannel(
        UInt128 self, BootId boot, KeyRing ring, ClusterScope scope, ReadOnlySpan<byte> cookieKey, OpenerLimits? limits = null)
    {
        _self = self;
        _boot = boot;
        _ring = ring;
        _sealer = new DatagramSealer(self, boot, ring, scope);
        _opener = new DatagramOpener(self, ring, scope, limits);
        _cookieKey = cookieKey.ToArray();
    }

    /// <summary>Longest message that can be sent: an answer repeats it behind a cookie.</summary>
    public static int MaxMessage => DatagramHeader.MaxPlaintext - CookieSize;

    /// <summary>Sessions with a replay window; a gauge.</summary>
    public int SessionCount => _opener.SessionCount;

    /// <summary>The key a node sealed its latest datagram with; 0 when none of it was opened.</summary>
    public uint LatestKeyOf(UInt128 sender) => _opener.LatestKeyOf(sender);

    /// <summary>Goes on as a later boot of this node.</summary>
    public void ChangeBoot(BootId boot)
    {
        _boot = boot;
        _sealer.ChangeBoot(boot);
    }

    /// <summary>
    /// Seals a message for <paramref name="receiver"/>, or for whoever lives at <paramref name="endpoint"/> when that is null.
    /// The payload must not change for <see cref="AnswerWithin"/>. Returns the length of the datagram; 0 when this boot has
    /// used up its counter.
    /// </summary>
    public int Seal(
        ReadOnlyMemory<byte> payload, UInt128? receiver, IPEndPoint endpoint, uint keyId, TimeSpan now, Span<byte> datagram)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(payload.Length, MaxMessage);
        DatagramKind kind = receiver is null ? DatagramKind.Greeting : DatagramKind.Message;
        if (!_sealer.TrySeal(payload.Span, kind, receiver ?? default, keyId, datagram, out int written))
        {
            return 0;
        }

        Remember(new Sent(_sealer.LastCounter, receiver, endpoint, payload, now));
        return written;
    }

    /// <summary>
    /// Takes a datagram in. <paramref name="plaintext"/> has room for <see cref="DatagramHeader.MaxPlaintext"/> bytes,
    /// <paramref name="reply"/> for <see cref="DatagramHeader.MaxDatagram"/>.
    /// </summary>
    public Received Receive(ReadOnlySpan<byte> datagram, IPEndPoint source, Span<byte> plaintext, TimeSpan now, Span<byte> reply)
    {
        DropReason reason = _opener.TryOpen(datagram, plaintext, now, out OpenedDatagram opened);
        if (reason is not (DropReason.None or DropReason.Unproven))
        {
            return new Received(reason, opened, 0, 0, 0, null);
        }

        bool proven = reason == DropReason.None;
        switch (opened.Kind)
        {
            case DatagramKind.Challenge:
                return Answer(opened, plaintext[..opened.Length], now, reply);
            case DatagramKind.Answer when opened.Length < CookieSize:
                return new Received(DropReason.BadLength, opened, 0, 0, 0, null);
            case DatagramKind.Answer when proven || (IsCookie(plaintext[..CookieSize], opened, now) && _opener.Admit(opened)):
                return new Received(DropReason.None, opened, CookieSize, opened.Length - CookieSize, 0, null);
            default:
                return proven
                    ? new Received(DropReason.None, opened, 0, opened.Length, 0, null)
                    : Challenge(opened, datagram.Length, source, now, reply);
        }
    }

    public void Dispose()
    {
        _sealer.Dispose();
        _opener.Dispose();
        CryptographicOperations.ZeroMemory(_cookieKey);
    }

    private Received Challenge(in OpenedDatagram opened, int requestLength, IPEndPoint source, TimeSpan now, Span<byte> reply)
    {
        // Never more bytes out than in: a forged source address gains nothing from us.
        if (requestLength < ChallengeSize + DatagramHeader.Overhead)
        {
            return new Received(DropReason.Unproven, opened, 0, 0, 0, null);
        }

        Span<byte> challenge = stackalloc byte[ChallengeSize];
        WriteBoot(opened.Boot, challenge);
        BinaryPrimitives.WriteUInt64BigEndian(challenge[8..], opened.Counter);
        MakeCookie(opened, Slot(now), challenge[16..]);
        _sealer.TrySeal(challenge, DatagramKind.Challenge, opened.Sender, opened.KeyId, reply, out int written);
        return new Received(DropReason.Unproven, opened, 0, 0, written, source);
    }

    private Received Answer(in OpenedDatagram opened, ReadOnlySpan<byte> challenge, TimeSpan now, Span<byte> reply)
    {
        var nothing = new Received(DropReason.Handshake, opened, 0, 0, 0, null);
        if (challenge.Length < ChallengeSize || ReadBoot(challenge) != _boot)
        {
            return nothing;
        }

        ulong counter = BinaryPrimitives.ReadUInt64BigEndian(challenge[8..]);
        ref Sent slot = ref _sent[counter % Remembered];
        Sent sent = slot;
        if (sent.Counter != counter || counter == 0 || now - sent.At > AnswerWithin
            || (sent.Receiver is { } meant && meant != opened.Sender))
        {
            return nothing;
        }

        // Who names a datagram of this moment has just received it: that is proof of the peer, too.
        slot = default;
        _opener.Admit(opened);
        challenge[16..ChallengeSize].CopyTo(_answer);
        sent.Payload.Span.CopyTo(_answer.AsSpan(CookieSize));
        if (!_sealer.TrySeal(
            _answer.AsSpan(0, CookieSize + sent.Payload.Length), DatagramKind.Answer, opened.Sender, opened.KeyId, reply, out int written))
        {
            return nothing;
        }

        Remember(sent with { Counter = _sealer.LastCounter, Receiver = opened.Sender, At = now });
        return new Received(DropReason.Handshake, opened, 0, 0, written, sent.Endpoint);
    }

    private void Remember(Sent sent) => _sent[sent.Counter % Remembered] = sent;

    private static long Slot(TimeSpan now) => now.Ticks / CookieSlot.Ticks;

    private bool IsCookie(ReadOnlySpan<byte> cookie, in OpenedDatagram opened, TimeSpan now)
    {
        Span<byte> right = stackalloc byte[CookieSize];
        long slot = Slot(now);
        MakeCookie(opened, slot, right);
        if (CryptographicOperations.FixedTimeEquals(cookie, right))
        {
            return true;
        }

        MakeCookie(opened, slot - 1, right);
        return CryptographicOperations.FixedTimeEquals(cookie, right);
    }

    private void MakeCookie(in OpenedDatagram opened, long slot, Span<byte> cookie)
    {
        Span<byte> text = stackalloc byte[16 + 8 + 8 + 16];
        BinaryPrimitives.WriteUInt128BigEndian(text, opened.Sender);
        WriteBoot(opened.Boot, text[16..]);
        BinaryPrimitives.WriteInt64BigEndian(text[24..], slot);
        BinaryPrimitives.WriteUInt128BigEndian(text[32..], _self);
        Span<byte> hash = stackalloc byte[32];
        HMACSHA256.HashData(_cookieKey, text, hash);
        hash[..CookieSize].CopyTo(cookie);
    }

    private static void WriteBoot(BootId boot, Span<byte> destination)
    {
        BinaryPrimitives.WriteUInt32BigEndian(destination, boot.Epoch);
        BinaryPrimitives.WriteUInt32BigEndian(destination[4..], boot.Nonce);
    }

    private static BootId ReadBoot(ReadOnlySpan<byte> source) =>
        new(BinaryPrimitives.ReadUInt32BigEndian(source), BinaryPrimitives.ReadUInt32BigEndian(source[4..]));

    private readonly record struct Sent(
        ulong Counter, UInt128? Receiver, IPEndPoint Endpoint, ReadOnlyMemory<byte> Payload, TimeSpan At);
}

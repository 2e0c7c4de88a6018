using System.Buffers.Binary;

namespace Kcore.Gossip.Wire.Sealing;

/// <summary>The cluster a datagram belongs to. It is part of key and authenticated data, never on the wire.</summary>
/// <param name="ClusterId">128 random bits made when the cluster was founded.</param>
/// <param name="ClusterEpoch">1 at founding; one more after each unsafe recovery.</param>
public readonly record struct ClusterScope(UInt128 ClusterId, uint ClusterEpoch);

/// <summary>One run of one node's daemon.</summary>
/// <param name="Epoch">Counts starts; kept on disk, so it grows even when the clock goes back.</param>
/// <param name="Nonce">Random per start, so that a restored disk does not reuse a key with old counters.</param>
public readonly record struct BootId(uint Epoch, uint Nonce);

/// <summary>What a datagram is for: the high half of its second byte, vouched for by the tag like the rest of the header.</summary>
public enum DatagramKind : byte
{
    /// <summary>A message for whoever lives at the address: the sender does not know yet who that is.</summary>
    Greeting = 0x00,

    /// <summary>A message that only the node it was sealed for can open.</summary>
    Message = 0x10,

    /// <summary>Asks the sender of a datagram to show that it is sending now.</summary>
    Challenge = 0x30,

    /// <summary>A message that carries what a challenge asked for.</summary>
    Answer = 0x50,
}

/// <summary>
/// The clear part of a datagram, 38 bytes, big endian: magic 1, version and kind 1, key id 4, sender uid 16,
/// boot epoch 4, boot nonce 4, counter 8. The ciphertext and a tag of 16 bytes follow.
/// </summary>
public readonly record struct DatagramHeader(uint KeyId, UInt128 Sender, BootId Boot, ulong Counter, DatagramKind Kind = DatagramKind.Greeting)
{
    public const int Size = 38;
    public const int TagSize = 16;

    /// <summary>What sealing adds to a message.</summary>
    public const int Overhead = Size + TagSize;

    /// <summary>Longest datagram ever opened: fits a jumbo frame.</summary>
    public const int MaxDatagram = 9_000;

    public const int MaxPlaintext = MaxDatagram - Overhead;

    /// <summary>'K'. Neither DNS, DHCP, WireGuard nor VXLAN datagrams usually start with it.</summary>
    public const byte Magic = 0x4B;

    /// <summary>The low half of the second byte; the high half is the <see cref="DatagramKind"/>.</summary>
    public const byte Version = 0x01;

    /// <summary>
    /// Header, cluster id, cluster epoch and, but in a greeting, the uid of the receiver: everything the tag vouches for
    /// besides the ciphertext.
    /// </summary>
    internal const int AuthenticatedMax = Size + 16 + 4 + 16;

    internal const int NonceSize = 12;

    public void Write(Span<byte> destination)
    {
        destination[0] = Magic;
        destination[1] = (byte)((byte)Kind | Version);
        BinaryPrimitives.WriteUInt32BigEndian(destination[2..], KeyId);
        BinaryPrimitives.WriteUInt128BigEndian(destination[6..], Sender);
        BinaryPrimitives.WriteUInt32BigEndian(destination[22..], Boot.Epoch);
        BinaryPrimitives.WriteUInt32BigEndian(destination[26..], Boot.Nonce);
        BinaryPrimitives.WriteUInt64BigEndian(destination[30..], Counter);
    }

    /// <summary>Reads the clear part; nothing in it is to be believed before the tag was checked.</summary>
    public static DropReason TryRead(ReadOnlySpan<byte> datagram, out DatagramHeader header)
    {
        header = default;
        if (datagram.Length is < Overhead or > MaxDatagram)
        {
            return DropReason.BadLength;
        }

        if (datagram[0] != Magic)
        {
            return DropReason.BadMagic;
        }

        var kind = (DatagramKind)(datagram[1] & 0xF0);
        if ((datagram[1] & 0x0F) != Version
            || kind is not (DatagramKind.Greeting or DatagramKind.Message or DatagramKind.Challenge or DatagramKind.Answer))
        {
            return DropReason.UnknownVersion;
        }

        header = new DatagramHeader(
            BinaryPrimitives.ReadUInt32BigEndian(datagram[2..]),
            BinaryPrimitives.ReadUInt128BigEndian(datagram[6..]),
            new BootId(
                BinaryPrimitives.ReadUInt32BigEndian(datagram[22..]),
                BinaryPrimitives.ReadUInt32BigEndian(datagram[26..])),
            BinaryPrimitives.ReadUInt64BigEndian(datagram[30..]),
            kind);
        return DropReason.None;
    }

    /// <summary>Returns the part of <paramref name="destination"/> that was filled.</summary>
    internal static ReadOnlySpan<byte> WriteAuthenticated(
        ReadOnlySpan<byte> header, ClusterScope scope, UInt128 receiver, Span<byte> destination)
    {
        header[..Size].CopyTo(destination);
        BinaryPrimitives.WriteUInt128BigEndian(destination[Size..], scope.ClusterId);
        BinaryPrimitives.WriteUInt32BigEndian(destination[(Size + 16)..], scope.ClusterEpoch);
        if ((DatagramKind)(header[1] & 0xF0) == DatagramKind.Greeting)
        {
            return destination[..(Size + 20)];
        }

        BinaryPrimitives.WriteUInt128BigEndian(destination[(Size + 20)..], receiver);
        return destination[..AuthenticatedMax];
    }

    /// <summary>
    /// Four zero bytes and the counter. A key belongs to one boot of one sender, whose counter only grows, so a nonce
    /// is never used twice under it.
    /// </summary>
    internal static void WriteNonce(ulong counter, Span<byte> destination)
    {
        destination[..4].Clear();
        BinaryPrimitives.WriteUInt64BigEndian(destination[4..], counter);
    }
}

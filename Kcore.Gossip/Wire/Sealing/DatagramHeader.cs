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

/// <summary>
/// The clear part of a datagram, 38 bytes, big endian: magic 1, version and flags 1, key id 4, sender uid 16,
/// boot epoch 4, boot nonce 4, counter 8. The ciphertext and a tag of 16 bytes follow.
/// </summary>
public readonly record struct DatagramHeader(uint KeyId, UInt128 Sender, BootId Boot, ulong Counter)
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

    /// <summary>Version 1 in the low half; the high half holds flags, of which none is defined.</summary>
    public const byte VersionAndFlags = 0x01;

    /// <summary>Header, cluster id and cluster epoch: everything the tag vouches for besides the ciphertext.</summary>
    internal const int AuthenticatedSize = Size + 16 + 4;

    internal const int NonceSize = 12;

    public void Write(Span<byte> destination)
    {
        destination[0] = Magic;
        destination[1] = VersionAndFlags;
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

        if (datagram[1] != VersionAndFlags)
        {
            return DropReason.UnknownVersion;
        }

        header = new DatagramHeader(
            BinaryPrimitives.ReadUInt32BigEndian(datagram[2..]),
            BinaryPrimitives.ReadUInt128BigEndian(datagram[6..]),
            new BootId(
                BinaryPrimitives.ReadUInt32BigEndian(datagram[22..]),
                BinaryPrimitives.ReadUInt32BigEndian(datagram[26..])),
            BinaryPrimitives.ReadUInt64BigEndian(datagram[30..]));
        return DropReason.None;
    }

    internal static void WriteAuthenticated(ReadOnlySpan<byte> header, ClusterScope scope, Span<byte> destination)
    {
        header[..Size].CopyTo(destination);
        BinaryPrimitives.WriteUInt128BigEndian(destination[Size..], scope.ClusterId);
        BinaryPrimitives.WriteUInt32BigEndian(destination[(Size + 16)..], scope.ClusterEpoch);
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

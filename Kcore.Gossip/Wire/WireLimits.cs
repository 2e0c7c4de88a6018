namespace Kcore.Gossip.Wire;

/// <summary>Bounds on everything a peer can send, checked before memory is taken.</summary>
public static class WireLimits
{
    /// <summary>Fits the smallest IPv6 packet with sealing and a tunnel around it.</summary>
    public const int PayloadBytes = 1200;

    /// <summary>Largest datagram that is looked at; peers may have found a larger path than ours.</summary>
    public const int DatagramBytes = 9000;

    public const int FramesPerDatagram = 64;

    public const int NameBytes = 63;

    /// <summary>Room for a prefix and a network or VM name of 63 bytes.</summary>
    public const int KeyBytes = 128;

    public const int ValueBytes = 4096;

    public const int FieldsPerRecord = 32;

    /// <summary>Bytes of fields of newer versions that one record may carry.</summary>
    public const int UnknownBytes = 1024;

    public const int EntriesPerOrigin = 65_536;

    public const int Origins = 16_384;

    public const int Members = 16_384;

    /// <summary>Versions and epochs fit a signed 64-bit column with room to spare.</summary>
    public const ulong MaxVersion = 1UL << 62;

    /// <summary>A version may rise by this much in one message; more is a broken or hostile sender.</summary>
    public const ulong VersionJump = 1UL << 32;

    /// <summary>Entries ahead of a gap that are kept per origin.</summary>
    public const int FloatingPerOrigin = 64;

    /// <summary>Bytes of snapshots that have begun to arrive and are not complete, of all origins together.</summary>
    public const long StagedBytes = 256L << 20;

    public const int StreamBodyBytes = 4 << 20;

    /// <summary>Piece of a streamed answer.</summary>
    public const int StreamChunkBytes = 64 << 10;
}

namespace Kcore.Gossip.Wire.Sealing;

/// <summary>Why a datagram was not opened; also the label of the metric that counts them.</summary>
public enum DropReason
{
    /// <summary>It was opened.</summary>
    None = 0,

    /// <summary>Shorter than a header and a tag, or longer than <see cref="DatagramHeader.MaxDatagram"/>.</summary>
    BadLength,

    /// <summary>Not one of ours: the first byte is another protocol's.</summary>
    BadMagic,

    /// <summary>A version or kind this build does not know.</summary>
    UnknownVersion,

    /// <summary>Sealed under a secret this node does not hold.</summary>
    UnknownKey,

    /// <summary>The sender has since been seen with a newer boot epoch.</summary>
    OldBoot,

    /// <summary>This counter was opened before.</summary>
    Replayed,

    /// <summary>The counter lies before the replay window, so whether it is new can't be told.</summary>
    TooOld,

    /// <summary>A first datagram of an unknown session while the budget for trying such is used up.</summary>
    Throttled,

    /// <summary>Changed on the way, of another cluster or cluster epoch, sealed for another node, or forged.</summary>
    NotAuthentic,

    /// <summary>Authentic, but nothing shows yet that its sender sent it now; it was asked to.</summary>
    Unproven,

    /// <summary>It was about the session only and has been dealt with; there is no message in it.</summary>
    Handshake,
}

namespace Kcore.Gossip.Wire;

/// <summary>
/// Kinds of frames. A frame is the kind (1 byte), the length of the body (2 bytes, big-endian) and the body, so unknown
/// kinds are stepped over. Bodies are arrays whose extra trailing elements are ignored.
/// </summary>
internal enum FrameType : byte
{
    Ping = 2,
    Ack = 4,
    PingRequest = 6,
    Vouch = 8,
    Nack = 10,
    Member = 12,
    Delta = 14,
    Snapshot = 16,
    Buckets = 18,
    Heads = 20,
    MemberHeads = 22,
    MemberRequest = 24,
    DeltaRequest = 26,
    StreamHint = 28,
    Floating = 30,
}

/// <summary>Which of the two replicated sets a digest speaks of.</summary>
internal enum DigestKind : byte
{
    Catalog = 0,
    Members = 1,
}

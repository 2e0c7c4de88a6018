using System.Collections.Immutable;

namespace Kcore.Raft;

/// <summary>
/// One message between two members. Loss, delay, doubling and reordering are survived; what comes from another group is
/// dropped unread. Encoded by <see cref="RaftMessageCodec"/>.
/// </summary>
public abstract record RaftMessage
{
    private RaftMessage()
    {
    }

    public required RaftGroup Group { get; init; }

    public required MemberId From { get; init; }

    public required MemberId To { get; init; }

    /// <summary>The sender's term; in a pre-vote request the term the sender would campaign in.</summary>
    public required ulong Term { get; init; }

    /// <summary>True for what may be large and must not delay heartbeats and votes: a transport gives it a lane of its own.</summary>
    public virtual bool IsBulk => false;

    /// <summary>"Would you" (<paramref name="Pre"/>) or "do you vote for me": Raft thesis §3.4 and §9.6.</summary>
    public sealed record VoteRequest(bool Pre, ulong LastIndex, ulong LastTerm) : RaftMessage
    {
        /// <summary>The leader itself asked for this election, so that hearing the leader is no reason to refuse.</summary>
        public bool IsTransfer { get; init; }
    }

    /// <summary>A granted pre-vote carries the term asked for, a refusal the term of who refuses.</summary>
    public sealed record VoteReply(bool Pre, bool Granted) : RaftMessage;

    /// <summary>Entries that follow (<paramref name="PrevIndex"/>, <paramref name="PrevTerm"/>); without entries it probes.</summary>
    public sealed record AppendRequest(
        ulong PrevIndex,
        ulong PrevTerm,
        ulong Commit,
        ImmutableArray<RaftEntry> Entries) : RaftMessage
    {
        public override bool IsBulk => !Entries.IsEmpty;
    }

    /// <summary>
    /// Accepted: <paramref name="Index"/> is the last entry now durable. Refused: the request's previous index, with the
    /// largest index and its term at which the logs may agree.
    /// </summary>
    public sealed record AppendReply(bool Accepted, ulong Index, ulong HintIndex, ulong HintTerm) : RaftMessage;

    /// <summary>The leader lives; <paramref name="Commit"/> never exceeds what the receiver was seen to hold.</summary>
    public sealed record Heartbeat(ulong Commit) : RaftMessage
    {
        /// <summary>The round of reads that the answer confirms.</summary>
        public ulong Round { get; init; }
    }

    /// <summary>The follower lives and follows.</summary>
    public sealed record HeartbeatReply : RaftMessage
    {
        /// <summary>As in the heartbeat.</summary>
        public ulong Round { get; init; }

        /// <summary>The follower's disk hangs: it lives and can acknowledge nothing.</summary>
        public bool IsStalled { get; init; }
    }

    /// <summary>
    /// A piece of a snapshot, for a member whose next entry has been compacted away. Index, terms, length and checksum
    /// name the snapshot, so that pieces from two leaders fit together if, and only if, they are of the same bytes.
    /// </summary>
    /// <param name="Header">The snapshot without its data.</param>
    /// <param name="TotalBytes">Length of the data, at most <see cref="RaftSnapshot.DataBytesMax"/>.</param>
    /// <param name="Checksum">CRC-32C of the data.</param>
    /// <param name="Offset">Where the piece begins.</param>
    /// <param name="Data">The piece, at most <see cref="RaftMessageCodec.ChunkBytesMax"/>.</param>
    public sealed record SnapshotChunk(
        RaftSnapshot Header,
        uint TotalBytes,
        uint Checksum,
        uint Offset,
        ReadOnlyMemory<byte> Data) : RaftMessage
    {
        public override bool IsBulk => true;
    }

    /// <summary>The receiver holds the first <paramref name="Offset"/> bytes of the snapshot at <paramref name="Index"/>.</summary>
    public sealed record SnapshotChunkReply(ulong Index, uint Offset) : RaftMessage;

    /// <summary>The leader asks the receiver to take over now; its log must reach to this entry of the leader's.</summary>
    public sealed record TimeoutNow(ulong LastIndex, ulong LastTerm) : RaftMessage;

    /// <summary>A follower asks up to where it must have applied before a read may be answered.</summary>
    /// <param name="Session">Random per start of the follower: an answer to an earlier life must not answer this one.</param>
    /// <param name="Token">The follower's name for the read.</param>
    public sealed record ReadRequest(ulong Session, ulong Token) : RaftMessage;

    /// <summary>The leader was still the leader after it was asked, and <paramref name="Index"/> was committed then.</summary>
    public sealed record ReadReply(ulong Session, ulong Token, ulong Index) : RaftMessage;
}

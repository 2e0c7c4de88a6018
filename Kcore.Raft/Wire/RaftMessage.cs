using System.Collections.Immutable;

namespace Kcore.Raft;

/// <summary>
/// One message between two members. Loss, delay, doubling and reordering are survived; the shell drops what comes from
/// another cluster or epoch before it reaches the core. Encoded by <see cref="RaftMessageCodec"/>.
/// </summary>
public abstract record RaftMessage
{
    private RaftMessage()
    {
    }

    public required MemberId From { get; init; }

    public required MemberId To { get; init; }

    /// <summary>The sender's term; in a pre-vote request the term the sender would campaign in.</summary>
    public required ulong Term { get; init; }

    /// <summary>"Would you" (<paramref name="Pre"/>) or "do you vote for me": Raft thesis §3.4 and §9.6.</summary>
    public sealed record VoteRequest(bool Pre, ulong LastIndex, ulong LastTerm) : RaftMessage;

    /// <summary>A granted pre-vote carries the term asked for, a refusal the term of who refuses.</summary>
    public sealed record VoteReply(bool Pre, bool Granted) : RaftMessage;

    /// <summary>Entries that follow (<paramref name="PrevIndex"/>, <paramref name="PrevTerm"/>); without entries it probes.</summary>
    public sealed record AppendRequest(
        ulong PrevIndex,
        ulong PrevTerm,
        ulong Commit,
        ImmutableArray<RaftEntry> Entries) : RaftMessage;

    /// <summary>
    /// Accepted: <paramref name="Index"/> is the last entry now durable. Refused: the request's previous index, with the
    /// largest index and its term at which the logs may agree.
    /// </summary>
    public sealed record AppendReply(bool Accepted, ulong Index, ulong HintIndex, ulong HintTerm) : RaftMessage;

    /// <summary>The leader lives; <paramref name="Commit"/> never exceeds what the receiver was seen to hold.</summary>
    public sealed record Heartbeat(ulong Commit) : RaftMessage;

    /// <summary>The follower lives and follows.</summary>
    public sealed record HeartbeatReply : RaftMessage;

    /// <summary>The whole state, for a member whose next entry has been compacted away.</summary>
    public sealed record InstallSnapshot(RaftSnapshot Snapshot) : RaftMessage;
}

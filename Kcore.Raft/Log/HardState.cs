namespace Kcore.Raft;

/// <summary>
/// What a member must never forget, always written as one record: with term and vote in two writes a crash between them
/// lets one member vote twice.
/// </summary>
/// <param name="Term">The latest term seen; never falls.</param>
/// <param name="Vote">Who got this member's vote in <paramref name="Term"/>; cleared only when the term grows.</param>
/// <param name="Commit">An index known to be committed; a hint that may lag.</param>
public readonly record struct HardState(ulong Term, MemberId Vote, ulong Commit);

namespace Kcore.Raft;

/// <summary>
/// What a node is in its present term.
/// <code>
///            election time-out        quorum would vote       quorum voted
///  Follower ──────────────────► PreCandidate ──────► Candidate ──────► Leader
///     ▲  ▲                          │                   │                │
///     │  └── a leader is heard ─────┴───────────────────┘                │
///     └── higher term, quorum not heard, or own disk hangs ──────────────┘
/// </code>
/// </summary>
public enum RaftRole
{
    Follower,
    PreCandidate,
    Candidate,
    Leader,
}

using System.Collections.Immutable;
using Kcore.Raft;

namespace Kcore.Daemon.Cluster.Consensus.Voters;

/// <summary>What the leader knows when it decides about voters.</summary>
/// <param name="Self">The leader.</param>
/// <param name="Configuration">The configuration in effect.</param>
/// <param name="Nodes">All nodes that are admitted and have neither left nor been removed, dead ones included.</param>
/// <param name="SinceVoterChange">How long the voters have been what they are, as far as this leader knows.</param>
internal sealed record VoterSituation(MemberId Self, Configuration Configuration, ImmutableArray<VoterNode> Nodes, TimeSpan SinceVoterChange);

/// <summary>One node, as the leader sees it.</summary>
/// <param name="Member">The node with the store it is admitted with; a wiped store is another member.</param>
/// <param name="IsReady">It is alive and says itself that it has this store open and can write to it.</param>
/// <param name="SilentFor">How long ago its last healthy sign as a member of the group was.</param>
/// <param name="CaughtUpFor">How long it has had no more than the allowed lag without a break.</param>
/// <param name="Tries">How often this leader has made it a spare.</param>
internal sealed record VoterNode(MemberId Member, bool IsReady, TimeSpan SilentFor, TimeSpan CaughtUpFor, int Tries);

/// <summary>A change to make.</summary>
/// <param name="Target">The configuration to reach.</param>
/// <param name="Reason">For the journal.</param>
internal sealed record VoterDecision(Configuration Target, string Reason);

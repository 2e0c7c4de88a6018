using System.Collections.Immutable;

namespace Kcore.Raft;

/// <summary>
/// Who decides and who listens. While <see cref="OldVoters"/> is not empty the configuration is joint: every decision
/// needs a majority of both sets (Raft thesis §4.3). The sets are sorted and hold no member twice. A learner may stand
/// among the old voters: it votes until the joint configuration is left, and only listens from then on.
/// </summary>
public sealed record Configuration
{
    /// <summary>Bound on each of the three sets.</summary>
    public const int MembersMax = 64;

    /// <summary>Nobody: a member with this configuration waits to be fed.</summary>
    public static readonly Configuration Empty = new([], [], []);

    private Configuration(ImmutableArray<MemberId> voters, ImmutableArray<MemberId> oldVoters, ImmutableArray<MemberId> learners)
    {
        Voters = voters;
        OldVoters = oldVoters;
        Learners = learners;
        Members = [.. voters.Union(oldVoters).Union(learners).Order()];
    }

    /// <summary>The voters; of a joint configuration the incoming ones.</summary>
    public ImmutableArray<MemberId> Voters { get; }

    /// <summary>The outgoing voters of a joint configuration; else empty.</summary>
    public ImmutableArray<MemberId> OldVoters { get; }

    /// <summary>Receive the log and count for nothing.</summary>
    public ImmutableArray<MemberId> Learners { get; }

    /// <summary>True while two majorities are needed.</summary>
    public bool IsJoint => !OldVoters.IsEmpty;

    /// <summary>Makes a configuration from sets in any order.</summary>
    /// <exception cref="ArgumentException">A set is too large, or a learner is also a voter.</exception>
    public static Configuration Of(
        IEnumerable<MemberId> voters,
        IEnumerable<MemberId>? oldVoters = null,
        IEnumerable<MemberId>? learners = null)
    {
        ImmutableArray<MemberId> Sorted(IEnumerable<MemberId>? members) => [.. (members ?? []).Distinct().Order()];
        var made = new Configuration(Sorted(voters), Sorted(oldVoters), Sorted(learners));
        if (made.Voters.Length > MembersMax || made.OldVoters.Length > MembersMax || made.Learners.Length > MembersMax)
        {
            throw new ArgumentException($"A configuration holds at most {MembersMax} members of a kind.", nameof(voters));
        }

        return made.Learners.Any(learner => made.Voters.Contains(learner))
            ? throw new ArgumentException("A learner can't also vote.", nameof(learners))
            : made;
    }

    /// <summary>True if <paramref name="member"/> counts in either half.</summary>
    public bool IsVoter(MemberId member) => Voters.Contains(member) || OldVoters.Contains(member);

    /// <summary>Everybody who receives the log, in order and once.</summary>
    public ImmutableArray<MemberId> Members { get; }

    /// <summary>What a joint configuration leads to: the incoming voters alone.</summary>
    public Configuration Left => new(Voters, [], Learners);

    public bool Equals(Configuration? other) =>
        other is not null
        && Voters.SequenceEqual(other.Voters)
        && OldVoters.SequenceEqual(other.OldVoters)
        && Learners.SequenceEqual(other.Learners);

    public override int GetHashCode() => HashCode.Combine(Voters.Length, OldVoters.Length, Learners.Length);
}

using System.Collections.Immutable;

namespace Kcore.Raft;

/// <summary>How an election stands.</summary>
internal enum VoteTally
{
    Pending,
    Won,
    Lost,
}

/// <summary>
/// Majorities of a configuration; a joint one decides only when both halves do. An empty half of a joint configuration
/// agrees to everything, an empty configuration to nothing.
/// </summary>
internal static class JointQuorum
{
    /// <summary>The largest index that a majority of all voters (not only of those who answered) holds durably.</summary>
    public static ulong CommittedIndex(Configuration configuration, Func<MemberId, ulong> durableMatch)
    {
        ulong incoming = CommittedIndex(configuration.Voters, durableMatch);
        return configuration.IsJoint ? Math.Min(incoming, CommittedIndex(configuration.OldVoters, durableMatch)) : incoming;
    }

    /// <summary>True if a majority satisfies <paramref name="holds"/>.</summary>
    public static bool Holds(Configuration configuration, Func<MemberId, bool> holds) =>
        Tally(configuration, member => holds(member)) == VoteTally.Won;

    /// <summary>Counts votes; null is a voter who has not answered.</summary>
    public static VoteTally Tally(Configuration configuration, Func<MemberId, bool?> vote)
    {
        VoteTally incoming = Tally(configuration.Voters, vote);
        if (!configuration.IsJoint)
        {
            return incoming;
        }

        VoteTally outgoing = Tally(configuration.OldVoters, vote);
        return incoming == VoteTally.Lost || outgoing == VoteTally.Lost ? VoteTally.Lost
            : incoming == VoteTally.Won && outgoing == VoteTally.Won ? VoteTally.Won
            : VoteTally.Pending;
    }

    private static ulong CommittedIndex(ImmutableArray<MemberId> voters, Func<MemberId, ulong> durableMatch)
    {
        if (voters.IsEmpty)
        {
            return 0;
        }

        ulong[] matches = [.. voters.Select(durableMatch)];
        Array.Sort(matches);

        // Of n ascending values the one at (n − 1) / 2 has a majority at or above it.
        return matches[(matches.Length - 1) / 2];
    }

    private static VoteTally Tally(ImmutableArray<MemberId> voters, Func<MemberId, bool?> vote)
    {
        int majority = (voters.Length / 2) + 1;
        int granted = 0;
        int refused = 0;
        foreach (MemberId voter in voters)
        {
            switch (vote(voter))
            {
                case true:
                    granted++;
                    break;
                case false:
                    refused++;
                    break;
                default:
                    break;
            }
        }

        return granted >= majority ? VoteTally.Won : voters.Length - refused < majority ? VoteTally.Lost : VoteTally.Pending;
    }
}

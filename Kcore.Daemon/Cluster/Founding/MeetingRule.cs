namespace Kcore.Daemon.Cluster.Founding;

internal enum MeetingOutcome
{
    /// <summary>The same cluster, or the other one has to move: nothing to do here.</summary>
    Nothing,

    /// <summary>We are virgin and rank behind: our cluster ends for the other.</summary>
    Yield,

    /// <summary>Both have given something out: neither may end by itself.</summary>
    Conflict,
}

/// <summary>
/// Two clusters with one key meet. A strict total order, so that it cannot go in circles: a virgin cluster yields to one
/// that is not; of two virgins the one with the larger id yields.
/// </summary>
internal static class MeetingRule
{
    public static MeetingOutcome Decide(Guid mine, bool mineVirgin, Guid other, bool otherVirgin)
    {
        if (mine == other)
        {
            return MeetingOutcome.Nothing;
        }

        return (mineVirgin, otherVirgin) switch
        {
            (false, false) => MeetingOutcome.Conflict,
            (true, false) => MeetingOutcome.Yield,
            (false, true) => MeetingOutcome.Nothing,
            (true, true) => Uid.FromGuid(mine) > Uid.FromGuid(other) ? MeetingOutcome.Yield : MeetingOutcome.Nothing,
        };
    }
}

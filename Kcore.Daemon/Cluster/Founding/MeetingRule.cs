namespace Kcore.Daemon.Cluster.Founding;

internal enum MeetingOutcome
{
    /// <summary>The same cluster, or the other one has to move: nothing to do here.</summary>
    Nothing,

    /// <summary>We are virgin and rank behind: our cluster ends for the other.</summary>
    Yield,

    /// <summary>Both have given something out: neither may end by itself.</summary>
    Conflict,

    /// <summary>The same cluster went on in a later epoch, and ours decides nothing any more: this node goes over to it.</summary>
    Follow,
}

/// <summary>
/// Two clusters with one key meet. A strict total order, so that it cannot go in circles: a virgin cluster yields to one
/// that is not; of two virgins the one with the larger id yields.
/// </summary>
internal static class MeetingRule
{
    /// <summary>
    /// One cluster in two epochs: an operator had it go on from one copy of its log, because most voters had lost theirs. If these do decide in
    /// the older epoch, that was a mistake, and what both have given out cannot be merged.
    /// </summary>
    public static MeetingOutcome DecideEpochs(uint mine, bool mineDecides, uint other, bool otherDecides) =>
        mine == other ? MeetingOutcome.Nothing
        : mine < other ? (mineDecides ? MeetingOutcome.Conflict : MeetingOutcome.Follow)
        : otherDecides ? MeetingOutcome.Conflict
        : MeetingOutcome.Nothing;

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

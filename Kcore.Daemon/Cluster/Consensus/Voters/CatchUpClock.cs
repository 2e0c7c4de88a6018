using Kcore.Raft;

namespace Kcore.Daemon.Cluster.Consensus.Voters;

/// <summary>Remembers since when each member has been close to the end of the log, while this node leads.</summary>
internal sealed class CatchUpClock(VoterRules rules)
{
    private readonly Dictionary<MemberId, TimeSpan> _since = [];

    /// <summary>Takes in what is seen of one member and gives how long it has been caught up without a break.</summary>
    public TimeSpan Observe(MemberId member, ulong match, ulong lastIndex, TimeSpan silentFor, TimeSpan now)
    {
        if (match + rules.LagMax < lastIndex || silentFor >= rules.HealthyWithin)
        {
            _since.Remove(member);
            return TimeSpan.Zero;
        }

        _since.TryAdd(member, now);
        return now - _since[member];
    }

    /// <summary>Another leader may have led meanwhile: nothing that was seen before counts.</summary>
    public void Reset() => _since.Clear();
}

namespace Kcore.Daemon.Cluster.Consensus.Voters;

/// <summary>The numbers of the voter policy.</summary>
internal sealed record VoterRules
{
    /// <summary>Entries behind the leader's last one that still count as caught up.</summary>
    public ulong LagMax { get; init; } = 64;

    /// <summary>How long a spare must have been caught up and healthy before it votes.</summary>
    public TimeSpan SteadyFor { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>
    /// The same while there is a single voter. Then the loss of one host stops all new addresses, so waiting is the
    /// larger risk, and three fresh hosts are safe seconds after they met.
    /// </summary>
    public TimeSpan FirstSteadyFor { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>A voter without a healthy sign for this long is swapped for a spare, if there is one.</summary>
    public TimeSpan VoterSilenceMax { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>A spare without a healthy sign for this long makes room for another node.</summary>
    public TimeSpan SpareSilenceMax { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Who gave a healthy sign within this counts for the majority a new set must have.</summary>
    public TimeSpan HealthyWithin { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Least time between two changes of the voters, but where one has left the cluster, or there is only one.</summary>
    public TimeSpan ChangePause { get; init; } = TimeSpan.FromMinutes(1);

    /// <summary>Nodes beside the voters that receive the log.</summary>
    public int SparesMax { get; init; } = 2;

    /// <summary>How many voters a cluster of this many nodes should have: always odd, for a fourth adds nothing to three.</summary>
    public static int VotersFor(int nodes) => nodes switch
    {
        <= 2 => 1,
        <= 6 => 3,
        _ => 5,
    };
}

namespace Kcore.Bench.Membership;

/// <summary>One side of the comparison: agents on the nodes of a LAN, what they say goes into <see cref="Sightings"/>.</summary>
internal interface IAgents : IAsyncDisposable
{
    string Name { get; }

    Sightings Sightings { get; }

    int Count { get; }

    /// <summary>By which name the others speak of an agent.</summary>
    string SubjectOf(int agent);

    /// <summary>The name an agent's own words are filed under.</summary>
    string SpeakerOf(int agent);

    /// <summary>Starts the agent and returns at once. The first one stands alone, the others are told its address.</summary>
    void Start(int agent);

    /// <summary>Returns when the agent is up and its words are being heard.</summary>
    Task IsUpAsync(int agent);

    /// <summary>Kills the process (SIGKILL) and returns when it is gone.</summary>
    Task KillAsync(int agent);

    /// <summary>Asks the agent to leave; it has not left yet when this returns.</summary>
    void Leave(int agent);

    int PidOf(int agent);

    /// <summary>Lets the first agent say something new to all.</summary>
    /// <returns>The moments it was asked and heard by each of the other agents, and when the first agent itself had it.</returns>
    Task<UpdateTimes> UpdateAsync(int number);
}

/// <summary>All in <see cref="System.Diagnostics.Stopwatch"/> ticks.</summary>
/// <param name="Missing">Agents that had not heard of it when the patience was over.</param>
internal sealed record UpdateTimes(long Asked, long Origin, IReadOnlyList<long> Heard, int Missing)
{
    /// <summary>From the moment the origin had it until the last agent had, as the agents themselves noted it; null where that is all that was heard.</summary>
    public TimeSpan? Spread { get; init; }
}

namespace Kcore.Bench.Consensus;

/// <summary>One of the two systems that are compared, as a running cluster.</summary>
internal interface ISide : IAsyncDisposable
{
    string Name { get; }

    /// <summary>Nodes of the cluster.</summary>
    int Count { get; }

    /// <summary>Starts the cluster and returns when every node takes part in its log.</summary>
    Task StartAsync();

    /// <summary>The node that leads, by its own word.</summary>
    Task<int> LeaderAsync();

    int PidOf(int node);

    /// <summary>A connection that is kept alive and carries any number of operations at once.</summary>
    Task<IWrites> ConnectAsync(int node, CancellationToken token);

    /// <summary>SIGKILL.</summary>
    Task KillAsync(int node);

    /// <summary>Starts a killed node again and returns when it takes part.</summary>
    Task ReviveAsync(int node);

    /// <summary>Hands the leader's seat to a node.</summary>
    Task TransferAsync(int from, int to);
}

/// <summary>A client's connection to one node.</summary>
internal interface IWrites : IAsyncDisposable
{
    /// <summary>Another connection is needed.</summary>
    bool IsBroken { get; }

    /// <summary>One operation: a new record, committed by a quorum, applied, answered.</summary>
    /// <exception cref="IOException">It was not done, or nobody knows.</exception>
    Task WriteAsync(CancellationToken token);
}

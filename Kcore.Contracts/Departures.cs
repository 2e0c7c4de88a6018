namespace Kcore.Contracts;

/// <summary>What <c>kctl node drain</c> asks of the serving node.</summary>
public sealed record DrainRequest
{
    /// <summary>Takes NICs and may vote again.</summary>
    public bool Undo { get; init; }
}

/// <summary>What <c>kctl node leave</c> asks of the serving node.</summary>
public sealed record LeaveRequest
{
    /// <summary>Detaches the NICs that are left, which cuts their guests off.</summary>
    public bool Force { get; init; }
}

/// <summary>What <c>kctl node reset</c> asks of the serving node.</summary>
public sealed record ResetRequest
{
    /// <summary>Also while it has NICs, and without leaving its cluster first.</summary>
    public bool Force { get; init; }

    /// <summary>Also the cluster key: the node then belongs to no cluster and makes one of its own.</summary>
    public bool ForgetKey { get; init; }
}

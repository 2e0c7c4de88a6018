namespace Kcore.Gossip;

/// <summary>
/// Only the owner disposes of tombstones (R4), when every active member has acknowledged them, or after a day: whoever
/// is further behind gets a snapshot (R5). For the Raft origin the nodes that apply the log are the owner.
/// </summary>
internal sealed class TombstoneDisposal(Turn turn, MemberTable members, CatalogState catalog, Replica replica)
{
    private static readonly TimeSpan Period = TimeSpan.FromSeconds(30);
    private readonly TombstoneClock _own = new();
    private readonly TombstoneClock _cluster = new();

    public TimeSpan NextEvent { get; private set; }

    /// <summary>Counts what was restored as written now.</summary>
    public void Start()
    {
        _own.Mark(turn.Now, catalog.Find(members.Self.Id)?.Version ?? 0);
        _cluster.Mark(turn.Now, catalog.Find(NodeId.Raft)?.Version ?? 0);
        NextEvent = turn.Now + Period;
    }

    /// <summary>The own sequence starts over.</summary>
    public void Restart() => _own.Reset();

    public void Run()
    {
        if (turn.Now < NextEvent)
        {
            return;
        }

        NextEvent = turn.Now + Period;
        OriginState own = catalog.Find(members.Self.Id)!;
        ulong stable = own.Version;
        foreach (NodeId other in members.Others)
        {
            stable = Math.Min(stable, members.AcknowledgedBy(other));
        }

        Dispose(own, _own, stable);
        if (catalog.AppliesLog && catalog.Find(NodeId.Raft) is { } cluster)
        {
            Dispose(cluster, _cluster, 0);
        }
    }

    private void Dispose(OriginState origin, TombstoneClock clock, ulong stable)
    {
        clock.Mark(turn.Now, origin.Version);
        ulong floor = clock.Floor(turn.Now, turn.Options.TombstoneMin, turn.Options.TombstoneMax, stable);
        if (origin.HasTombstoneUpTo(floor))
        {
            replica.RaiseFloor(origin, floor);
        }
    }
}

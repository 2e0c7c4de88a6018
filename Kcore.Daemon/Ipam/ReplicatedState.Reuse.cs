using Outcome = Kcore.Daemon.Cluster.Consensus.ApplyOutcome<
    Kcore.Daemon.Ipam.ReplicatedResult,
    Kcore.Daemon.Ipam.ReplicatedChange>;

namespace Kcore.Daemon.Ipam;

// Addresses that are granted again, and the clock by which they rest before.
public sealed partial class ReplicatedState
{
    /// <summary>
    /// Most milliseconds the clock moves at once. A leader that does not know better moves it by less than time went by,
    /// which only makes addresses rest longer.
    /// </summary>
    public const ulong ClockStepMax = 3_600_000;

    /// <summary>Milliseconds that are known to have passed in the life of the cluster, at least; 0 until it was needed. Any thread.</summary>
    public ulong Clock => _tables.Clock;

    private Outcome Apply(ulong index, ReplicatedCommand.AdvanceClock advance)
    {
        if (advance.Seen >= index)
        {
            return Refuse(RefusalCode.InvalidArgument, $"Entry {advance.Seen} was not applied before entry {index}.");
        }

        if (advance.Millis > Clock && advance.Millis - Clock > ClockStepMax)
        {
            return Refuse(RefusalCode.InvalidArgument, $"The clock reads {Clock} ms and can't jump to {advance.Millis} ms.");
        }

        _tables.Clock = Math.Max(Clock, advance.Millis);
        return new Outcome(
            ReplicatedResult.Done.Instance,
            [.. _tables.Pools.Values.Where(pool => pool.Advance(advance.Seen, Clock, index)).Select(Announce)]);
    }

    private Outcome Apply(ulong index, ReplicatedCommand.Reclaim reclaim)
    {
        if (!_tables.Pools.TryGetValue(reclaim.Network, out AddressPool? pool))
        {
            return Refuse(RefusalCode.NotFound, $"Network {reclaim.Network} has no pool.");
        }

        return pool.Reclaim(_tables.Leases.Values.Where(lease => lease.Network == reclaim.Network).Select(lease => lease.Address), index)
            ? Change(Announce(pool))
            : Unchanged;
    }
}

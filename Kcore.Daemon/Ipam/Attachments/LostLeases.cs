namespace Kcore.Daemon.Ipam.Attachments;

/// <summary>
/// Finds the NICs of this node that have an address and no lease, which only a recovery brings about: the copy of the log
/// that the cluster went on from lacked the last grants. Before the first recovery there are none.
/// </summary>
internal sealed class LostLeases
{
    /// <summary>A lease must be missed for this long without a break: after a grant the catalog follows the log within moments.</summary>
    public static readonly TimeSpan Wait = TimeSpan.FromSeconds(3);

    private readonly Dictionary<UInt128, TimeSpan> _missedSince = [];

    /// <param name="set">The NICs of this node.</param>
    /// <param name="leases">The attachments that hold an address, as the catalog has them.</param>
    /// <param name="epoch">Of the cluster; 1 before the first recovery.</param>
    /// <param name="now">Monotonic.</param>
    public IReadOnlySet<UInt128> Find(AttachmentSet set, IEnumerable<UInt128> leases, uint epoch, TimeSpan now)
    {
        if (epoch < 2)
        {
            _missedSince.Clear();
            return new HashSet<UInt128>();
        }

        HashSet<UInt128> missed = [.. set.Wanted.Where(r => r is { Local: false, Address: not null, PreparedFor: null }).Select(r => r.Id).Except(leases)];
        foreach (UInt128 found in _missedSince.Keys.Where(id => !missed.Contains(id)).ToArray())
        {
            _missedSince.Remove(found);
        }

        foreach (UInt128 id in missed)
        {
            _missedSince.TryAdd(id, now);
        }

        return missed.Where(id => now - _missedSince[id] >= Wait).ToHashSet();
    }
}

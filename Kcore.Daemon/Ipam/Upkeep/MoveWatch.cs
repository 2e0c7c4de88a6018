using Kcore.Daemon.Catalog.View;
using Kcore.Daemon.Cluster;

namespace Kcore.Daemon.Ipam.Upkeep;

/// <summary>Gives moves up that were prepared and never handed over: whoever began them has gone. Pure: time comes in.</summary>
internal sealed class MoveWatch
{
    /// <summary>How long a move may stay prepared, counted by the leader; the memory of a large guest takes minutes to copy.</summary>
    public static readonly TimeSpan Limit = TimeSpan.FromHours(1);

    private readonly Dictionary<UInt128, TimeSpan> _since = [];

    /// <summary>Nothing is known of the past: this node did not lead.</summary>
    public void Forget() => _since.Clear();

    /// <summary>What the leader should propose now.</summary>
    public IReadOnlyList<ReplicatedCommand.AbortMove> Due(CatalogView view, TimeSpan now)
    {
        HashSet<UInt128> pending = [.. view.Moves.Where(m => m.IsPending).Select(m => m.Move)];
        foreach (UInt128 gone in _since.Keys.Where(m => !pending.Contains(m)).ToArray())
        {
            _since.Remove(gone);
        }

        var due = new List<ReplicatedCommand.AbortMove>();
        foreach (UInt128 move in pending.Order())
        {
            _since.TryAdd(move, now);
            if (now - _since[move] >= Limit)
            {
                due.Add(new ReplicatedCommand.AbortMove(Uid.ToGuid(move)));
            }
        }

        return due;
    }
}

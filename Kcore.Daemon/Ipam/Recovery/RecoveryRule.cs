using System.Collections.Immutable;

namespace Kcore.Daemon.Ipam.Recovery;

/// <summary>A node that has a part in the log.</summary>
/// <param name="Votes">False: it receives the log and does not vote.</param>
internal sealed record LogMemberName(string Name, bool Votes);

/// <summary>What a store says of itself.</summary>
/// <param name="Name">The node it belongs to.</param>
/// <param name="Cluster">The cluster's id.</param>
/// <param name="Epoch">Which the store is in.</param>
/// <param name="StateEpoch">Which its log has come to.</param>
/// <param name="NodeEpoch">Which the node's own record says; less, when a recovery was interrupted.</param>
/// <param name="Last">Its last entry.</param>
/// <param name="Commit">What it knows to be on a majority; more may be.</param>
/// <param name="Others">Everybody else in the newest configuration it holds.</param>
/// <param name="Votes">Whether it votes itself.</param>
internal sealed record StoreView(
    string Name, Guid Cluster, uint Epoch, uint StateEpoch, uint NodeEpoch, LogPosition Last, ulong Commit, ImmutableArray<LogMemberName> Others, bool Votes)
{
    /// <summary>A recovery has begun here and has not come to its end.</summary>
    public bool IsInterrupted => NodeEpoch < Epoch;
}

/// <summary>
/// Whether a cluster may go on from one copy of its log alone. Pure. The answers of the operator are what safety rests on, so each of the
/// others has to be named, as a survivor with its position or as lost; and the best copy must be taken, for what it lacks is forgotten.
/// </summary>
internal static class RecoveryRule
{
    /// <summary>Why not, in words with what to do; null when it may.</summary>
    public static string? Reject(StoreView store, IReadOnlyList<Survivor> survivors, IReadOnlyList<string> lost)
    {
        HashSet<string> named = new(StringComparer.Ordinal);
        foreach (string name in survivors.Select(s => s.Name).Concat(lost))
        {
            if (name == store.Name)
            {
                return $"{name} is this node: name the others";
            }

            if (store.Others.All(o => o.Name != name))
            {
                return $"{name} has no part in this log; it knows {Names(store.Others)}";
            }

            if (!named.Add(name))
            {
                return $"{name} is named twice";
            }
        }

        LogMemberName[] unnamed = [.. store.Others.Where(o => !named.Contains(o.Name))];
        if (unnamed.Length > 0)
        {
            return $"nothing is said of {Names(unnamed)}: give --survivor NODE=TERM:INDEX for each whose disk exists (kcored recover --show, there), --lost NODE for each whose disk is gone";
        }

        if (survivors.OrderByDescending(s => s.Position).FirstOrDefault() is { } best && best.Position.CompareTo(store.Last) > 0)
        {
            return $"{best.Name} is at {best.Position} and this node at {store.Last}: what this one lacks would be forgotten; recover there";
        }

        int voters = store.Others.Count(o => o.Votes) + (store.Votes ? 1 : 0);
        int present = survivors.Count(s => store.Others.Any(o => o.Name == s.Name && o.Votes)) + (store.Votes ? 1 : 0);
        return present > voters / 2
            ? $"{present} of {voters} voters have their disks: start kcored on them and they go on by themselves, with nothing lost"
            : null;
    }

    private static string Names(IEnumerable<LogMemberName> members) => members.Any() ? string.Join(", ", members.Select(m => m.Name)) : "nobody else";
}

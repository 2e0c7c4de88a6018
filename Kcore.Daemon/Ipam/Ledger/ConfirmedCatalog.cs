using System.Buffers.Binary;
using Kcore.Daemon.Catalog;
using Kcore.Daemon.Cluster;
using Kcore.Daemon.Cluster.Consensus;
using Kcore.Daemon.Cluster.Founding;
using Kcore.Daemon.Cluster.Members;
using Kcore.Daemon.Cluster.Streams;

namespace Kcore.Daemon.Ipam.Ledger;

/// <summary>The catalog, and whether it has everything the log had committed when it was asked for.</summary>
/// <param name="Snapshot">What this node knows.</param>
/// <param name="Doubt">Why it may be older than what was committed, in words; null when it is not.</param>
internal sealed record ConfirmedView(CatalogSnapshot Snapshot, string? Doubt)
{
    /// <summary>What the log committed up to here is in it.</summary>
    public ulong LogIndex => Snapshot.Gossip.Log.Index;
}

/// <summary>
/// Reads of what the log decided that miss nothing: a quorum confirms how far the log is, and the answer waits until the
/// catalog of this node is there too. Who is in the group asks through it, everybody else asks the leader. Without a quorum
/// what is known is still answered, with its doubt: an old state is never shown as the present one.
/// </summary>
internal sealed class ConfirmedCatalog(ClusterLedger ledger, ClusterLoop cluster, LeaderRoute route, CatalogHub catalog, QuorumSight sight, TimeProvider time)
{
    /// <summary>An election after the loss of a leader takes one to two seconds; a reader is not kept waiting for a second one.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);

    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(50);

    /// <summary>What this node knows, without asking anybody.</summary>
    public ConfirmedView Unasked => new(catalog.Current.Current, "it was not asked whether anything newer was committed");

    /// <summary>Answers within <paramref name="patience"/>, confirmed or not.</summary>
    /// <exception cref="OperationCanceledException">The caller gave up.</exception>
    public async Task<ConfirmedView> ReadAsync(TimeSpan patience, CancellationToken token)
    {
        if (cluster.State.Current.Cluster is not { } here)
        {
            return new ConfirmedView(catalog.Current.Current, "this node is in no cluster yet");
        }

        using var limit = new CancellationTokenSource(patience, time);
        using CancellationTokenSource both = CancellationTokenSource.CreateLinkedTokenSource(token, limit.Token);
        LogMark? mark = null;
        string last = "";
        try
        {
            while (true)
            {
                (mark, last) = await TryOnceAsync(here, both.Token);
                if (mark is not null)
                {
                    break;
                }

                await Task.Delay(Pause, time, both.Token);
            }

            sight.Answered();
            CatalogSnapshot snapshot = await CatchUpAsync(mark.Value, both.Token);

            // The catalog of the cluster before says nothing about this one.
            return new ConfirmedView(snapshot, cluster.State.Current.Cluster == here ? null : "this node went to another cluster meanwhile");
        }
        catch (OperationCanceledException) when (!token.IsCancellationRequested)
        {
            if (mark is not null)
            {
                return new ConfirmedView(
                    catalog.Current.Current, $"the log is at index {mark.Value.Index}, and this node did not get there within {patience.TotalSeconds:0.#} s");
            }

            sight.Failed();
            return new ConfirmedView(catalog.Current.Current, NotConfirmed(patience, last));
        }
    }

    private async Task<CatalogSnapshot> CatchUpAsync(LogMark mark, CancellationToken token)
    {
        CatalogSnapshot now = catalog.Current.Current;
        if (now.Gossip.Log.Reaches(mark))
        {
            return now;
        }

        ledger.Open?.Mirror.Hurry(mark.Index);
        return await catalog.Current.WhenAsync(s => s.Gossip.Log.Reaches(mark), token);
    }

    private async Task<(LogMark? Mark, string Failure)> TryOnceAsync(ClusterRef here, CancellationToken token)
    {
        // A member that hears of no leader may have been let go; then only the voters know who leads.
        if (ledger.Open is { } open
            && open.Cluster == here
            && open.Loop.Status is { Fault: ConsensusFault.None, IsMember: true, Leader.IsNone: false })
        {
            try
            {
                return (new LogMark(here.Epoch, await open.Loop.ReadCommittedAsync(() => open.Mirror.Index, token)), "");
            }
            catch (ProposeException e)
            {
                return (null, e.Message);
            }
        }

        (LedgerReply? reply, string failure) = await route.AskAsync(StreamKind.Read, default, token);
        return reply is null ? (null, failure)
            : reply.Result.Length == sizeof(ulong) ? (new LogMark(here.Epoch, BinaryPrimitives.ReadUInt64BigEndian(reply.Result.Span)), "")
            : (null, "the leader's answer cannot be read");
    }

    private string NotConfirmed(TimeSpan patience, string last)
    {
        string[] missing = [.. sight.Current.Voters.Where(v => !v.IsSeen).Select(v => v.Name)];
        string why = missing.Length > 0 ? $": not seen are the voters {string.Join(", ", missing)}" : last.Length > 0 ? $": {last}" : "";
        return $"no quorum of the voters confirmed it within {patience.TotalSeconds:0.#} s{why}";
    }
}

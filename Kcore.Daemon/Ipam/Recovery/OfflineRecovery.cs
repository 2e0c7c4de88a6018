using System.Globalization;
using Kcore.Daemon.Cluster;
using Kcore.Daemon.Storage;
using Kcore.Daemon.Storage.RaftLog;
using Kcore.Raft;

namespace Kcore.Daemon.Ipam.Recovery;

/// <summary>What <c>kcored recover</c> was told.</summary>
/// <param name="Survivors"><c>NODE=TERM:INDEX</c> each.</param>
/// <param name="Lost">Nodes whose disks are gone.</param>
/// <param name="Show">Only say what the store holds.</param>
/// <param name="Yes">Do it; otherwise it is only said what would be done.</param>
internal sealed record RecoverRequest(IReadOnlyList<string> Survivors, IReadOnlyList<string> Lost, bool Show, bool Yes);

/// <summary>It was not done; the message says why and what to do.</summary>
internal sealed class RecoveryRefusedException(string message) : Exception(message);

/// <summary>
/// <c>kcored recover</c>: has a cluster whose majority lost its disks go on from the copy of the log on this node, while no daemon runs on it.
/// </summary>
internal static class OfflineRecovery
{
    /// <exception cref="RecoveryRefusedException">Nothing was changed.</exception>
    /// <exception cref="StorageException">The state database cannot be used.</exception>
    public static void Run(string dataDirectory, RecoverRequest request, TextWriter output)
    {
        string raft = Path.Combine(dataDirectory, "raft");
        string state = Path.Combine(dataDirectory, "state.db");
        if (!File.Exists(state) || !Directory.Exists(raft))
        {
            throw new RecoveryRefusedException($"{dataDirectory} holds no node of a cluster");
        }

        using StateDatabase database = StateDatabase.Open(state);
        var meta = new MetaStore(database);
        try
        {
            var files = new PosixFileLayer(raft);
            StoreView store = Read(files, meta);
            if (request.Show)
            {
                Show(store, output);
                return;
            }

            if (store.IsInterrupted && store.StateEpoch == store.Epoch)
            {
                // All but the last step was done before. If less was, it is done from the start, in another epoch.
                Complete(meta, store, output);
                return;
            }

            if (RecoveryRule.Reject(store, [.. request.Survivors.Select(ReadSurvivor)], request.Lost) is { } reason)
            {
                throw new RecoveryRefusedException(reason);
            }

            uint epoch = store.Epoch + 1;
            output.WriteLine($"The cluster goes on from the log of {store.Name} ({store.Last}) in epoch {epoch}, with {store.Name} as its only voter.");
            output.WriteLine("What the lost voters granted beyond it is not in it: the next addresses of every network are held back until kctl cluster recover-finalize.");
            output.WriteLine("Nodes of an older epoch that return take no part until they have joined this one, with a new copy of its log.");
            if (!request.Yes)
            {
                output.WriteLine("Nothing was changed. The same command with --yes does it.");
                return;
            }

            RaftStore.Recover(files, epoch, CommandCodec.Encode(new ReplicatedCommand.Recover(epoch)));
            Complete(meta, store with { Epoch = epoch }, output);
        }
        catch (StoreBusyException)
        {
            throw new RecoveryRefusedException($"a daemon uses {raft}: stop kcored first (systemctl stop kcored)");
        }
        catch (NewerVersionException newer)
        {
            throw new RecoveryRefusedException(newer.Message);
        }
        catch (Exception e) when (e is CorruptStoreException or IOException or UnauthorizedAccessException or InvalidDataException)
        {
            throw new RecoveryRefusedException($"the log in {raft} cannot be used: {e.Message}");
        }
    }

    private static Survivor ReadSurvivor(string text) => Survivor.TryParse(text, out Survivor? survivor)
        ? survivor
        : throw new RecoveryRefusedException($"--survivor {text} is not NODE=TERM:INDEX, as kcored recover --show prints it");

    private static void Complete(MetaStore meta, StoreView store, TextWriter output)
    {
        NodeIdentity.RaiseClusterEpoch(meta, store.Epoch);
        output.WriteLine($"Done. Start kcored on {store.Name}, then the others; kctl cluster status on {store.Name} shows how far they are.");
    }

    private static StoreView Read(PosixFileLayer files, MetaStore meta)
    {
        if (RaftStore.ReadIdentity(files) is null)
        {
            throw new RecoveryRefusedException("this node holds no log");
        }

        using RaftStore store = RaftStore.Open(files);
        if (NodeIdentity.RecordedMember(meta) is not { } recorded
            || recorded.Node != store.Identity.NodeUid
            || recorded.Cluster.Id != store.Identity.ClusterId)
        {
            throw new RecoveryRefusedException("the log is not of this node's cluster; a node that left, was removed or was copied is not recovered from");
        }

        RaftInitialState found = store.InitialState;
        var state = new ReplicatedState();
        Configuration configuration = found.Snapshot.Configuration;
        if (found.Snapshot.Index > 0)
        {
            state.Restore(found.Snapshot.Data);
        }

        // Also what is not known to be committed: it may be, and it counts from now on.
        foreach (RaftEntry entry in found.Entries.Where(e => e.Index > found.Snapshot.Index))
        {
            switch (entry.Kind)
            {
                case RaftEntryKind.Command:
                    state.Apply(entry.Index, entry.Data);
                    break;
                case RaftEntryKind.Configuration when ConfigurationCodec.TryDecode(entry.Data.Span, out Configuration? next):
                    configuration = next;
                    break;
                default:
                    break;
            }
        }

        if (state.ClusterId == Guid.Empty)
        {
            throw new RecoveryRefusedException("this node's copy of the log is empty: it was never fed");
        }

        ILookup<MemberId, string> names = state.Nodes.ToLookup(n => n.Member, n => n.Name);
        return new StoreView(
            NameOf(store.Member),
            store.Identity.ClusterId,
            store.Identity.Epoch,
            state.Epoch,
            recorded.Cluster.Epoch,
            found.Entries is [.., var last] ? new LogPosition(last.Term, last.Index) : new LogPosition(found.Snapshot.Term, found.Snapshot.Index),
            found.HardState.Commit,
            [.. configuration.Members.Where(m => m != store.Member).Select(m => new LogMemberName(NameOf(m), configuration.IsVoter(m))).OrderBy(m => m.Name, StringComparer.Ordinal)],
            configuration.IsVoter(store.Member));

        // A store that was replaced since is known by its node's name all the same.
        string NameOf(MemberId member) => names[member].FirstOrDefault()
            ?? state.Nodes.FirstOrDefault(n => n.Member.NodeUid == member.NodeUid).Name
            ?? member.NodeUid.ToString("N");
    }

    private static void Show(StoreView store, TextWriter output)
    {
        output.WriteLine($"node         {store.Name}");
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"cluster      {store.Cluster:N}, epoch {store.Epoch}{(store.IsInterrupted ? " (a recovery was interrupted: run it again)" : "")}"));
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"last entry   {store.Last} (term:index), known to be on a majority up to {store.Commit}"));
        output.WriteLine($"members      {string.Join(", ", store.Others.Select(Describe).Prepend(Describe(new LogMemberName(store.Name, store.Votes)) + " (this node)"))}");
        output.WriteLine($"on others    --survivor {store.Name}={store.Last}");

        static string Describe(LogMemberName member) => $"{member.Name} {(member.Votes ? "votes" : "listens")}";
    }
}

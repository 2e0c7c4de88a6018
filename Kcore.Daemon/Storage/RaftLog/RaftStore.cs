using Kcore.Raft;

namespace Kcore.Daemon.Storage.RaftLog;

/// <summary>
/// The durable half of a Raft member: identity, write-ahead log and snapshots in one directory. One thread at a time. The
/// first failure is final: after a failed sync nobody knows what the disk holds, so the store must be reopened.
/// </summary>
public sealed class RaftStore : IDisposable
{
    /// <summary>Size of a segment file unless told otherwise, in bytes.</summary>
    public const int SegmentBytesDefault = 4 * 1024 * 1024;

    // Room for a few segments and snapshots; see Ballast.
    private const int BallastSegments = 4;

    private readonly IFileLayer _files;
    private readonly IDisposable _lock;
    private readonly WriteAheadLog _log;
    private readonly Ballast _ballast;
    private bool _hasFailed;

    private RaftStore(IFileLayer files, IDisposable @lock, StoreIdentity identity, int segmentBytes)
    {
        _files = files;
        _lock = @lock;
        Identity = identity;
        _ballast = new Ballast(files, (long)BallastSegments * segmentBytes);
        _ballast.Restore();
        var recovery = new StoreRecovery();
        _log = WriteAheadLog.Open(files, _ballast, identity.StoreId, segmentBytes, recovery.Replay);
        try
        {
            var group = new RaftGroup(identity.ClusterId, identity.Epoch);
            InitialState = recovery.Finish(group, SnapshotFiles.ReadNewest(files, identity.StoreId));
        }
        catch (CorruptStoreException)
        {
            _log.Dispose();
            throw;
        }

        if (recovery.IsLogBehindSnapshot)
        {
            RaftSnapshot snapshot = InitialState.Snapshot;
            _log.Append(new LogBatch(InitialState.HardState, snapshot.Index, snapshot.Term, []));
        }
    }

    public StoreIdentity Identity { get; }

    /// <summary>Who this store makes its node in the group.</summary>
    public MemberId Member => new(Identity.NodeUid, Identity.StoreId);

    /// <summary>True while the disk is so full that the reserve kept for that case had to be given up.</summary>
    public bool IsSpaceLow => !_ballast.IsHeld;

    /// <summary>What the store held when it was opened.</summary>
    public RaftInitialState InitialState { get; }

    /// <summary>Reads whose store it is, or null when there is none (also when its making was interrupted).</summary>
    /// <exception cref="CorruptStoreException">There is one and it can't be read.</exception>
    public static StoreIdentity? ReadIdentity(IFileLayer files) => IdentityFile.Read(files);

    /// <summary>
    /// Makes the store of a cluster of one: entry 1 is <paramref name="foundCommand"/>, entry 2 makes this member the
    /// only voter. What an interrupted making left is removed first.
    /// </summary>
    /// <exception cref="InvalidOperationException">There is a store already.</exception>
    public static void Found(
        IFileLayer files,
        StoreIdentity identity,
        ReadOnlyMemory<byte> foundCommand,
        int segmentBytes = SegmentBytesDefault)
    {
        var self = new MemberId(identity.NodeUid, identity.StoreId);
        byte[] configuration = ConfigurationCodec.Encode(Configuration.Of([self]));
        Make(files, identity, segmentBytes, new LogBatch(
            new HardState(1, MemberId.None, 0),
            0,
            0,
            [
                new RaftEntry(1, 1, RaftEntryKind.Command, foundCommand),
                new RaftEntry(2, 1, RaftEntryKind.Configuration, configuration),
            ]));
    }

    /// <summary>Makes an empty store for a member that an existing cluster will feed.</summary>
    /// <exception cref="InvalidOperationException">There is a store already.</exception>
    public static void Join(IFileLayer files, StoreIdentity identity, int segmentBytes = SegmentBytesDefault) =>
        Make(files, identity, segmentBytes, new LogBatch(new HardState(0, MemberId.None, 0), 0, 0, []));

    /// <summary>
    /// Has the store go on alone in another epoch: behind all it holds come <paramref name="recoverCommand"/> and a configuration with its member as
    /// the only voter. The identity changes first: interrupted after that, nobody else of the new epoch exists with whom it could decide anything,
    /// and this can be done again with another epoch.
    /// </summary>
    /// <param name="files">The directory.</param>
    /// <param name="epoch">Larger than the store's.</param>
    /// <param name="recoverCommand">For the state machine.</param>
    /// <param name="segmentBytes">Size of new segments.</param>
    /// <exception cref="CorruptStoreException">It lost something that was acknowledged.</exception>
    /// <exception cref="StoreBusyException">Another process uses it.</exception>
    /// <exception cref="InvalidOperationException">The store is in that epoch or a later one.</exception>
    public static void Recover(IFileLayer files, uint epoch, ReadOnlyMemory<byte> recoverCommand, int segmentBytes = SegmentBytesDefault)
    {
        using RaftStore store = Open(files, segmentBytes);
        if (store.Identity.Epoch >= epoch)
        {
            throw new InvalidOperationException($"The store is in epoch {store.Identity.Epoch}.");
        }

        IdentityFile.Write(files, store.Identity with { Epoch = epoch });
        HardState state = store.InitialState.HardState;
        ulong term = state.Term + 1;
        ulong last = store.InitialState.Entries is [.., var entry] ? entry.Index : store.InitialState.Snapshot.Index;
        byte[] configuration = ConfigurationCodec.Encode(Configuration.Of([store.Member]));
        store._log.Append(new LogBatch(
            new HardState(term, MemberId.None, state.Commit),
            0,
            0,
            [
                new RaftEntry(last + 1, term, RaftEntryKind.Command, recoverCommand),
                new RaftEntry(last + 2, term, RaftEntryKind.Configuration, configuration),
            ]));
    }

    /// <summary>Opens a store and recovers what it holds.</summary>
    /// <param name="files">The directory.</param>
    /// <param name="segmentBytes">Size of new segments.</param>
    /// <param name="owner">Who opens it, or null to leave that unchecked.</param>
    /// <exception cref="CorruptStoreException">It lost something that was acknowledged; never repaired silently.</exception>
    /// <exception cref="NewerVersionException">A newer version wrote to it; nothing was changed.</exception>
    /// <exception cref="ForeignStoreException">It was copied here from another node or machine.</exception>
    /// <exception cref="StoreBusyException">Another process uses it.</exception>
    public static RaftStore Open(IFileLayer files, int segmentBytes = SegmentBytesDefault, StoreOwner? owner = null)
    {
        IDisposable held = files.Lock();
        try
        {
            StoreIdentity identity = ReadIdentity(files)
                ?? throw new InvalidOperationException("There is no Raft store in this directory.");
            if (owner is not null && (owner.NodeUid != identity.NodeUid || owner.MachineId != identity.MachineId))
            {
                throw new ForeignStoreException(
                    $"The Raft store was made by node {identity.NodeUid:N} on machine {identity.MachineId}; this is node {owner.NodeUid:N} on machine {owner.MachineId}.");
            }

            foreach (string left in files.List().Where(name => name.EndsWith(SealedFile.TemporarySuffix, StringComparison.Ordinal)))
            {
                files.Delete(left);
            }

            return new RaftStore(files, held, identity, segmentBytes);
        }
        catch
        {
            held.Dispose();
            throw;
        }
    }

    /// <summary>Makes one batch of the core durable.</summary>
    /// <exception cref="IOException">The disk refused, now or before.</exception>
    public void Write(StorageBatch batch) => Guard(() =>
    {
        if (batch.Snapshot is { } snapshot)
        {
            _ballast.Spend(() => SnapshotFiles.Write(_files, Identity.StoreId, new StoredSnapshot(snapshot, IsInstalled: true)));
        }

        _log.Append(new LogBatch(
            batch.HardState,
            batch.Snapshot?.Index ?? 0,
            batch.Snapshot?.Term ?? 0,
            batch.Entries));
    });

    /// <summary>
    /// Makes a snapshot of the state durable and removes log segments that neither it nor the one before needs, as long
    /// as they hold only entries before <paramref name="keepFrom"/>.
    /// </summary>
    /// <exception cref="DiskFullException">There is no room for it: it was not taken, and the store goes on without.</exception>
    /// <exception cref="IOException">The disk refused, now or before.</exception>
    public void SaveSnapshot(RaftSnapshot snapshot, ulong keepFrom) => Guard(() =>
    {
        _ballast.Spend(() => SnapshotFiles.Write(_files, Identity.StoreId, new StoredSnapshot(snapshot, IsInstalled: false)));
        ulong older = SnapshotFiles.DeleteOld(_files);
        _log.DeleteBefore(Math.Min(keepFrom, older + 1));
        _ballast.Restore();
    }, isRefusalHarmless: true);

    /// <summary>
    /// While <see cref="IsSpaceLow"/>: looks whether the disk has room for the reserve again. To be asked every now and then,
    /// because a member that accepts nothing also writes nothing that would show it.
    /// </summary>
    /// <exception cref="IOException">The disk refused, now or before.</exception>
    public void CheckSpace() => Guard(_ballast.Restore);

    public void Dispose()
    {
        _log.Dispose();
        _lock.Dispose();
    }

    private static void Make(IFileLayer files, StoreIdentity identity, int segmentBytes, LogBatch first)
    {
        using IDisposable held = files.Lock();
        if (ReadIdentity(files) is not null)
        {
            throw new InvalidOperationException("There is a Raft store in this directory already.");
        }

        foreach (string left in files.List())
        {
            files.Delete(left);
        }

        var ballast = new Ballast(files, (long)BallastSegments * segmentBytes);
        using (var log = WriteAheadLog.Create(files, ballast, identity.StoreId, segmentBytes))
        {
            log.Append(first);
        }

        IdentityFile.Write(files, identity);
    }

    private void Guard(Action write, bool isRefusalHarmless = false)
    {
        if (_hasFailed)
        {
            throw new IOException("The Raft store failed before; it must be reopened.");
        }

        // Cleared only on success, so that any way out by an exception is final.
        _hasFailed = true;
        try
        {
            write();
        }
        catch (DiskFullException) when (isRefusalHarmless)
        {
            _hasFailed = false;
            throw;
        }

        _hasFailed = false;
    }
}

using Kcore.Daemon.Cluster.Consensus;
using Kcore.Daemon.Ipam;
using Kcore.Daemon.Storage.RaftLog;
using Kcore.Daemon.Tests.Ipam;
using Kcore.Raft;
using Kcore.TestKit;
using Kcore.TestKit.Disks;
using Microsoft.Extensions.Logging.Abstractions;

namespace Kcore.Daemon.Tests.Consensus;

/// <summary>A member that meets in its log what a newer version wrote.</summary>
public sealed class ConsensusUpgradeTests
{
    private static readonly StoreIdentity Identity = new(Commands.Id(1), Commands.Id(2), Commands.Cluster, 1, "machine");

    [Fact]
    public async Task P24_a_member_stops_before_a_newer_command_and_goes_on_after_the_upgrade()
    {
        MemoryFileLayer files = Founded();
        ulong stopped;
        await using (var newer = new Run(files, isNewer: true))
        {
            await newer.DoAsync(Commands.Pool());
            await newer.DoAsync(Commands.Allocate(1));
            stopped = (await newer.Loop.ReportAsync(default)).Status.AppliedIndex;
            Assert.IsType<ReplicatedResult.Granted>(await newer.Loop.ProposeAsync(NewerState.Command, default));
            await newer.DoAsync(Commands.Allocate(2));
        }

        // As often as it is started.
        for (int start = 0; start < 3; start++)
        {
            await using var old = new Run(files, isNewer: false);
            Assert.Equal((ConsensusFault.TooOld, stopped), (old.Loop.Status.Fault, old.Loop.Status.AppliedIndex));
            Assert.Contains($"Entry {stopped + 1} of the log", old.Loop.Status.FaultText, StringComparison.Ordinal);
            Assert.Contains("upgrade kcored on this node", old.Loop.Status.FaultText, StringComparison.Ordinal);
            Assert.NotEqual(RaftRole.Leader, old.Loop.Status.Role);
            Assert.Equal([1u], old.Attachments);
            Assert.Equal(ProposeFailure.Stopped, (await Assert.ThrowsAsync<ProposeException>(() => old.DoAsync(Commands.Allocate(3)))).Failure);
            Assert.Equal(ProposeFailure.Stopped, (await Assert.ThrowsAsync<ProposeException>(() => old.Loop.ReadCommittedAsync(() => 0, default))).Failure);
        }

        await using var upgraded = new Run(files, isNewer: true);
        Assert.IsType<ReplicatedResult.Granted>(await upgraded.DoAsync(Commands.Allocate(4)));
        Assert.Equal([1u, 2u, 4u, 77u], upgraded.Attachments);
    }

    [Fact]
    public async Task P24_a_snapshot_of_a_newer_version_waits_for_the_upgrade()
    {
        MemoryFileLayer files = Founded();
        await using (var newer = new Run(files, isNewer: true))
        {
            await newer.DoAsync(Commands.Pool());
            for (uint i = 1; i <= 30; i++)
            {
                await newer.DoAsync(Commands.Allocate(i));
            }

            await Until.SeenAsync(TimeSpan.FromSeconds(20), "a snapshot is stored", () => Task.FromResult(files.List().Any(f => f.StartsWith("snapshot-", StringComparison.Ordinal)) ? null : "none"));
        }

        for (int start = 0; start < 2; start++)
        {
            await using var old = new Run(files, isNewer: false);
            Assert.Equal(ConsensusFault.TooOld, old.Loop.Status.Fault);
            Assert.Contains("format 250", old.Loop.Status.FaultText, StringComparison.Ordinal);
            Assert.Empty(old.Attachments);
        }

        await using var upgraded = new Run(files, isNewer: true);
        Assert.IsType<ReplicatedResult.Granted>(await upgraded.DoAsync(Commands.Allocate(31)));
        Assert.Equal(31, upgraded.Attachments.Length);
    }

    [Fact]
    public async Task A_leader_writes_nothing_to_the_log_that_it_could_not_execute()
    {
        await using var old = new Run(Founded(), isNewer: false);
        await old.DoAsync(Commands.Pool());
        ulong last = (await old.Loop.ReportAsync(default)).Status.LastIndex;
        var refused = Assert.IsType<ReplicatedResult.Refused>(await old.Loop.ProposeAsync(NewerState.Command, default));
        Assert.Equal(RefusalCode.FailedPrecondition, refused.Code);
        Assert.Contains("upgrade", refused.Text, StringComparison.Ordinal);
        ConsensusStatus status = (await old.Loop.ReportAsync(default)).Status;
        Assert.Equal((last, ConsensusFault.None), (status.LastIndex, status.Fault));
        Assert.IsType<ReplicatedResult.Granted>(await old.DoAsync(Commands.Allocate(1)));
    }

    [Fact]
    public async Task Older_members_stop_where_they_stand_and_none_becomes_another_than_the_rest()
    {
        await using var group = new ConsensusGroup(newer: 1);
        await group.ThreeVotersAsync();
        ConsensusMember newer = group.Members[0];
        await group.SeenAsync("the newer one leads", () => newer.Loop.Status.Role == RaftRole.Leader);
        Assert.IsType<ReplicatedResult.Granted>(await group.DoAsync(Commands.Allocate(1)));
        Assert.IsType<ReplicatedResult.Granted>(await newer.Loop.ProposeAsync(NewerState.Command, default));
        ulong index = (await newer.Loop.ReportAsync(default)).Status.AppliedIndex;
        ConsensusMember[] older = [group.Members[1], group.Members[2]];
        await group.SeenAsync("the older ones have stopped", () => older.All(m => m.Loop.Status.Fault == ConsensusFault.TooOld));
        Assert.All(older, m => Assert.Equal(index - 1, m.Loop.Status.AppliedIndex));
        Assert.All(older, m => Assert.False(m.State.TryGetLease(new AttachmentId(Commands.Id(77)), out _)));

        // Neither of them can lead, and alone the newer one decides nothing.
        await group.SeenAsync("nobody leads", () => group.Members.All(m => m.Loop.Status.Role != RaftRole.Leader));
    }

    [Theory]
    [InlineData("identity")]
    [InlineData("segment-")]
    [InlineData("snapshot-")]
    public void P17_a_store_of_a_newer_version_is_neither_damaged_nor_touched(string kind)
    {
        MemoryFileLayer files = Founded();
        using (RaftStore store = RaftStore.Open(files, 2048))
        {
            for (ulong id = 1; id <= 4; id++)
            {
                store.Write(new StorageBatch(id, new HardState(1, MemberId.None, id), [new RaftEntry(id + 2, 1, RaftEntryKind.Command, new byte[1400])], null));
            }

            store.SaveSnapshot(new RaftSnapshot(4, 1, Configuration.Of([store.Member]), 2, new byte[50]), 1);
        }

        string name = files.List().Last(f => f.StartsWith(kind, StringComparison.Ordinal));
        byte[] bytes = files.Read(name);
        if (kind == "segment-")
        {
            // An empty one behind the others, as a newer version may leave it.
            Array.Clear(bytes, LogBatchCodec.SectorBytes, bytes.Length - LogBatchCodec.SectorBytes);
            bytes[4]++;
            BitConverter.TryWriteBytes(bytes.AsSpan(29), Crc32C.Of(bytes.AsSpan(0, 29)));
        }
        else
        {
            bytes[8]++;
            BitConverter.TryWriteBytes(bytes.AsSpan(bytes.Length - 4), Crc32C.Of(bytes.AsSpan(8, bytes.Length - 12)));
        }

        using (IStoreFile file = files.Open(name))
        {
            file.Write(0, bytes);
        }

        for (int start = 0; start < 2; start++)
        {
            Assert.Contains("upgrade kcored", Assert.Throws<NewerVersionException>(() => RaftStore.Open(files, 2048)).Message, StringComparison.Ordinal);
            Assert.Equal(bytes, files.Read(name));
        }
    }

    [Fact]
    public void A_change_of_the_voters_that_cannot_be_read_is_not_passed_over()
    {
        MemoryFileLayer files = Founded();
        using (RaftStore store = RaftStore.Open(files, 2048))
        {
            store.Write(new StorageBatch(1, new HardState(1, MemberId.None, 2), [new RaftEntry(3, 1, RaftEntryKind.Configuration, new byte[] { 2, 0 })], null));
        }

        Assert.Contains("Entry 3 of the log", Assert.Throws<NewerVersionException>(() => RaftStore.Open(files, 2048)).Message, StringComparison.Ordinal);
    }

    private static MemoryFileLayer Founded()
    {
        var files = new MemoryFileLayer();
        RaftStore.Found(files, Identity, CommandCodec.Encode(new ReplicatedCommand.Found(Commands.Cluster, 1)), 2048);
        return files;
    }

    private sealed class Run : IAsyncDisposable
    {
        private readonly CancellationTokenSource _stop = new();
        private readonly ReplicatedState _state = new();
        private readonly RaftStore _store;
        private readonly Task _running;

        public Run(MemoryFileLayer files, bool isNewer)
        {
            _store = RaftStore.Open(files, 2048);
            Loop = new ConsensusLoop<ReplicatedResult, ReplicatedChange>(
                _store,
                isNewer ? new NewerState(_state) : _state,
                new Deaf(),
                new NoTransport(),
                new ConsensusOptions { SnapshotEveryEntries = 10, EntriesKeptBehindSnapshot = 3 },
                new SteppedTime(),
                new Random(1),
                NullLogger.Instance);
            _running = Loop.RunAsync(_stop.Token);
        }

        public ConsensusLoop<ReplicatedResult, ReplicatedChange> Loop { get; }

        /// <summary>Those that hold an address, by number.</summary>
        public uint[] Attachments =>
            [.. Enumerable.Range(1, 100).Select(i => (uint)i).Where(i => _state.TryGetLease(new AttachmentId(Commands.Id(i)), out _))];

        public Task<ReplicatedResult> DoAsync(ReplicatedCommand command) => Loop.ProposeAsync(CommandCodec.Encode(command), default);

        public async ValueTask DisposeAsync()
        {
            await _stop.CancelAsync();
            await _running;
            _store.Dispose();
        }
    }
}

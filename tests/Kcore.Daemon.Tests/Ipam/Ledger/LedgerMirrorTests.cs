using FsCheck;
using FsCheck.Fluent;
using Kcore.Daemon.Catalog.Facts;
using Kcore.Daemon.Cluster.Consensus;
using Kcore.Daemon.Ipam;
using Kcore.Daemon.Ipam.Ledger;
using Kcore.Daemon.Storage.Events;
using Kcore.Daemon.Tests.Storage;
using Kcore.Gossip;
using Kcore.Raft;
using Kcore.TestKit;
using Microsoft.Extensions.Logging.Abstractions;

namespace Kcore.Daemon.Tests.Ipam.Ledger;

public sealed class LedgerMirrorTests : IDisposable
{
    private readonly TestDatabase _test = new();
    private readonly SteppedTime _time = new();

    [Fact]
    public async Task What_the_log_commits_is_told_with_contiguous_ranges()
    {
        var log = new Log(this);
        await log.DoAndTellAsync(new ReplicatedCommand.Found(Commands.Cluster, 1));
        await log.DoAndTellAsync(Commands.Pool());
        await log.DoAndTellAsync(Commands.Allocate(1));
        await log.DoAndTellAsync(Commands.Release(1));

        List<GossipInput.PutCluster> told = await log.ToldAsync();

        Assert.Equal([(0UL, 1UL), (1UL, 2UL), (2UL, 3UL), (3UL, 4UL)], told.Select(t => (t.FromIndex, t.ToIndex)));
        Assert.All(told, t => Assert.Equal(7u, t.ClusterEpoch));
        Assert.All(told, t => Assert.All(t.Writes, w => Assert.Equal(t.ToIndex, w.Version)));
    }

    [Fact]
    public async Task A_snapshot_is_the_whole_content_and_so_begins_at_zero()
    {
        var log = new Log(this);
        await log.DoAndTellAsync(new ReplicatedCommand.Found(Commands.Cluster, 1));
        await log.DoAndTellAsync(Commands.Pool());
        await log.DoAndTellAsync(Commands.Allocate(1));
        log.Restore();
        await log.ToldAsync();
        await log.DoAndTellAsync(Commands.Allocate(2));

        List<GossipInput.PutCluster> told = await log.ToldAsync();

        Assert.Equal((0UL, 3UL), (told[3].FromIndex, told[3].ToIndex));
        Assert.Equal((3UL, 4UL), (told[4].FromIndex, told[4].ToIndex));
        Assert.Contains(told[3].Writes, w => w.Kind == (ushort)FactKind.Lease);
        Assert.Contains(told[3].Writes, w => w.Kind == (ushort)FactKind.Pool);
    }

    [Fact]
    public async Task The_counts_of_a_pool_follow_its_leases()
    {
        var log = new Log(this);
        await log.DoAndTellAsync(new ReplicatedCommand.Found(Commands.Cluster, 1));
        await log.DoAndTellAsync(Commands.Pool());
        await log.DoAndTellAsync(Commands.Allocate(1));
        await log.DoAndTellAsync(Commands.Allocate(2));
        await log.DoAndTellAsync(Commands.Release(2));

        List<GossipInput.PutCluster> told = await log.ToldAsync();

        Assert.Equal(["10.250.0.2 253/0/253", "10.250.0.3 253/1/252", "10.250.0.4 253/2/251", "10.250.0.4 253/1/251"], told.Skip(1).Select(t =>
        {
            LocalWrite write = Assert.Single(t.Writes, w => w.Kind == (ushort)FactKind.Pool);
            Assert.True(FactCodec.TryDecode(Stored(write), out PoolFact? pool));
            Assert.Equal(("private", 14416u), (pool.Name, pool.Vni));
            return $"{pool.Next} {pool.Size}/{pool.Used}/{pool.Free}";
        }));
    }

    [Fact]
    public async Task What_cannot_be_told_yet_waits_and_keeps_its_order()
    {
        var log = new Log(this) { Refusals = 3 };
        log.Do(new ReplicatedCommand.Found(Commands.Cluster, 1));
        log.Do(Commands.Pool());

        Assert.Equal([1UL, 2UL], (await log.ToldAsync()).Select(t => t.ToIndex));
        Assert.Equal(0, log.Refusals);
    }

    [Fact]
    public async Task What_comes_in_a_rush_is_told_together()
    {
        var log = new Log(this);
        log.Do(new ReplicatedCommand.Found(Commands.Cluster, 1));
        log.Do(Commands.Pool());
        for (uint i = 1; i <= 50; i++)
        {
            log.Do(Commands.Allocate(i));
        }

        log.Do(Commands.Release(7));
        List<GossipInput.PutCluster> told = await log.ToldAsync();

        Assert.Equal([(0UL, 1UL), (1UL, 53UL)], told.Select(t => (t.FromIndex, t.ToIndex)));
        Assert.Equal(50, told[1].Writes.Count(w => w.Kind == (ushort)FactKind.Lease));
        LocalWrite released = Assert.Single(told[1].Writes, w => w.Kind == (ushort)FactKind.Lease && w.Tombstone);
        Assert.Equal(53UL, released.Version);
        Assert.Equal(53UL, Assert.Single(told[1].Writes, w => w.Kind == (ushort)FactKind.Pool).Version);
        Assert.Equal(49, told[1].Writes.Where(w => w.Kind == (ushort)FactKind.Lease && !w.Tombstone).Select(w => w.Version).Distinct().Count());
    }

    [Fact]
    public async Task Who_waits_for_the_copy_ends_its_pause()
    {
        var log = new Log(this);
        log.Do(new ReplicatedCommand.Found(Commands.Cluster, 1));
        log.Do(Commands.Pool());
        log.Do(Commands.Allocate(1));
        using var stop = new CancellationTokenSource();
        Task running = log.Mirror.RunAsync(stop.Token);
        await log.ReachesAsync(1);

        // The clock stands still, so whatever comes now was not waited for.
        log.Mirror.Hurry(log.Mirror.Index);
        await log.ReachesAsync(3);

        // And who asked before there was a pause to end is not forgotten.
        log.Mirror.Hurry(6);
        log.Do(Commands.Allocate(2));
        log.Do(Commands.Allocate(3));
        log.Do(Commands.Allocate(4));
        await log.ReachesAsync(6);
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => running);
    }

    [Fact]
    public async Task A_member_too_old_for_its_log_is_an_event_once()
    {
        var events = new EventLog(_test.Database, _time, "node-a", NullLogger.Instance);
        var mirror = new LedgerMirror(new ReplicatedState(), 7, events, _time, (_, _) => Task.CompletedTask);
        var status = new ConsensusStatus
        {
            Self = new MemberId(Commands.Id(1), Commands.Id(2)),
            ClusterId = Commands.Cluster,
            Epoch = 7,
            Term = 1,
            Role = RaftRole.Follower,
            Leader = MemberId.None,
            CommitIndex = 9,
            AppliedIndex = 8,
            LastIndex = 9,
            Voters = [],
            Learners = [],
            IsJoint = false,
            LeaderlessSince = null,
            IsStorageStalled = false,
            IsSpaceLow = false,
            VotersSeen = [],
            LastSync = TimeSpan.Zero,
            Fault = ConsensusFault.TooOld,
            FaultText = "upgrade kcored",
        };
        mirror.StatusChanged(status with { Fault = ConsensusFault.DiskFailed });
        mirror.StatusChanged(status);
        mirror.StatusChanged(status with { Term = 2 });
        using var stop = new CancellationTokenSource();
        Task writing = events.RunAsync(stop.Token);
        await Until.SeenAsync(TimeSpan.FromSeconds(20), "it is written", () => Task.FromResult(events.Since(0, 10).Count > 0 ? null : "nothing"));
        await stop.CancelAsync();
        await Task.WhenAny(writing);
        Kcore.Contracts.EventInfo told = Assert.Single(events.Since(0, 10));
        Assert.Equal(("UpgradeNeeded", "upgrade kcored"), (told.Type, told.Message));
    }

    [Fact]
    public void The_copy_of_any_history_is_what_the_log_holds()
    {
        Gen<int[]> histories = Gen.ArrayOf(Gen.Choose(0, 95), 40);
        Prop.ForAll(histories.ToArbitrary(), steps =>
        {
            var log = new Log(this);
            log.Do(new ReplicatedCommand.Found(Commands.Cluster, 1));
            log.Do(new ReplicatedCommand.NodeAdd(new Kcore.Raft.MemberId(Commands.Id(8), Commands.Id(80)), "node-b"));
            foreach (int step in steps)
            {
                uint network = (uint)(1 + (step % 2)), attachment = (uint)(1 + (step / 12));
                switch (step % 12)
                {
                    case 0 or 1: log.Do(Commands.Pool(network, $"n{network}", 14000 + network, $"10.{network}.0.1", $"10.{network}.0.0/28")); break;
                    case 2 or 3 or 4: log.Do(Commands.Allocate(attachment, network)); break;
                    case 5: log.Do(Commands.Release(attachment)); break;
                    case 6: log.Do(new ReplicatedCommand.DeletePool(new NetworkUid(Commands.Id(network)))); break;
                    case 7 or 8 when log.State.TryGetLease(new AttachmentId(Commands.Id(attachment)), out ReplicatedChange.LeasePut? lease):
                        log.Do(new ReplicatedCommand.BeginMove(
                            Commands.Id(100 + attachment),
                            new MovingNic(lease.Attachment, lease.Network, lease.NicName, lease.Mac, lease.Address, lease.NodeUid, Commands.Id(8), IsLeased: true),
                            1000));
                        break;
                    case 9: log.Do(new ReplicatedCommand.HandOver(Commands.Id(100 + attachment))); break;
                    case 10: log.Do(new ReplicatedCommand.AcknowledgeMove(Commands.Id(100 + attachment), Commands.Id(8 + (uint)(step % 2)))); break;
                    default: log.Restore(); break;
                }
            }

            var copy = new SortedDictionary<string, string>(StringComparer.Ordinal);
            ulong at = 0;
            foreach (GossipInput.PutCluster told in log.ToldAsync().GetAwaiter().GetResult())
            {
                Assert.Equal(told.FromIndex == 0 ? 0 : at, told.FromIndex);
                at = told.ToIndex;
                if (told.FromIndex == 0)
                {
                    copy.Clear();
                }

                foreach (LocalWrite write in told.Writes)
                {
                    if (write.Tombstone)
                    {
                        copy.Remove(write.Key);
                    }
                    else
                    {
                        copy[write.Key] = Convert.ToHexString(write.Value.Span);
                    }
                }
            }

            var fresh = new Log(this, log.State);
            fresh.Restore();
            Assert.Equal(
                fresh.ToldAsync().GetAwaiter().GetResult()[0].Writes.Select(w => (w.Key, Convert.ToHexString(w.Value.Span))).Order(),
                copy.Select(c => (c.Key, c.Value)).Order());
        }).QuickCheckThrowOnFailure();
    }

    public void Dispose() => _test.Dispose();

    private static CatalogEntry Stored(LocalWrite write) => CatalogEntry.Create(NodeId.Raft, write.Key, write.Version, write.Kind, EntryFlags.None, write.Value);

    /// <summary>A log that applies at once and the mirror that hears it.</summary>
    private sealed class Log
    {
        private readonly SteppedTime _time;
        private volatile List<GossipInput.PutCluster> _told = [];
        private ulong _index;
        private int _wholes;

        public Log(LedgerMirrorTests test, ReplicatedState? state = null)
        {
            _time = test._time;
            State = state ?? new ReplicatedState();
            Mirror = new LedgerMirror(State, 7, new EventLog(test._test.Database, _time, "node-a", NullLogger.Instance), _time, PutAsync);
            Mirror.Opened(0);
        }

        public ReplicatedState State { get; }

        public LedgerMirror Mirror { get; }

        public int Refusals { get; set; }

        public void Do(ReplicatedCommand command)
        {
            ApplyOutcome<ReplicatedResult, ReplicatedChange> outcome = State.Do(command, ++_index);
            Mirror.Applied(_index, outcome.Result, outcome.Changes);
            _wholes += _index == 1 ? 1 : 0;
        }

        public Task DoAndTellAsync(ReplicatedCommand command)
        {
            Do(command);
            return ToldAsync();
        }

        public void Restore()
        {
            Mirror.Restored(_index, State.EnumerateAll());
            _wholes++;
        }

        /// <summary>What was told since the beginning, once the mirror has nothing left.</summary>
        public async Task<List<GossipInput.PutCluster>> ToldAsync()
        {
            using var stop = new CancellationTokenSource();
            Task running = Mirror.RunAsync(stop.Token);
            while (_told.Count(t => t.FromIndex == 0) < _wholes || _told[^1].ToIndex < State.AppliedIndex)
            {
                // The longest pause.
                _time.Advance(TimeSpan.FromSeconds(5));
                await Task.Yield();
            }

            await stop.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => running);
            return _told;
        }

        public Task ReachesAsync(ulong index) => Until.SeenAsync(
            TimeSpan.FromSeconds(20), $"the copy is at {index}", () => Task.FromResult(_told.Count > 0 && _told[^1].ToIndex >= index ? null : "not yet"));

        private Task PutAsync(GossipInput.PutCluster put, CancellationToken token)
        {
            if (Refusals > 0)
            {
                Refusals--;
                throw new InvalidOperationException("no catalog yet");
            }

            // Replaced, because the test looks meanwhile.
            _told = [.. _told, put];
            return Task.CompletedTask;
        }
    }
}

using System.Collections.Concurrent;
using System.Collections.Immutable;
using Kcore.Daemon.Cluster.Consensus;
using Kcore.Daemon.Ipam;
using Kcore.Daemon.Storage.RaftLog;
using Kcore.Daemon.Tests.Ipam;
using Kcore.Raft;
using Kcore.TestKit;
using Kcore.TestKit.Disks;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit.Abstractions;

namespace Kcore.Daemon.Tests.Consensus;

public sealed class ConsensusLoopTests(ITestOutputHelper output)
{
    private static readonly StoreIdentity Identity = new(Commands.Id(1), Commands.Id(2), Commands.Cluster, 1, "machine");

    [Fact]
    public async Task A_sole_member_leads_and_answers_without_any_tick()
    {
        await using var member = new RunningMember(Founded());
        Assert.IsType<ReplicatedResult.Done>(await member.DoAsync(Commands.Pool()));
        Assert.Equal("10.250.0.2", Assert.IsType<ReplicatedResult.Granted>(await member.DoAsync(Commands.Allocate(1))).Address.ToString());
        Assert.Equal(RaftRole.Leader, member.Loop.Status.Role);
        Assert.Equal(member.Loop.Status.Self, member.Loop.Status.Leader);
        Assert.Equal(member.Loop.Status.Self, Assert.Single(member.Loop.Status.VotersSeen));
        Assert.Equal(Commands.Cluster, await member.Loop.ReadAsync(() => member.State.ClusterId, default));
    }

    [Fact]
    public async Task Behaviour_29_the_counter_survives_restarts_and_snapshots()
    {
        MemoryFileLayer files = Founded();
        uint attachment = 0;
        for (int life = 0; life < 5; life++)
        {
            await using var member = new RunningMember(files);
            await member.DoAsync(Commands.Pool());
            for (int i = 0; i < 7; i++)
            {
                attachment++;
                var granted = Assert.IsType<ReplicatedResult.Granted>(await member.DoAsync(Commands.Allocate(attachment)));
                Assert.Equal($"10.250.0.{attachment + 1}", granted.Address.ToString());
            }
        }

        Assert.Contains(files.List(), name => name.StartsWith("snapshot-", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Behaviour_24_parallel_requests_get_different_addresses_and_share_syncs()
    {
        MemoryFileLayer files = Founded();
        await using var member = new RunningMember(files);
        await member.DoAsync(Commands.Pool(subnet: "10.250.0.0/16"));
        int syncsBefore = files.Syncs;
        ReplicatedResult[] results = await Task.WhenAll(Enumerable.Range(1, 500).Select(i => member.DoAsync(Commands.Allocate((uint)i))));
        Assert.Equal(500, results.Select(result => Assert.IsType<ReplicatedResult.Granted>(result).Address).Distinct().Count());
        Assert.True(files.Syncs - syncsBefore < 450, $"{files.Syncs - syncsBefore} syncs for 500 allocations");
    }

    [Fact]
    public async Task The_mirror_hears_every_change_in_order_and_a_restart_tells_it_everything()
    {
        MemoryFileLayer files = Founded();
        await using (var member = new RunningMember(files))
        {
            await member.DoAsync(Commands.Pool());
            for (uint i = 1; i <= 12; i++)
            {
                await member.DoAsync(Commands.Allocate(i));
            }

            ImmutableArray<ulong> indexes = [.. member.Observer.Heard.Select(item => item.Index)];
            Assert.Equal(indexes.Order(), indexes);
        }

        await using var again = new RunningMember(files);
        await again.DoAsync(Commands.Allocate(1));
        Assert.Equal(12, again.Observer.Heard.SelectMany(item => item.Changes).OfType<ReplicatedChange.LeasePut>().Count());
        Assert.True(again.Observer.Restores > 0);
    }

    [Fact]
    public async Task Behaviour_30_without_a_leader_a_request_fails_as_unavailable_after_ten_seconds()
    {
        var files = new MemoryFileLayer();
        RaftStore.Join(files, Identity, 64 * 1024);
        await using var member = new RunningMember(files);
        Task<ReplicatedResult> asked = member.DoAsync(Commands.Allocate(1));
        for (int i = 0; i < 99; i++)
        {
            member.Time.Advance(TimeSpan.FromMilliseconds(100));
        }

        Assert.False(asked.IsCompleted);
        member.Time.Advance(TimeSpan.FromMilliseconds(200));
        ProposeException failure = await Assert.ThrowsAsync<ProposeException>(() => asked);
        Assert.Equal(ProposeFailure.Unavailable, failure.Failure);
    }

    [Fact]
    public async Task Proposals_that_nobody_awaits_are_answered_once_each_under_their_number()
    {
        await using var member = new RunningMember(Founded());
        await member.DoAsync(Commands.Pool(subnet: "10.250.0.0/16"));
        var answers = new Answers();
        for (uint i = 1; i <= 300; i++)
        {
            member.Loop.Propose(CommandCodec.Encode(Commands.Allocate(i)), i, answers);
        }

        await Until.SeenAsync(TimeSpan.FromSeconds(20), "all are answered", () => Task.FromResult(answers.Sent.Count == 300 ? null : $"{answers.Sent.Count} answers"));
        Assert.Equal(Enumerable.Range(1, 300).Select(i => (ulong)i), answers.Sent.Select(a => a.Number).Order());
        Assert.Equal(300, answers.Sent.Select(a => Assert.IsType<ReplicatedResult.Granted>(a.Result).Address).Distinct().Count());
        await member.DisposeAsync();
        member.Loop.Propose(CommandCodec.Encode(Commands.Allocate(301)), 301, answers);
        Assert.Equal((301UL, ProposeFailure.Stopped), (answers.Sent.Last().Number, answers.Sent.Last().Failure));
    }

    [Fact]
    public async Task Proposals_that_nobody_awaits_fail_as_unavailable_without_a_leader_too()
    {
        var files = new MemoryFileLayer();
        RaftStore.Join(files, Identity, 64 * 1024);
        await using var member = new RunningMember(files);
        var answers = new Answers();
        member.Loop.Propose(CommandCodec.Encode(Commands.Allocate(1)), 1, answers);
        for (int i = 0; i < 99; i++)
        {
            member.Time.Advance(TimeSpan.FromMilliseconds(100));
            await member.Loop.ReadAsync(() => 0, default);
        }

        Assert.Empty(answers.Sent);
        member.Time.Advance(TimeSpan.FromMilliseconds(200));
        await member.Loop.ReadAsync(() => 0, default);
        Assert.Equal((1UL, ProposeFailure.Unavailable), (Assert.Single(answers.Sent).Number, answers.Sent.Single().Failure));
    }

    [Fact]
    public async Task A_failed_disk_ends_taking_part_but_not_reading()
    {
        MemoryFileLayer files = Founded();
        await using var member = new RunningMember(files);
        await member.DoAsync(Commands.Pool());
        files.FailSyncs = true;
        ProposeException first = await Assert.ThrowsAsync<ProposeException>(() => member.DoAsync(Commands.Allocate(1)));
        Assert.Equal(ProposeFailure.UnknownOutcome, first.Failure);
        files.FailSyncs = false;
        ProposeException second = await Assert.ThrowsAsync<ProposeException>(() => member.DoAsync(Commands.Allocate(2)));
        Assert.Equal(ProposeFailure.Stopped, second.Failure);
        Assert.Equal(ConsensusFault.DiskFailed, member.Loop.Status.Fault);
        Assert.False(await member.Loop.ReadAsync(() => member.State.IsVirgin, default));
    }

    [Fact]
    public async Task P19_a_log_that_lacks_what_the_leader_was_told_it_holds_is_called_corrupt()
    {
        // As after a copy of the disk has acknowledged entries in this member's name.
        var files = new MemoryFileLayer();
        RaftStore.Join(files, Identity, 64 * 1024);
        await using var member = new RunningMember(files);
        var leader = new MemberId(Commands.Id(7), Commands.Id(8));
        RaftMessage.Heartbeat heartbeat = new(0)
        {
            Group = new RaftGroup(Identity.ClusterId, Identity.Epoch),
            From = leader,
            To = member.Loop.Status.Self,
            Term = 2,
        };
        Assert.True(member.Loop.TryReceive(heartbeat));
        await Until.SeenAsync(TimeSpan.FromSeconds(20), "it follows", () => Task.FromResult(member.Loop.Status.Leader == leader ? null : "no leader"));

        Assert.True(member.Loop.TryReceive(heartbeat with { Commit = 5 }));
        await Until.SeenAsync(TimeSpan.FromSeconds(20), "it says so", () => Task.FromResult(
            member.Loop.Status.Fault == ConsensusFault.StoreCorrupt ? null : $"fault {member.Loop.Status.Fault}, leader {member.Loop.Status.Leader}"));
    }

    [Fact]
    public async Task A_disk_that_was_full_is_written_to_again_once_it_has_room()
    {
        MemoryFileLayer files = Founded();
        await using var member = new RunningMember(files);
        await member.DoAsync(Commands.Pool(subnet: "10.250.0.0/16"));
        files.CapacityBytes = files.UsedBytes;
        uint attachment = 0;
        ProposeException? refusal = null;
        while (refusal is null && attachment < 5000)
        {
            try
            {
                await member.DoAsync(Commands.Allocate(++attachment));
            }
            catch (ProposeException e)
            {
                refusal = e;
            }
        }

        Assert.Equal(ProposeFailure.Unavailable, Assert.IsType<ProposeException>(refusal).Failure);
        member.Time.Advance(TimeSpan.FromSeconds(2));
        Assert.Equal(ProposeFailure.Unavailable, (await Assert.ThrowsAsync<ProposeException>(() => member.DoAsync(Commands.Allocate(attachment)))).Failure);

        files.CapacityBytes = long.MaxValue;
        await Until.SeenAsync(TimeSpan.FromSeconds(20), "the log takes entries again", async () =>
        {
            member.Time.Advance(TimeSpan.FromMilliseconds(100));
            try
            {
                await member.DoAsync(Commands.Allocate(attachment));
                return null;
            }
            catch (ProposeException e)
            {
                return e.Message;
            }
        });
        Assert.Equal(ConsensusFault.None, member.Loop.Status.Fault);
    }

    [Fact]
    public async Task A_stopped_loop_refuses_at_once()
    {
        var member = new RunningMember(Founded());
        await member.DoAsync(Commands.Pool());
        await member.DisposeAsync();
        ProposeException failure = await Assert.ThrowsAsync<ProposeException>(() => member.DoAsync(Commands.Allocate(1)));
        Assert.Equal(ProposeFailure.Stopped, failure.Failure);
        Assert.False(member.Loop.TryReceive(new RaftMessage.HeartbeatReply { Group = new RaftGroup(Identity.ClusterId, Identity.Epoch), From = default, To = default, Term = 1 }));
    }

    [Fact]
    public async Task On_a_real_disk_the_first_request_after_opening_needs_no_election_time_out()
    {
        string directory = Directory.CreateTempSubdirectory("kcore-consensus-").FullName;
        try
        {
            var files = new PosixFileLayer(directory);
            RaftStore.Found(files, Identity, CommandCodec.Encode(new ReplicatedCommand.Found(Commands.Cluster, 1)));
            long start = TimeProvider.System.GetTimestamp();
            await using var member = new RunningMember(files, TimeProvider.System);
            await member.DoAsync(Commands.Pool(subnet: "10.250.0.0/16"));
            TimeSpan first = TimeProvider.System.GetElapsedTime(start);
            var each = new List<double>();
            for (uint i = 1; i <= 200; i++)
            {
                long before = TimeProvider.System.GetTimestamp();
                await member.DoAsync(Commands.Allocate(i));
                each.Add(TimeProvider.System.GetElapsedTime(before).TotalMicroseconds);
            }

            each.Sort();
            output.WriteLine($"first answer after {first.TotalMilliseconds:F1} ms; then median {each[100]:F0} µs, p99 {each[198]:F0} µs; last sync {member.Loop.Status.LastSync.TotalMicroseconds:F0} µs");

            // Ten ticks are the least an election would take.
            Assert.True(first < TimeSpan.FromSeconds(1), $"first answer after {first}");
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    private static MemoryFileLayer Founded()
    {
        var files = new MemoryFileLayer();
        RaftStore.Found(files, Identity, CommandCodec.Encode(new ReplicatedCommand.Found(Commands.Cluster, 1)), 64 * 1024);
        return files;
    }

    private sealed class RunningMember : IAsyncDisposable
    {
        private readonly CancellationTokenSource _stop = new();
        private readonly RaftStore _store;
        private readonly Task _running;

        public RunningMember(IFileLayer files, TimeProvider? time = null)
        {
            _store = RaftStore.Open(files, 64 * 1024);
            Loop = new ConsensusLoop<ReplicatedResult, ReplicatedChange>(
                _store,
                State,
                Observer,
                new NoTransport(),
                new ConsensusOptions { SnapshotEveryEntries = 10, EntriesKeptBehindSnapshot = 3 },
                time ?? Time,
                new Random(1),
                NullLogger.Instance);
            _running = Loop.RunAsync(_stop.Token);
        }

        public SteppedTime Time { get; } = new();

        public ReplicatedState State { get; } = new();

        public Recorder Observer { get; } = new();

        public ConsensusLoop<ReplicatedResult, ReplicatedChange> Loop { get; }

        public Task<ReplicatedResult> DoAsync(ReplicatedCommand command) => Loop.ProposeAsync(CommandCodec.Encode(command), default);

        public async ValueTask DisposeAsync()
        {
            await _stop.CancelAsync();
            await _running;
            _store.Dispose();
        }
    }

    private sealed class Answers : IProposalAnswers<ReplicatedResult>
    {
        private readonly List<(ulong Number, ReplicatedResult? Result, ProposeFailure? Failure)> _told = [];

        public ConcurrentQueue<(ulong Number, ReplicatedResult? Result, ProposeFailure? Failure)> Sent { get; } = [];

        public void Grant(ulong number, ReplicatedResult result) => _told.Add((number, result, null));

        public void Refuse(ulong number, ProposeException failure) => _told.Add((number, null, failure.Failure));

        public void Send()
        {
            _told.ForEach(Sent.Enqueue);
            _told.Clear();
        }
    }

    private sealed class Recorder : IConsensusObserver<ReplicatedResult, ReplicatedChange>
    {
        public List<(ulong Index, ImmutableArray<ReplicatedChange> Changes)> Heard { get; } = [];

        public int Restores { get; private set; }

        public void Opened(ulong index)
        {
        }

        public void Restored(ulong index, ImmutableArray<ReplicatedChange> all)
        {
            Restores++;
            Heard.Add((index, all));
        }

        public void Applied(ulong index, ReplicatedResult result, ImmutableArray<ReplicatedChange> changes) => Heard.Add((index, changes));

        public void StatusChanged(ConsensusStatus status)
        {
        }
    }
}

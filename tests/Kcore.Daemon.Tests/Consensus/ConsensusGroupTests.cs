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

/// <summary>Several whole members (loop, core, store, allocator) joined by a switchboard instead of sockets.</summary>
public sealed class ConsensusGroupTests(ITestOutputHelper output)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task A_founder_takes_two_learners_and_makes_them_voters_in_one_step()
    {
        await using var group = new Group();
        await group.ThreeVotersAsync();

        Assert.IsType<ReplicatedResult.Granted>(await group.DoAsync(Commands.Allocate(1)));
        await group.SeenAsync("all members hold the same state", () => group.Members.Select(m => Convert.ToHexString(m.State.TakeSnapshot())).Distinct().Count() == 1);
        Assert.All(group.Members, m => Assert.Equal(3, m.Loop.Status.Voters.Length));
    }

    [Fact]
    public async Task When_the_leader_dies_the_others_go_on_and_no_address_is_given_twice()
    {
        await using var group = new Group();
        await group.ThreeVotersAsync();
        var granted = new List<string>();
        for (uint i = 1; i <= 5; i++)
        {
            granted.Add(((ReplicatedResult.Granted)await group.DoAsync(Commands.Allocate(i))).Address.ToString());
        }

        await group.KillAsync(group.Leader);
        for (uint i = 1; i <= 8; i++)
        {
            string address = ((ReplicatedResult.Granted)await group.DoAsync(Commands.Allocate(i))).Address.ToString();
            Assert.Equal(i <= 5, granted.Contains(address));
            granted.Add(address);
        }

        Assert.Equal(8, granted.Distinct().Count());
    }

    [Fact]
    public async Task A_deposed_leader_answers_those_who_wait_instead_of_letting_time_run_out()
    {
        await using var group = new Group();
        await group.ThreeVotersAsync();
        Member old = group.Leader;
        group.Cut(old);
        Task<ReplicatedResult> asked = old.Loop.ProposeAsync(CommandCodec.Encode(Commands.Allocate(1)), default);
        await group.SeenAsync("the old leader gave up", () => old.Loop.Status.Role != RaftRole.Leader);
        ProposeException failure = await Assert.ThrowsAsync<ProposeException>(() => asked.WaitAsync(Patience));
        Assert.Equal(ProposeFailure.UnknownOutcome, failure.Failure);

        var before = (ReplicatedResult.Granted)await group.DoAsync(Commands.Allocate(1));
        group.Heal();
        Assert.Equal(before, await group.DoAsync(Commands.Allocate(1)));
    }

    [Fact]
    public async Task Handing_over_names_the_next_leader_and_loses_nothing()
    {
        await using var group = new Group();
        await group.ThreeVotersAsync();
        Member old = group.Leader;
        Task<MemberId> handing = old.Loop.HandOverAsync(MemberId.None, TimeSpan.FromSeconds(10), default);
        await group.SeenAsync("the seat was handed over", () => handing.IsCompleted);
        MemberId next = await handing;
        Assert.NotEqual(old.Id, next);
        await group.SeenAsync("it leads", () => group.Members.Single(m => m.Id == next).Loop.Status.Role == RaftRole.Leader);
        Assert.IsType<ReplicatedResult.Granted>(await group.DoAsync(Commands.Allocate(1)));
        ProposeException refused = await Assert.ThrowsAsync<ProposeException>(() => old.Loop.HandOverAsync(MemberId.None, TimeSpan.FromSeconds(1), default));
        Assert.Equal(ProposeFailure.NotLeader, refused.Failure);
    }

    [Fact]
    public async Task P13_a_leader_whose_disk_fails_leaves_the_seat_and_says_so()
    {
        await using var group = new Group();
        await group.ThreeVotersAsync();
        Member broken = group.Leader;
        broken.Files.FailSyncs = true;
        await Assert.ThrowsAsync<ProposeException>(() => broken.Loop.ProposeAsync(CommandCodec.Encode(Commands.Allocate(1)), default).WaitAsync(Patience));
        Assert.Equal(ConsensusFault.DiskFailed, broken.Loop.Status.Fault);
        Assert.NotNull(broken.Loop.Status.FaultText);
        await group.SeenAsync("another one leads", () => group.Members.Any(m => m != broken && m.Loop.Status.Role == RaftRole.Leader));
        Assert.IsType<ReplicatedResult.Granted>(await group.DoAsync(Commands.Allocate(2), except: broken));
    }

    [Fact]
    public async Task Without_a_majority_nothing_is_granted_and_with_it_everything_goes_on()
    {
        await using var group = new Group();
        await group.ThreeVotersAsync();
        Member[] others = [.. group.Members.Where(m => m != group.Leader)];
        Member leader = group.Leader;
        group.Cut(others[0]);
        group.Cut(others[1]);
        await group.SeenAsync("the leader steps down", () => leader.Loop.Status is { Role: not RaftRole.Leader, LeaderlessSince: not null });
        group.Heal();
        Assert.IsType<ReplicatedResult.Granted>(await group.DoAsync(Commands.Allocate(1)));
        await group.SeenAsync("everybody knows a leader again", () => group.Members.All(m => m.Loop.Status.LeaderlessSince is null));
    }

    [Fact]
    public async Task Parallel_requests_across_a_change_of_the_leader_end_with_different_addresses()
    {
        await using var group = new Group();
        await group.ThreeVotersAsync();
        Task<ReplicatedResult>[] asked = [.. Enumerable.Range(1, 60).Select(i => group.DoAsync(Commands.Allocate((uint)i)))];
        await Task.WhenAny(asked);
        Member old = group.Leader;
        await group.KillAsync(old);
        await group.SeenAsync("all are answered", () => asked.All(a => a.IsCompleted));
        string[] addresses = [.. (await Task.WhenAll(asked)).Select(r => ((ReplicatedResult.Granted)r).Address.ToString())];
        output.WriteLine($"{addresses.Length} answers, last {addresses.Max()}");
        Assert.Equal(60, addresses.Distinct().Count());
        await group.SeenAsync("somebody leads", () => group.Members.Any(m => m != old && m.Loop.Status.Role == RaftRole.Leader));
        Assert.Equal(60, group.Leader.State.EnumerateAll().OfType<ReplicatedChange.LeasePut>().Count());
    }

    private sealed class Group : IAsyncDisposable
    {
        private readonly SteppedTime _time = new();
        private readonly HashSet<Member> _cut = [];
        private readonly Lock _lock = new();
        private readonly Task _clock;
        private bool _isOver;

        public Group()
        {
            Members = [.. Enumerable.Range(1, 3).Select(i => new Member((uint)i, _time, Deliver))];
            _clock = RunClockAsync();
        }

        public ImmutableArray<Member> Members { get; }

        public Member Leader => Members.First(m => m.IsRunning && m.Loop.Status.Role == RaftRole.Leader);

        public async Task ThreeVotersAsync()
        {
            Member founder = Members[0];
            await SeenAsync("the founder leads", () => founder.Loop.Status.Role == RaftRole.Leader);
            await DoAsync(Commands.Pool());
            await ReachAsync(founder, Configuration.Of([founder.Id], learners: [Members[1].Id, Members[2].Id]));
            await SeenAsync("the learners hold the log", () => Members.All(m => m.Loop.Status.AppliedIndex >= founder.Loop.Status.CommitIndex));
            await ReachAsync(founder, Configuration.Of(Members.Select(m => m.Id)));
            await SeenAsync("all know the voters", () => Members.All(m => m.Loop.Status is { Voters.Length: 3, IsJoint: false }));
        }

        /// <summary>Asks as a client does: whoever leads, again and again until it is answered.</summary>
        public async Task<ReplicatedResult> DoAsync(ReplicatedCommand command, Member? except = null)
        {
            using var limit = new CancellationTokenSource(Patience);
            while (true)
            {
                Member? leader = Members.FirstOrDefault(m => m != except && m.IsRunning && m.Loop.Status.Role == RaftRole.Leader);
                try
                {
                    if (leader is not null)
                    {
                        return await leader.Loop.ProposeAsync(CommandCodec.Encode(command), limit.Token);
                    }
                }
                catch (ProposeException)
                {
                    // Another leader, or none yet.
                }

                await Task.Delay(5, limit.Token);
            }
        }

        public Task SeenAsync(string what, Func<bool> holds) => Until.SeenAsync(
            Patience,
            what,
            () => Task.FromResult(holds() ? null : string.Join("; ", Members.Select(m => $"{m.Loop.Status.Role} term {m.Loop.Status.Term} voters {m.Loop.Status.Voters.Length} applied {m.Loop.Status.AppliedIndex}"))));

        public void Cut(Member member)
        {
            lock (_lock)
            {
                _cut.Add(member);
            }
        }

        public void Heal()
        {
            lock (_lock)
            {
                _cut.Clear();
            }
        }

        public async Task KillAsync(Member member)
        {
            Cut(member);
            await member.DisposeAsync();
        }

        public async ValueTask DisposeAsync()
        {
            foreach (Member member in Members)
            {
                await member.DisposeAsync();
            }

            _isOver = true;
            await _clock;
        }

        private async Task ReachAsync(Member leader, Configuration target)
        {
            // The change before may stand in the log and not be committed yet.
            ProposeOutcome outcome = ProposeOutcome.ChangeUnderWay;
            using var limit = new CancellationTokenSource(Patience);
            while (outcome == ProposeOutcome.ChangeUnderWay)
            {
                outcome = await leader.Loop.ReconfigureAsync(target, limit.Token);
                await Task.Delay(5, limit.Token);
            }

            Assert.Equal(ProposeOutcome.Appended, outcome);
            await SeenAsync("the configuration is reached", () => leader.Loop.Status is { IsJoint: false } s && s.Voters.SequenceEqual(target.Voters) && s.Learners.SequenceEqual(target.Learners));
        }

        // One tick of the core each few real milliseconds: fast, and still slow enough for messages in between.
        private async Task RunClockAsync()
        {
            while (!_isOver)
            {
                _time.Advance(TimeSpan.FromMilliseconds(100));
                await Task.Delay(8);
            }
        }

        private void Deliver(Member from, RaftMessage message)
        {
            Member? to = Members.FirstOrDefault(m => m.Id == message.To);
            lock (_lock)
            {
                if (to is null || _cut.Contains(from) || _cut.Contains(to))
                {
                    return;
                }
            }

            // Through bytes, so that what cannot be encoded does not arrive either.
            Assert.True(RaftMessageCodec.TryDecode(RaftMessageCodec.Encode(message), out RaftMessage? copy));
            to.Loop.TryReceive(copy);
        }
    }

    private sealed class Member : IAsyncDisposable
    {
        private readonly CancellationTokenSource _stop = new();
        private readonly RaftStore _store;
        private readonly Task _running;

        public Member(uint number, TimeProvider time, Action<Member, RaftMessage> send)
        {
            var identity = new StoreIdentity(Commands.Id(number), Commands.Id(100 + number), Commands.Cluster, 1, "machine");
            if (number == 1)
            {
                RaftStore.Found(Files, identity, CommandCodec.Encode(new ReplicatedCommand.Found(Commands.Cluster, 1)), 64 * 1024);
            }
            else
            {
                RaftStore.Join(Files, identity, 64 * 1024);
            }

            _store = RaftStore.Open(Files, 64 * 1024);
            Loop = new ConsensusLoop<ReplicatedResult, ReplicatedChange>(
                _store, State, new Deaf(), new Wire(m => send(this, m)), new ConsensusOptions { SnapshotEveryEntries = 20, EntriesKeptBehindSnapshot = 5 }, time, new Random((int)number), NullLogger.Instance);
            _running = Loop.RunAsync(_stop.Token);
        }

        public MemberId Id => _store.Member;

        public MemoryFileLayer Files { get; } = new();

        public ReplicatedState State { get; } = new();

        public ConsensusLoop<ReplicatedResult, ReplicatedChange> Loop { get; }

        public bool IsRunning => !_running.IsCompleted && !_stop.IsCancellationRequested;

        public async ValueTask DisposeAsync()
        {
            await _stop.CancelAsync();
            await _running;
            _store.Dispose();
        }
    }

    private sealed class Wire(Action<RaftMessage> send) : IRaftTransport
    {
        public void Send(ImmutableArray<RaftMessage> messages)
        {
            foreach (RaftMessage message in messages)
            {
                send(message);
            }
        }
    }

    private sealed class Deaf : IConsensusObserver<ReplicatedResult, ReplicatedChange>
    {
        public void Opened(ulong index)
        {
        }

        public void Restored(ulong index, ImmutableArray<ReplicatedChange> all)
        {
        }

        public void Applied(ulong index, ReplicatedResult result, ImmutableArray<ReplicatedChange> changes)
        {
        }

        public void StatusChanged(ConsensusStatus status)
        {
        }
    }
}

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

namespace Kcore.Daemon.Tests.Consensus;

/// <summary>Three whole members (loop, core, store, allocator) joined by a switchboard instead of sockets.</summary>
internal sealed class ConsensusGroup : IAsyncDisposable
{
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly SteppedTime _time = new();
    private readonly HashSet<ConsensusMember> _cut = [];
    private readonly Lock _lock = new();
    private readonly Task _clock;
    private bool _isOver;

    /// <param name="newer">The numbers of the members, from 1, that are a version ahead of the others.</param>
    public ConsensusGroup(params int[] newer)
    {
        Members = [.. Enumerable.Range(1, 3).Select(i => new ConsensusMember((uint)i, _time, Deliver, newer.Contains(i)))];
        _clock = RunClockAsync();
    }

    public ImmutableArray<ConsensusMember> Members { get; }

    /// <summary>Every message of anybody, whether it arrived or not.</summary>
    public ConcurrentQueue<RaftMessage> Sent { get; } = [];

    public ConsensusMember Leader => Members.First(m => m.IsRunning && m.Loop.Status.Role == RaftRole.Leader);

    public async Task ThreeVotersAsync()
    {
        ConsensusMember founder = Members[0];
        await SeenAsync("the founder leads", () => founder.Loop.Status.Role == RaftRole.Leader);
        await DoAsync(Commands.Pool());
        await ReachAsync(founder, Configuration.Of([founder.Id], learners: [Members[1].Id, Members[2].Id]));
        await SeenAsync("the learners hold the log", () => Members.All(m => m.Loop.Status.AppliedIndex >= founder.Loop.Status.CommitIndex));
        await ReachAsync(founder, Configuration.Of(Members.Select(m => m.Id)));
        await SeenAsync("all know the voters", () => Members.All(m => m.Loop.Status is { Voters.Length: 3, IsJoint: false }));
    }

    /// <summary>Asks as a client does: whoever leads, again and again until it is answered.</summary>
    public async Task<ReplicatedResult> DoAsync(ReplicatedCommand command, ConsensusMember? except = null)
    {
        using var limit = new CancellationTokenSource(Patience);
        while (true)
        {
            ConsensusMember? leader = Members.FirstOrDefault(m => m != except && m.IsRunning && m.Loop.Status.Role == RaftRole.Leader);
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

    public void Cut(ConsensusMember member)
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

    public async Task KillAsync(ConsensusMember member)
    {
        Cut(member);
        await member.DisposeAsync();
    }

    public async ValueTask DisposeAsync()
    {
        foreach (ConsensusMember member in Members)
        {
            await member.DisposeAsync();
        }

        _isOver = true;
        await _clock;
    }

    private async Task ReachAsync(ConsensusMember leader, Configuration target)
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

    private void Deliver(ConsensusMember from, RaftMessage message)
    {
        Sent.Enqueue(message);
        ConsensusMember? to = Members.FirstOrDefault(m => m.Id == message.To);
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

/// <summary>One of them.</summary>
internal sealed class ConsensusMember : IAsyncDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly RaftStore _store;
    private readonly Task _running;

    public ConsensusMember(uint number, TimeProvider time, Action<ConsensusMember, RaftMessage> send, bool isNewer)
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
            _store, isNewer ? new NewerState(State) : State, new Deaf(), new Wire(m => send(this, m)), new ConsensusOptions { SnapshotEveryEntries = 20, EntriesKeptBehindSnapshot = 5 }, time, new Random((int)number), NullLogger.Instance);
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

file sealed class Wire(Action<RaftMessage> send) : IRaftTransport
{
    public void Send(ImmutableArray<RaftMessage> messages)
    {
        foreach (RaftMessage message in messages)
        {
            send(message);
        }
    }
}

internal sealed class Deaf : IConsensusObserver<ReplicatedResult, ReplicatedChange>
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

using Kcore.Daemon.Cluster.Consensus;
using Kcore.Daemon.Ipam;
using Kcore.Daemon.Tests.Ipam;
using Kcore.Raft;

namespace Kcore.Daemon.Tests.Consensus;

/// <summary>Reads that miss nothing, on whole members.</summary>
public sealed class ConsensusReadTests
{
    private static readonly CancellationToken Forever = CancellationToken.None;

    [Fact]
    public async Task P23_what_was_granted_a_moment_ago_is_seen_on_every_member()
    {
        await using var group = new ConsensusGroup();
        await group.ThreeVotersAsync();
        for (uint i = 1; i <= 20; i++)
        {
            Assert.IsType<ReplicatedResult.Granted>(await group.DoAsync(Commands.Allocate(i)));
            var attachment = new AttachmentId(Commands.Id(i));
            bool[] seen = await Task.WhenAll(group.Members.Select(m => m.Loop.ReadCommittedAsync(() => m.State.TryGetLease(attachment, out _), Forever)))
                .WaitAsync(ConsensusGroup.Patience);
            Assert.Equal([true, true, true], seen);
        }
    }

    [Fact]
    public async Task P23_a_leader_that_was_cut_off_confirms_nothing()
    {
        await using var group = new ConsensusGroup();
        await group.ThreeVotersAsync();
        ConsensusMember old = group.Leader;
        group.Cut(old);
        Task<ulong> asked = old.Loop.ReadCommittedAsync(() => old.State.AppliedIndex, Forever);
        Assert.Equal(RaftRole.Leader, old.Loop.Status.Role);
        await group.SeenAsync("it is answered", () => asked.IsCompleted);
        Assert.Equal(ProposeFailure.NotLeader, (await Assert.ThrowsAsync<ProposeException>(() => asked)).Failure);

        // Without a leader nobody is kept waiting either.
        Assert.Equal(ProposeFailure.Unavailable, (await Assert.ThrowsAsync<ProposeException>(() => old.Loop.ReadCommittedAsync(() => 0, Forever))).Failure);

        Assert.IsType<ReplicatedResult.Granted>(await group.DoAsync(Commands.Allocate(1), except: old));
        group.Heal();
        await group.SeenAsync("it knows the new leader", () => !old.Loop.Status.Leader.IsNone && old.Loop.Status.Role != RaftRole.Leader);
        Assert.True(await old.Loop.ReadCommittedAsync(() => old.State.TryGetLease(new AttachmentId(Commands.Id(1)), out _), Forever).WaitAsync(ConsensusGroup.Patience));
    }

    [Fact]
    public async Task All_who_ask_while_a_read_is_under_way_share_the_next_one()
    {
        await using var group = new ConsensusGroup();
        await group.ThreeVotersAsync();
        ConsensusMember follower = group.Members.First(m => m.Loop.Status.Role != RaftRole.Leader);
        group.Cut(follower);
        int Asked() => group.Sent.Count(m => m is RaftMessage.ReadRequest);
        Task<int> first = follower.Loop.ReadCommittedAsync(() => 0, Forever);
        await group.SeenAsync("the first is on its way", () => Asked() == 1 || first.IsCompleted);
        Task<int>[] others = [.. Enumerable.Range(1, 500).Select(i => follower.Loop.ReadCommittedAsync(() => i, Forever))];
        group.Heal();
        await group.SeenAsync("all are answered", () => first.IsCompleted && others.All(o => o.IsCompleted));

        // What was lost is refused, or that there was no leader; whoever is refused asks again.
        Assert.InRange(Asked(), 1, 3);
        Assert.All(others.Zip(Enumerable.Range(1, 500)), o => Assert.True(!o.First.IsCompletedSuccessfully || o.First.Result == o.Second));
        foreach (Task<int> refused in others.Append(first).Where(t => t.IsFaulted))
        {
            await Assert.ThrowsAsync<ProposeException>(() => refused);
        }
    }

    [Fact]
    public async Task Who_gives_up_leaves_nothing_behind()
    {
        await using var group = new ConsensusGroup();
        await group.ThreeVotersAsync();
        ConsensusMember leader = group.Leader;
        group.Cut(leader);
        bool wasRead = false;
        using var impatient = new CancellationTokenSource();
        Task<bool>[] asked = [.. Enumerable.Range(0, 5).Select(_ => leader.Loop.ReadCommittedAsync(() => wasRead = true, impatient.Token))];
        await impatient.CancelAsync();
        foreach (Task<bool> one in asked)
        {
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => one);
        }

        group.Heal();
        await group.SeenAsync("somebody leads", () => group.Members.Any(m => m.Loop.Status.Role == RaftRole.Leader));
        ConsensusMember next = group.Leader;
        Assert.Equal(7, await next.Loop.ReadCommittedAsync(() => 7, Forever).WaitAsync(ConsensusGroup.Patience));
        Assert.False(wasRead);
    }

    [Fact]
    public async Task The_fault_of_a_reader_is_told_to_the_reader_and_a_stopped_member_refuses()
    {
        await using var group = new ConsensusGroup();
        ConsensusMember founder = group.Members[0];
        await group.SeenAsync("it leads", () => founder.Loop.Status.Role == RaftRole.Leader);
        await Assert.ThrowsAsync<InvalidDataException>(() => founder.Loop.ReadCommittedAsync<int>(() => throw new InvalidDataException("mine"), Forever));
        Assert.Equal(1UL, await founder.Loop.ReadCommittedAsync(() => founder.State.AppliedIndex, Forever).WaitAsync(ConsensusGroup.Patience));
        await group.KillAsync(founder);
        Assert.Equal(ProposeFailure.Stopped, (await Assert.ThrowsAsync<ProposeException>(() => founder.Loop.ReadCommittedAsync(() => 0, Forever))).Failure);
    }
}

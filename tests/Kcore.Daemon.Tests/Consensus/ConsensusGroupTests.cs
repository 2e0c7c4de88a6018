using Kcore.Daemon.Cluster.Consensus;
using Kcore.Daemon.Ipam;
using Kcore.Daemon.Tests.Ipam;
using Kcore.Raft;
using Xunit.Abstractions;

namespace Kcore.Daemon.Tests.Consensus;

/// <summary>Several whole members (loop, core, store, allocator) joined by a switchboard instead of sockets.</summary>
public sealed class ConsensusGroupTests(ITestOutputHelper output)
{
    [Fact]
    public async Task A_founder_takes_two_learners_and_makes_them_voters_in_one_step()
    {
        await using var group = new ConsensusGroup();
        await group.ThreeVotersAsync();

        Assert.IsType<ReplicatedResult.Granted>(await group.DoAsync(Commands.Allocate(1)));
        await group.SeenAsync("all members hold the same state", () => group.Members.Select(m => Convert.ToHexString(m.State.TakeSnapshot())).Distinct().Count() == 1);
        Assert.All(group.Members, m => Assert.Equal(3, m.Loop.Status.Voters.Length));
    }

    [Fact]
    public async Task When_the_leader_dies_the_others_go_on_and_no_address_is_given_twice()
    {
        await using var group = new ConsensusGroup();
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
        await using var group = new ConsensusGroup();
        await group.ThreeVotersAsync();
        ConsensusMember old = group.Leader;
        group.Cut(old);
        Task<ReplicatedResult> asked = old.Loop.ProposeAsync(CommandCodec.Encode(Commands.Allocate(1)), default);
        await group.SeenAsync("the old leader gave up", () => old.Loop.Status.Role != RaftRole.Leader);
        ProposeException failure = await Assert.ThrowsAsync<ProposeException>(() => asked.WaitAsync(ConsensusGroup.Patience));
        Assert.Equal(ProposeFailure.UnknownOutcome, failure.Failure);

        var before = (ReplicatedResult.Granted)await group.DoAsync(Commands.Allocate(1));
        group.Heal();
        Assert.Equal(before, await group.DoAsync(Commands.Allocate(1)));
    }

    [Fact]
    public async Task Handing_over_names_the_next_leader_and_loses_nothing()
    {
        await using var group = new ConsensusGroup();
        await group.ThreeVotersAsync();
        ConsensusMember old = group.Leader;
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
        await using var group = new ConsensusGroup();
        await group.ThreeVotersAsync();
        ConsensusMember broken = group.Leader;
        broken.Files.FailSyncs = true;
        await Assert.ThrowsAsync<ProposeException>(() => broken.Loop.ProposeAsync(CommandCodec.Encode(Commands.Allocate(1)), default).WaitAsync(ConsensusGroup.Patience));
        Assert.Equal(ConsensusFault.DiskFailed, broken.Loop.Status.Fault);
        Assert.NotNull(broken.Loop.Status.FaultText);
        await group.SeenAsync("another one leads", () => group.Members.Any(m => m != broken && m.Loop.Status.Role == RaftRole.Leader));
        Assert.IsType<ReplicatedResult.Granted>(await group.DoAsync(Commands.Allocate(2), except: broken));
    }

    [Fact]
    public async Task Without_a_majority_nothing_is_granted_and_with_it_everything_goes_on()
    {
        await using var group = new ConsensusGroup();
        await group.ThreeVotersAsync();
        ConsensusMember[] others = [.. group.Members.Where(m => m != group.Leader)];
        ConsensusMember leader = group.Leader;
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
        await using var group = new ConsensusGroup();
        await group.ThreeVotersAsync();
        Task<ReplicatedResult>[] asked = [.. Enumerable.Range(1, 60).Select(i => group.DoAsync(Commands.Allocate((uint)i)))];
        await Task.WhenAny(asked);
        ConsensusMember old = group.Leader;
        await group.KillAsync(old);
        await group.SeenAsync("all are answered", () => asked.All(a => a.IsCompleted));
        string[] addresses = [.. (await Task.WhenAll(asked)).Select(r => ((ReplicatedResult.Granted)r).Address.ToString())];
        output.WriteLine($"{addresses.Length} answers, last {addresses.Max()}");
        Assert.Equal(60, addresses.Distinct().Count());
        await group.SeenAsync("somebody leads", () => group.Members.Any(m => m != old && m.Loop.Status.Role == RaftRole.Leader));
        Assert.Equal(60, group.Leader.State.EnumerateAll().OfType<ReplicatedChange.LeasePut>().Count());
    }
}

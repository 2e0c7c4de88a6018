using Kcore.Gossip.Wire;
using static Kcore.Gossip.Tests.LoneCore;

namespace Kcore.Gossip.Tests.Membership;

/// <summary>What a node must not believe of members, nor say of them.</summary>
public sealed class MemberDisbeliefTests
{
    private readonly LoneCore _node = new();

    private Member? Find(int n) => _node.Core.Members.Find(Id(n));

    private void Know(params int[] peers)
    {
        foreach (int peer in peers)
        {
            _node.Receive(peer, Frames.Member(Peer(peer), null));
        }
    }

    [Fact]
    public void N1_of_two_statements_with_equal_numbers_the_first_stays()
    {
        Know(2, 3);
        _node.Receive(3, Frames.Member(Peer(2) with { Name = "another" }, null));
        Assert.Equal("node-2", Find(2)!.Name);
        Assert.DoesNotContain(_node.Effects, effect => effect is GossipEffect.MemberChanged);
    }

    [Fact]
    public void R7_the_digest_of_the_members_tells_their_status()
    {
        Know(2);
        HashSet<ulong> digests = [_node.Core.MembershipDigest];
        foreach (MemberStatus status in new[] { MemberStatus.Suspect, MemberStatus.Dead, MemberStatus.Left })
        {
            _node.Receive(2, Frames.Member(Peer(2) with { Status = status }, null));
            Assert.True(digests.Add(_node.Core.MembershipDigest));
        }
    }

    [Fact]
    public void S10_a_ping_for_another_is_not_acknowledged()
    {
        Know(2);
        _node.Receive(2, Frames.Ping(5, Id(9), default));
        Assert.Equal([FrameType.Member], _node.Kinds());
        _node.Receive(2, Frames.Ping(6, Id(1), default));
        Assert.Contains(FrameType.Ack, _node.Kinds());
    }

    [Fact]
    public void M1_the_dead_are_greeted_for_ever_and_stay_known()
    {
        Know(2, 3);
        _node.Receive(3, Frames.Member(Peer(2) with { Status = MemberStatus.Dead }, Accusation.By(Id(3))));
        _node.Run(TimeSpan.FromHours(1), id => id == Id(3));
        Assert.Equal(MemberStatus.Dead, Find(2)!.Status);
        Assert.Contains(
            _node.Run(TimeSpan.FromMinutes(3), id => id == Id(3)),
            done => done.Effect is GossipEffect.Send { To: null } send && send.Endpoint.Equals(At(2)));
    }

    [Fact]
    public void A_suspect_is_called_three_times_before_the_verdict_and_its_incarnation_is_its_own()
    {
        Know(2, 3);
        _node.Run(TimeSpan.FromSeconds(5), _ => true);
        List<(TimeSpan At, GossipEffect Effect)> done = _node.Run(TimeSpan.FromSeconds(20), id => id == Id(3));
        (TimeSpan suspected, _) = Assert.Single(done, d => d.Effect is GossipEffect.MemberChanged { After.Status: MemberStatus.Suspect });
        (TimeSpan buried, GossipEffect verdict) = Assert.Single(done, d => d.Effect is GossipEffect.MemberChanged { After.Status: MemberStatus.Dead });
        Assert.Equal(0U, Assert.IsType<GossipEffect.MemberChanged>(verdict).After.Incarnation);
        Assert.InRange((buried - suspected).TotalSeconds, 2.5, 3.5);
        Assert.True(done.Count(d => IsPing(d, buried - TimeSpan.FromMilliseconds(350), buried)) >= 3, "too few last pings");

        static bool IsPing((TimeSpan At, GossipEffect Effect) done, TimeSpan from, TimeSpan to) =>
            done.At >= from && done.At <= to && done.Effect is GossipEffect.Send send && send.To == Id(2)
            && Unpack(send).Exists(frame => frame.Type == FrameType.Ping);
    }

    [Fact]
    public void A_suspect_that_answers_the_last_pings_is_not_buried()
    {
        Know(2, 3);
        _node.Run(TimeSpan.FromSeconds(5), _ => true);
        _node.Receive(3, Frames.Member(Peer(2) with { Status = MemberStatus.Suspect }, new Accusation(Id(3), [Id(4), Id(5)])));
        Assert.DoesNotContain(_node.Run(TimeSpan.FromSeconds(30), _ => true), done => done.Effect is GossipEffect.MemberChanged { After.Status: MemberStatus.Dead });
    }

    [Fact]
    public void A_silence_that_was_slept_through_accuses_nobody()
    {
        Know(2, 3);
        _node.Run(TimeSpan.FromSeconds(5), _ => true);
        while (!_node.Sent.Any(send => Unpack(send).Exists(frame => frame.Type == FrameType.Ping)))
        {
            _node.Run(TimeSpan.FromMilliseconds(10), _ => false);
        }

        _node.Sleep(TimeSpan.FromSeconds(10));
        _node.Handle(new GossipInput.Tick());
        Assert.DoesNotContain(_node.Effects, effect => effect is GossipEffect.MemberChanged);
    }

    [Fact]
    public void A_removal_hides_what_others_still_say()
    {
        Know(2, 3);
        _node.Handle(new GossipInput.Forget(Id(2), 1));
        _node.Receive(3, Frames.Member(Peer(2) with { Incarnation = 7 }, null));
        Assert.Null(Find(2));
    }

    [Fact]
    public void Helpers_are_asked_for_who_does_not_answer()
    {
        Know(2, 3);
        _node.Run(TimeSpan.FromSeconds(5), _ => true);
        Assert.Contains(
            _node.Run(TimeSpan.FromSeconds(3), id => id == Id(3)),
            done => done.Effect is GossipEffect.Send send && send.To == Id(3) && Unpack(send).Exists(frame => frame.Type == FrameType.PingRequest));
    }
}

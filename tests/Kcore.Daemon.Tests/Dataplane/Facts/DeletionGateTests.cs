using Kcore.Daemon.Cluster.Members;
using Kcore.Daemon.Dataplane.Facts;
using Kcore.Daemon.Storage.Events;
using Kcore.Daemon.Tests.Storage;
using Kcore.Gossip;
using Kcore.TestKit;
using Microsoft.Extensions.Logging.Abstractions;
using static Kcore.Daemon.Tests.Catalog.Said;

namespace Kcore.Daemon.Tests.Dataplane.Facts;

public sealed class DeletionGateTests : IDisposable
{
    private readonly TestDatabase _test = new();
    private readonly SteppedTime _time = new();
    private readonly GossipReports _gossip;
    private readonly DeletionGate _gate;

    public DeletionGateTests()
    {
        _gossip = new GossipReports(new EventLog(_test.Database, _time, "node-a", NullLogger.Instance), (_, _) => { }, () => { }, _time, NullLogger.Instance);
        _gate = new DeletionGate(_gossip, _time);
    }

    [Fact]
    public void A_node_that_knows_of_nobody_else_obeys_at_once() => Assert.Null(HeldBack());

    [Fact]
    public void A_node_whose_others_have_all_left_is_alone() => Assert.Null(HeldBack(Member(B, MemberStatus.Left)));

    [Fact]
    public void A_peer_that_agrees_for_a_while_opens_the_gate()
    {
        Assert.NotNull(HeldBack(Member(B)));
        _time.Advance(TimeSpan.FromSeconds(1.4));
        Assert.NotNull(HeldBack(Member(B)));
        _time.Advance(TimeSpan.FromSeconds(0.1));
        Assert.Null(HeldBack(Member(B)));
    }

    [Fact]
    public void A_peer_that_differs_keeps_it_shut_and_agreement_counts_from_anew()
    {
        HeldBack(Member(B));
        _time.Advance(TimeSpan.FromSeconds(1));
        _gossip.Observe(new GossipEffect.DigestDiverged(B));
        Assert.NotNull(HeldBack(Member(B)));
        _time.Advance(TimeSpan.FromSeconds(30));
        Assert.NotNull(HeldBack(Member(B)));

        _gossip.Observe(new GossipEffect.DigestAgreed(B));
        Assert.NotNull(HeldBack(Member(B)));
        _time.Advance(TimeSpan.FromSeconds(1.5));
        Assert.Null(HeldBack(Member(B)));
    }

    [Theory]
    [InlineData(MemberStatus.Suspect)]
    [InlineData(MemberStatus.Dead)]
    public void Peers_that_do_not_answer_are_waited_for_a_minute_and_no_longer(MemberStatus status)
    {
        Assert.NotNull(HeldBack(Member(B, status)));
        _time.Advance(TimeSpan.FromSeconds(59.9));
        Assert.NotNull(HeldBack(Member(B, status)));
        _time.Advance(TimeSpan.FromSeconds(0.1));
        Assert.Null(HeldBack(Member(B, status)));
    }

    [Fact]
    public void Once_open_it_stays_open()
    {
        Assert.Null(HeldBack());
        _gossip.Observe(new GossipEffect.DigestDiverged(B));

        Assert.Null(HeldBack(Member(B, MemberStatus.Dead)));
    }

    public void Dispose() => _test.Dispose();

    private string? HeldBack(params Member[] others) =>
        _gate.HeldBack(new MembershipView(1, A, [Member(A), .. others]));
}

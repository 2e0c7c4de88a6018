using System.Net;
using Kcore.Daemon.Dataplane.Paths;
using Kcore.Gossip;
using static Kcore.Daemon.Tests.Catalog.Said;

namespace Kcore.Daemon.Tests.Dataplane.Paths;

/// <summary>Behaviours 16 and 119: what a pair of nodes can carry is found out, and never guessed from a silence of our own.</summary>
public sealed class PathWatchTests
{
    private const int Small = 122;
    private const int Full = 1500;
    private static readonly IPAddress AddressB = IPAddress.Parse("192.0.2.11");
    private static readonly IPAddress AddressC = IPAddress.Parse("192.0.2.12");

    private readonly PathWatch _watch = new(new PathRules(), Small, new Random(7));
    private readonly Dictionary<NodeId, int> _carries = new() { [B] = 9000, [C] = 9000 };
    private readonly HashSet<NodeId> _dead = [];
    private readonly List<PathQuestion> _asked = [];
    private readonly HashSet<NodeId> _unsendable = [];
    private readonly HashSet<NodeId> _asking = [];
    private TimeSpan _now = TimeSpan.FromHours(1);
    private ulong _nonce;

    [Fact]
    public void B119_A_path_that_carries_the_full_size_works_within_seconds()
    {
        Run(3);

        Assert.Equal([PathState.Works, PathState.Works], [Of(B).State, Of(C).State]);
        Assert.Contains(_asked, q => q.Bytes == Full);
    }

    [Fact]
    public void B119_A_path_that_carries_nothing_from_the_start_is_broken_and_the_others_are_not()
    {
        _carries[B] = 0;
        Run(10);

        Assert.Equal([PathState.Broken, PathState.Works], [Of(B).State, Of(C).State]);
    }

    [Fact]
    public void B119_A_path_that_is_cut_later_is_broken_within_a_routine_and_works_again_soon_after_it_is_mended()
    {
        Run(10);
        _carries[B] = 0;
        Run(40);
        Assert.Equal(PathState.Broken, Of(B).State);

        _carries[B] = 9000;
        Run(7);
        Assert.Equal(PathState.Works, Of(B).State);
    }

    [Fact]
    public void B119_A_few_lost_questions_in_a_row_break_nothing()
    {
        Run(10);
        for (int i = 0; i < 20; i++)
        {
            int before = _asked.Count;
            _carries[B] = 0;
            RunUntil(() => _asked.Skip(before).Count(q => q.Node == B && q.Bytes == Small) == new PathRules().BrokenCount - 1, 120);
            RunFor(TimeSpan.FromMilliseconds(400));
            _carries[B] = 9000;
            RunFor(TimeSpan.FromMilliseconds(2500));
            Assert.Equal(PathState.Works, Of(B).State);
        }
    }

    [Theory]
    [InlineData(1499)]
    [InlineData(1442)]
    [InlineData(1400)]
    [InlineData(576)]
    [InlineData(123)]
    [InlineData(122)]
    public void B016_The_largest_packet_that_passes_is_found_to_the_byte(int carries)
    {
        _carries[B] = carries;
        Run(60);

        Assert.Equal((PathState.TooSmall, carries, Full), (Of(B).State, Of(B).Passes!.Value, Of(B).Full));
        Assert.Equal(PathState.Works, Of(C).State);
    }

    [Fact]
    public void B016_A_path_that_shrinks_later_is_found_out_and_one_that_grows_back_is_believed()
    {
        Run(10);
        _carries[B] = 1400;
        Run(150);
        Assert.Equal((PathState.TooSmall, 1400), (Of(B).State, Of(B).Passes!.Value));

        _carries[B] = 1500;
        Run(100);
        Assert.Equal(PathState.Works, Of(B).State);
        Assert.Null(Of(B).Passes);
    }

    [Fact]
    public void B016_A_small_path_is_searched_again_only_every_ten_minutes()
    {
        _carries[B] = 1400;
        Run(60);
        _asked.Clear();
        Run(300);
        Assert.DoesNotContain(_asked, q => q.Node == B && q.Bytes is not (Small or Full));

        _carries[B] = 1300;
        Run(700);
        Assert.Equal((PathState.TooSmall, 1300), (Of(B).State, Of(B).Passes!.Value));
    }

    [Fact]
    public void B016_A_path_that_is_cut_during_the_search_is_broken_and_not_tiny()
    {
        _carries[B] = 1400;
        RunUntil(() => _asked.Any(q => q.Node == B && q.Bytes is not (Small or Full)), 60);
        _carries[B] = 0;
        Run(60);

        Assert.Equal(PathState.Broken, Of(B).State);
    }

    [Fact]
    public void B016_Another_mtu_of_this_node_is_measured_anew()
    {
        _carries[B] = 1500;
        Run(10);
        Run(60, fullBytes: 9000);

        Assert.Equal((PathState.TooSmall, 1500, 9000), (Of(B).State, Of(B).Passes!.Value, Of(B).Full));
        Assert.Equal(PathState.Works, Of(C).State);
    }

    [Fact]
    public void What_the_device_here_does_not_take_does_not_pass()
    {
        Run(3);
        Observe(1500);
        for (int i = 0; i < 6000; i++)
        {
            _now += TimeSpan.FromMilliseconds(20);
            foreach (PathQuestion question in _watch.Ask(_now, () => ++_nonce))
            {
                if (question.Bytes > 1450)
                {
                    _watch.NotSent(question, tooLong: true);
                }
                else
                {
                    _watch.Answered(question.Node, question.Nonce, _now);
                }
            }
        }

        Assert.Equal((PathState.TooSmall, 1450), (Of(B).State, Of(B).Passes!.Value));
    }

    [Fact]
    public void What_this_node_could_not_send_proves_nothing()
    {
        Run(10);
        _unsendable.Add(B);
        Run(600);

        Assert.Equal(PathState.Works, Of(B).State);
    }

    [Fact]
    public void What_was_not_answered_while_this_node_stood_still_proves_nothing()
    {
        Run(10);
        for (int i = 0; i < 20; i++)
        {
            _carries[B] = 0;
            int before = _asked.Count;
            RunUntil(() => _asked.Skip(before).Any(q => q.Node == B), 120);
            _now += TimeSpan.FromMinutes(5);
            RunFor(TimeSpan.FromMilliseconds(20));
            _carries[B] = 9000;
            RunFor(TimeSpan.FromSeconds(3));
            Assert.Equal(PathState.Works, Of(B).State);
        }
    }

    [Fact]
    public void A_daemon_that_does_not_live_is_not_asked_and_nothing_is_said_of_its_path()
    {
        Run(10);
        _dead.Add(B);
        Run(1);
        _asked.Clear();
        Run(120);
        Assert.DoesNotContain(_asked, q => q.Node == B);
        Assert.Equal(PathState.Unknown, Of(B).State);

        _dead.Clear();
        Run(3);
        Assert.Equal(PathState.Works, Of(B).State);
    }

    [Fact]
    public void A_broken_path_says_whether_the_peer_is_heard_and_forgets_what_it_heard_before()
    {
        _watch.Heard(B);
        _carries[B] = 0;
        Run(10);
        Assert.Equal((PathState.Broken, false), (Of(B).State, Of(B).Hears));

        _asking.Add(B);
        Run(2);
        Assert.Equal((PathState.Broken, true), (Of(B).State, Of(B).Hears));
    }

    [Fact]
    public void A_recorded_or_made_up_answer_changes_nothing()
    {
        _carries[B] = 0;
        Run(10);
        foreach (PathQuestion old in _asked.Where(q => q.Node == B).SkipLast(1).ToArray())
        {
            _watch.Answered(B, old.Nonce, _now);
        }

        PathQuestion open = _asked.Last(q => q.Node == B);
        _watch.Answered(C, open.Nonce, _now);
        _watch.Answered(new NodeId(99), open.Nonce, _now);

        Assert.Equal(PathState.Broken, Of(B).State);
    }

    [Fact]
    public void Another_address_is_another_path_and_who_shares_nothing_any_more_is_forgotten()
    {
        _carries[B] = 0;
        Run(10);
        _watch.Observe([new PathPeer(B, IPAddress.Parse("192.0.2.77"), true)], Full, _now);

        Assert.Equal(PathState.Unknown, Of(B).State);
        Assert.DoesNotContain(C, _watch.Sights.Keys);
    }

    [Fact]
    public void Nothing_new_is_not_published_anew()
    {
        Run(10);
        var before = _watch.Sights;
        Run(100);

        Assert.Same(before, _watch.Sights);
    }

    [Fact]
    public void Five_hundred_peers_are_asked_some_25_times_a_second_and_never_many_at_once()
    {
        PathPeer[] peers = [.. Enumerable.Range(1, 500).Select(i => new PathPeer(new NodeId((ulong)i), new IPAddress([10, 0, (byte)(i >> 8), (byte)i]), true))];
        _watch.Observe(peers, Full, _now);
        int asked = 0, most = 0;
        for (int i = 0; i < 600 * 50; i++)
        {
            _now += TimeSpan.FromMilliseconds(20);
            List<PathQuestion> turn = _watch.Ask(_now, () => ++_nonce);
            asked += turn.Count;
            most = Math.Max(most, turn.Count);
            foreach (PathQuestion question in turn)
            {
                _watch.Answered(question.Node, question.Nonce, _now);
            }
        }

        Assert.InRange(asked / 600.0, 15, 30);
        Assert.True(most <= new PathRules().AtOnce, $"{most} questions in one turn");
        Assert.All(_watch.Sights.Values, s => Assert.Equal(PathState.Works, s.State));
    }

    [Fact]
    public void Five_hundred_peers_that_do_not_answer_are_asked_some_100_times_a_second_and_all_are_found_out()
    {
        PathPeer[] peers = [.. Enumerable.Range(1, 500).Select(i => new PathPeer(new NodeId((ulong)i), new IPAddress([10, 0, (byte)(i >> 8), (byte)i]), true))];
        _watch.Observe(peers, Full, _now);
        int asked = 0;
        for (int i = 0; i < 120 * 50; i++)
        {
            _now += TimeSpan.FromMilliseconds(20);
            int turn = _watch.Ask(_now, () => ++_nonce).Count;
            asked += i < 10 * 50 ? 0 : turn;
        }

        Assert.InRange(asked / 110.0, 80, 110);
        Assert.All(_watch.Sights.Values, s => Assert.Equal(PathState.Broken, s.State));
    }

    private PathSight Of(NodeId node) => _watch.Sights[node];

    private void Observe(int fullBytes) => _watch.Observe(
        [new PathPeer(B, AddressB, !_dead.Contains(B)), new PathPeer(C, AddressC, !_dead.Contains(C))], fullBytes, _now);

    private void Run(double seconds, int fullBytes = Full) => RunFor(TimeSpan.FromSeconds(seconds), fullBytes);

    private void RunUntil(Func<bool> reached, int secondsMax)
    {
        for (int i = 0; i < secondsMax * 50; i++)
        {
            if (reached())
            {
                return;
            }

            RunFor(TimeSpan.FromMilliseconds(20));
        }

        Assert.Fail($"not reached in {secondsMax} s");
    }

    private void RunFor(TimeSpan time, int fullBytes = Full)
    {
        for (TimeSpan end = _now + time; _now < end; _now += TimeSpan.FromMilliseconds(20))
        {
            Observe(fullBytes);
            foreach (NodeId peer in _asking)
            {
                _watch.Heard(peer);
            }

            foreach (PathQuestion question in _watch.Ask(_now, () => ++_nonce))
            {
                _asked.Add(question);
                if (_unsendable.Contains(question.Node))
                {
                    _watch.NotSent(question, tooLong: false);
                }
                else if (question.Bytes <= _carries[question.Node])
                {
                    _watch.Answered(question.Node, question.Nonce, _now + TimeSpan.FromMilliseconds(1));
                }
            }
        }
    }
}

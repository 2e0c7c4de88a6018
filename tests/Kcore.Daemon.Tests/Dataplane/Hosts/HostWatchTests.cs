using System.Net;
using Kcore.Daemon.Dataplane.Hosts;
using Kcore.Gossip;
using static Kcore.Daemon.Tests.Catalog.Said;

namespace Kcore.Daemon.Tests.Dataplane.Hosts;

/// <summary>Behaviours 15 and 109: a dead daemon is not a dead host.</summary>
public sealed class HostWatchTests
{
    private static readonly IPAddress AddressB = IPAddress.Parse("192.0.2.11");
    private static readonly IPAddress AddressC = IPAddress.Parse("192.0.2.12");
    private readonly HostWatch _watch = new(new HostWatchRules());
    private readonly HashSet<IPAddress> _answering = [AddressB, AddressC];
    private readonly HashSet<IPAddress> _unsendable = [];
    private MemberStatus _b;
    private TimeSpan _now;
    private int _asked;

    [Fact]
    public void B109_A_dead_daemon_whose_host_answers_keeps_its_entries_for_ever()
    {
        Run(5);
        _b = MemberStatus.Dead;
        Run(3600);

        Assert.Equal(HostState.Answers, _watch.States[B]);
    }

    [Fact]
    public void B109_A_host_that_is_cut_off_is_silent_by_the_time_its_daemon_is_buried_or_soon_after()
    {
        Run(5);
        _answering.Remove(AddressB);
        Run(1);
        _b = MemberStatus.Suspect;
        Run(3.5);
        Assert.NotEqual(HostState.Silent, _watch.States[B]);
        _b = MemberStatus.Dead;
        Run(1);

        Assert.Equal(HostState.Silent, _watch.States[B]);
        Assert.Equal(HostState.Answers, _watch.States[C]);
    }

    [Fact]
    public void B109_One_answer_brings_a_silent_host_back_within_a_second()
    {
        Silence();
        _answering.Add(AddressB);
        Run(1);

        Assert.Equal(HostState.Answers, _watch.States[B]);
    }

    [Fact]
    public void B109_A_daemon_that_speaks_again_brings_its_host_back_at_once()
    {
        Silence();
        _b = MemberStatus.Alive;
        Observe();

        Assert.Equal(HostState.Unknown, _watch.States[B]);
    }

    [Fact]
    public void A_suspicion_alone_never_makes_a_host_silent()
    {
        Run(5);
        _answering.Remove(AddressB);
        _b = MemberStatus.Suspect;
        Run(600);

        Assert.NotEqual(HostState.Silent, _watch.States[B]);
    }

    [Fact]
    public void A_host_that_never_answered_while_its_daemon_lived_is_not_judged_by_its_silence()
    {
        _answering.Remove(AddressB);
        Run(30);
        Assert.Equal(HostState.Mute, _watch.States[B]);
        _b = MemberStatus.Dead;
        Run(600);

        Assert.Equal(HostState.Mute, _watch.States[B]);
    }

    [Fact]
    public void A_host_that_has_not_answered_since_this_node_started_proves_nothing_by_its_silence()
    {
        _answering.Remove(AddressB);
        _b = MemberStatus.Dead;
        Run(600);
        Assert.Equal(HostState.Unknown, _watch.States[B]);

        // One answer, and from then on its silence is news.
        _answering.Add(AddressB);
        Run(1);
        _answering.Remove(AddressB);
        Run(5);
        Assert.Equal(HostState.Silent, _watch.States[B]);
    }

    [Fact]
    public void A_question_this_node_could_not_send_proves_nothing()
    {
        Run(5);
        _answering.Remove(AddressB);
        _unsendable.Add(AddressB);
        _b = MemberStatus.Dead;
        Run(600);

        Assert.NotEqual(HostState.Silent, _watch.States[B]);
    }

    [Fact]
    public void What_was_not_answered_while_this_node_stood_still_proves_nothing()
    {
        Run(5);
        _b = MemberStatus.Dead;
        _answering.Remove(AddressB);
        for (int i = 0; i < 20; i++)
        {
            Run(1.5);
            Assert.NotEqual(HostState.Silent, _watch.States[B]);

            // Five minutes of SIGSTOP, from the inside.
            _now += TimeSpan.FromMinutes(5);
        }
    }

    [Fact]
    public void Another_address_is_another_host()
    {
        Silence();
        _watch.Observe([(B, IPAddress.Parse("192.0.2.77"), MemberStatus.Dead)], _now);

        Assert.Equal(HostState.Unknown, _watch.States[B]);
        Assert.DoesNotContain(C, _watch.States.Keys);
    }

    [Fact]
    public void A_quiet_cluster_is_asked_seldom()
    {
        Run(60);
        _asked = 0;
        Run(600);

        Assert.InRange(_asked, 18, 24);
    }

    [Fact]
    public void A_thousand_dead_hosts_are_asked_a_bounded_number_at_a_time()
    {
        _watch.Observe(Enumerable.Range(1, 1000).Select(i => (new NodeId((UInt128)i), new IPAddress([10, 0, (byte)(i / 250), (byte)(i % 250)]), MemberStatus.Dead)), _now);

        Assert.Equal(64, _watch.Ask(_now).Count);
        Assert.Equal(64, _watch.Ask(_now).Count);
        Assert.True(_watch.NextDeadline <= _now);
    }

    private void Silence()
    {
        Run(5);
        _b = MemberStatus.Dead;
        _answering.Remove(AddressB);
        Run(5);
        Assert.Equal(HostState.Silent, _watch.States[B]);
    }

    private void Observe() => _watch.Observe([(B, AddressB, _b), (C, AddressC, MemberStatus.Alive)], _now);

    /// <summary>Turns every tenth of a second, with answers a millisecond after the question.</summary>
    private void Run(double seconds)
    {
        for (TimeSpan end = _now + TimeSpan.FromSeconds(seconds); _now < end; _now += TimeSpan.FromMilliseconds(100))
        {
            Observe();
            if (!(_watch.NextDeadline <= _now))
            {
                continue;
            }

            foreach (IPAddress address in _watch.Ask(_now))
            {
                _asked++;
                if (_unsendable.Contains(address))
                {
                    _watch.NotSent(address);
                }
                else if (_answering.Contains(address))
                {
                    _watch.Answered(address);
                }
            }
        }
    }
}

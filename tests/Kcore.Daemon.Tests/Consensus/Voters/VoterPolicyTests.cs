using System.Collections.Immutable;
using Kcore.Daemon.Cluster.Consensus.Voters;
using Kcore.Raft;

namespace Kcore.Daemon.Tests.Consensus.Voters;

public sealed class VoterPolicyTests
{
    private static readonly VoterRules Rules = new();
    private static readonly TimeSpan Long = TimeSpan.FromHours(1);
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);

    [Theory]
    [InlineData(1, 1)]
    [InlineData(2, 1)]
    [InlineData(3, 3)]
    [InlineData(4, 3)]
    [InlineData(6, 3)]
    [InlineData(7, 5)]
    [InlineData(40, 5)]
    public void The_number_of_voters_follows_the_number_of_nodes(int nodes, int voters) => Assert.Equal(voters, VoterRules.VotersFor(nodes));

    [Fact]
    public void A_node_that_joins_receives_the_log_before_it_may_vote() =>
        Assert.Equal("1 +2", Decide("1", Node(1), Node(2)));

    [Fact]
    public void Two_nodes_keep_one_voter_for_two_would_stop_with_either() =>
        Assert.Null(Decide("1 +2", Node(1), Node(2)));

    [Fact]
    public void Three_nodes_go_from_one_voter_to_three_in_one_step() =>
        Assert.Equal("123", Decide("1 +23", Node(1), Node(2), Node(3)));

    [Fact]
    public void One_caught_up_spare_is_not_enough_to_leave_the_single_voter() =>
        Assert.Null(Decide("1 +23", Node(1), Node(2), Node(3) with { CaughtUpFor = Second }));

    [Theory]
    [InlineData(4, false)]
    [InlineData(5, true)]
    public void The_first_promotion_comes_after_five_steady_seconds(int seconds, bool comes) => Assert.Equal(
        comes, Decide("1 +23", Node(1), Node(2), Node(3) with { CaughtUpFor = TimeSpan.FromSeconds(seconds) }) is not null);

    [Theory]
    [InlineData(29, false)]
    [InlineData(30, true)]
    public void Later_promotions_come_after_thirty(int seconds, bool comes) => Assert.Equal(
        comes ? "12345" : null,
        Decide("123 +45", Node(1), Node(2), Node(3), Node(4), Node(5) with { CaughtUpFor = TimeSpan.FromSeconds(seconds) }, Node(6, ready: false), Node(7, ready: false)));

    [Fact]
    public void A_node_that_is_not_ready_is_neither_made_a_spare_nor_promoted()
    {
        Assert.Null(Decide("1", Node(1), Node(2, ready: false), Node(3, ready: false)));
        Assert.Null(Decide("1 +23", Node(1), Node(2), Node(3, ready: false)));
    }

    [Fact]
    public void No_more_than_two_spares_receive_the_log() =>
        Assert.Equal("1 +23", Decide("1", Node(1), Node(2), Node(3), Node(4), Node(5)));

    [Fact]
    public void A_silent_voter_is_swapped_for_a_spare_after_five_minutes_and_not_before()
    {
        Assert.Null(Decide("123 +4", Node(1), Node(2), Silent(3, 299), Node(4)));
        Assert.Equal("124 +3", Decide("123 +4", Node(1), Node(2), Silent(3, 300), Node(4)));
    }

    [Fact]
    public void P20_without_a_spare_a_silent_voter_stays_and_the_quorum_never_shrinks()
    {
        Assert.Null(Decide("123", Node(1), Node(2), Silent(3, 100_000)));
        Assert.Null(Decide("123", Node(1), Silent(2, 100_000), Silent(3, 100_000)));
        Assert.Null(Decide("12345 +6", Node(1), Node(2), Node(3), Silent(4, 100_000), Silent(5, 100_000), Node(6) with { CaughtUpFor = Second }, Node(7, ready: false)));
    }

    [Fact]
    public void P19_a_wiped_store_is_another_member_and_takes_the_place_of_the_old_one()
    {
        VoterNode wiped = Node(3) with { Member = Member(3, store: 9) };
        VoterSituation before = Situation("123", Node(1), Node(2), wiped);
        Configuration learner = VoterPolicy.Decide(before, Rules)!.Target;
        Assert.Equal([Member(1), Member(2), Member(3)], learner.Voters.ToArray());
        Assert.Equal(wiped.Member, Assert.Single(learner.Learners));

        Configuration swapped = VoterPolicy.Decide(before with { Configuration = learner }, Rules)!.Target;
        Assert.Equal([Member(1), Member(2), wiped.Member], swapped.Voters.ToArray());
        Assert.Empty(swapped.Learners);
    }

    [Fact]
    public void A_voter_that_was_removed_makes_room_at_once() =>
        Assert.Equal("124", Decide("123 +4", Node(1), Node(2), Node(4)));

    [Fact]
    public void Nodes_that_leave_lower_the_number_and_the_leader_stays() =>
        Assert.Equal("1 +2", Decide("123", Node(1), Node(2)));

    [Fact]
    public void Of_five_voters_those_that_answer_remain() =>
        Assert.Equal("124 +35", Decide("12345", Node(1), Node(2), Silent(3, 400), Node(4), Silent(5, 10), Node(6, ready: false)));

    [Fact]
    public void A_single_voter_does_not_wait_also_when_there_were_more_a_moment_ago()
    {
        VoterSituation situation = Situation("1 +23", Node(1), Node(2), Node(3)) with { SinceVoterChange = Second };
        Assert.Equal(3, VoterPolicy.Decide(situation, Rules)!.Target.Voters.Length);
    }

    [Fact]
    public void Voters_change_at_most_once_a_minute_but_spares_come_at_once()
    {
        VoterSituation situation = Situation("123 +4", Node(1), Node(2), Silent(3, 400), Node(4), Node(5)) with { SinceVoterChange = TimeSpan.FromSeconds(59) };
        Assert.Equal("123 +45", Show(VoterPolicy.Decide(situation, Rules)!.Target));
    }

    [Fact]
    public void A_set_without_a_healthy_majority_is_not_entered() =>
        Assert.Null(Decide("123 +4", Node(1), Silent(2, 60), Silent(3, 400), Node(4) with { SilentFor = TimeSpan.FromSeconds(6) }));

    [Fact]
    public void A_spare_that_went_silent_makes_room_for_a_node_that_is_there()
    {
        Assert.Equal("1 +24", Decide("1 +23", Node(1), Node(2) with { CaughtUpFor = Second }, Silent(3, 31), Node(4)));
        Assert.Null(Decide("1 +23", Node(1), Node(2) with { CaughtUpFor = Second }, Silent(3, 31)));
    }

    [Fact]
    public void Nodes_that_were_tried_less_come_first() =>
        Assert.Equal("1 +34", Decide("1", Node(1), Node(2) with { Tries = 2 }, Node(3), Node(4) with { Tries = 1 }));

    [Fact]
    public void Nothing_is_decided_in_the_middle_of_a_change_or_by_who_does_not_vote()
    {
        VoterSituation situation = Situation("1 +23", Node(1), Node(2), Node(3));
        var joint = Configuration.Of([Member(1), Member(2), Member(3)], [Member(1)]);
        Assert.Null(VoterPolicy.Decide(situation with { Configuration = joint }, Rules));
        Assert.Null(VoterPolicy.Decide(situation with { Self = Member(2) }, Rules));
    }

    [Fact]
    public void From_any_state_it_comes_to_rest_with_odd_numbers_and_never_shrinks_by_silence()
    {
        var random = new Random(20261121);
        for (int run = 0; run < 3000; run++)
        {
            int count = random.Next(1, 10);
            VoterNode[] nodes =
            [
                .. Enumerable.Range(1, count).Select(i => Node(i, ready: random.Next(4) > 0) with
                {
                    SilentFor = TimeSpan.FromSeconds(i == 1 || random.Next(3) > 0 ? 0 : random.Next(1000)),
                    CaughtUpFor = TimeSpan.FromSeconds(random.Next(60)),
                    Tries = random.Next(3),
                }),
            ];
            int voters = new[] { 1, 3, 5 }[random.Next(3)];
            MemberId[] gone = [.. Enumerable.Range(20, 5).Select(i => Member(i))];
            MemberId[] all = [Member(1), .. nodes.Skip(1).Select(n => n.Member).Concat(gone).OrderBy(_ => random.Next())];
            var configuration = Configuration.Of(all.Take(voters), learners: all.Skip(voters).Take(random.Next(3)));
            int floor = Math.Min(configuration.Voters.Length, VoterRules.VotersFor(count));
            int changes = 0;
            while (VoterPolicy.Decide(new VoterSituation(Member(1), configuration, [.. nodes], Long), Rules) is { } decision)
            {
                Configuration next = decision.Target;
                Assert.False(next.IsJoint);
                Assert.True(next.Voters.Length % 2 == 1, $"{Show(configuration)} became {Show(next)}");
                Assert.True(next.Voters.Length >= floor, $"{Show(configuration)} became {Show(next)} with {count} nodes");
                Assert.Contains(Member(1), next.Voters);
                Assert.True(next.Learners.Length <= Rules.SparesMax);
                Assert.All(next.Learners, l => Assert.Contains(l, nodes.Select(n => n.Member)));
                Assert.All(next.Voters.Except(configuration.Voters), v => Assert.Contains(v, configuration.Learners));
                MemberId[] fresh = [.. next.Members.Except(configuration.Members)];
                for (int i = 0; i < nodes.Length; i++)
                {
                    // Who is new in the group has not had the time to be silent.
                    nodes[i] = fresh.Contains(nodes[i].Member) ? nodes[i] with { SilentFor = TimeSpan.Zero, CaughtUpFor = TimeSpan.Zero } : nodes[i];
                }

                configuration = next;
                Assert.True(++changes < 10, $"it does not come to rest: {Show(configuration)}");
            }
        }
    }

    [Fact]
    public void Who_left_or_was_removed_hands_its_vote_on_at_once_and_who_is_silent_waits_for_the_pause()
    {
        VoterSituation removed = Situation("123 +4", Node(1), Node(2), Node(4)) with { SinceVoterChange = Second };
        Assert.Equal("124", Show(VoterPolicy.Decide(removed, Rules)!.Target));
        Assert.Null(VoterPolicy.Decide(Situation("123 +4", Node(1), Node(2), Silent(3, 900), Node(4)) with { SinceVoterChange = Second }, Rules));
    }

    [Fact]
    public void A_leader_that_leaves_hands_its_vote_on_too_unless_nobody_can_take_it()
    {
        Assert.Equal("2 +3", Decide("123", Node(2), Node(3)));
        Assert.Equal("2", Decide("1 +2", Node(2)));
        Assert.Null(Decide("1 +2", Node(2) with { CaughtUpFor = Second }));
    }

    [Fact]
    public void Being_caught_up_is_counted_without_a_break()
    {
        var clock = new CatchUpClock(Rules);
        Assert.Equal(TimeSpan.Zero, clock.Observe(Member(2), 100, 164, TimeSpan.Zero, TimeSpan.FromSeconds(10)));
        Assert.Equal(TimeSpan.FromSeconds(7), clock.Observe(Member(2), 100, 164, TimeSpan.Zero, TimeSpan.FromSeconds(17)));
        Assert.Equal(TimeSpan.Zero, clock.Observe(Member(2), 100, 165, TimeSpan.Zero, TimeSpan.FromSeconds(18)));
        Assert.Equal(TimeSpan.Zero, clock.Observe(Member(2), 165, 165, TimeSpan.Zero, TimeSpan.FromSeconds(19)));
        Assert.Equal(TimeSpan.Zero, clock.Observe(Member(2), 165, 165, TimeSpan.FromSeconds(5), TimeSpan.FromSeconds(20)));
        Assert.Equal(TimeSpan.Zero, clock.Observe(Member(2), 165, 165, TimeSpan.Zero, TimeSpan.FromSeconds(21)));
        clock.Reset();
        Assert.Equal(TimeSpan.Zero, clock.Observe(Member(2), 165, 165, TimeSpan.Zero, TimeSpan.FromSeconds(60)));
    }

    private static MemberId Member(int node, int store = 1) =>
        new(new Guid(node, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), new Guid(store, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0));

    private static VoterNode Node(int number, bool ready = true) => new(Member(number), ready, TimeSpan.Zero, Long, 0);

    private static VoterNode Silent(int number, int seconds) =>
        new(Member(number), IsReady: false, TimeSpan.FromSeconds(seconds), TimeSpan.Zero, 0);

    // "123 +4": voters 1, 2 and 3, learner 4. The leader is 1.
    private static VoterSituation Situation(string configuration, params ImmutableArray<VoterNode> nodes)
    {
        string[] halves = configuration.Split(" +");
        return new VoterSituation(
            Member(1),
            Configuration.Of(halves[0].Select(c => Member(c - '0')), learners: halves.ElementAtOrDefault(1)?.Select(c => Member(c - '0'))),
            nodes,
            Long);
    }

    private static string? Decide(string configuration, params ImmutableArray<VoterNode> nodes) =>
        VoterPolicy.Decide(Situation(configuration, nodes), Rules) is { } decision ? Show(decision.Target) : null;

    private static string Show(Configuration c)
    {
        string Digits(ImmutableArray<MemberId> members) => string.Concat(members.Select(m => int.Parse(m.NodeUid.ToString("N")[..8], System.Globalization.NumberStyles.HexNumber, System.Globalization.CultureInfo.InvariantCulture)));
        return Digits(c.Voters) + (c.Learners.IsEmpty ? "" : " +" + Digits(c.Learners));
    }
}

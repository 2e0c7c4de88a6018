using System.Collections.Immutable;
using Kcore.Daemon.Cluster.Trust;
using Kcore.Gossip;

namespace Kcore.Daemon.Tests.Cluster.Trust;

/// <summary>The steps one by one.</summary>
public sealed class KeyRotationTests
{
    private static readonly KeyName First = new(0, 50);
    private static readonly KeyName Second = new(1, 40);
    private static readonly KeyName Rival = new(1, 41);
    private static readonly KeyName Third = new(2, 30);
    private static readonly NodeId B = new(2);
    private static readonly NodeId C = new(3);

    [Fact]
    public void With_one_key_everywhere_there_is_nothing_to_do() =>
        Assert.Null(Next(Holding(First, First), (B, Holding(First, First)), (C, Holding(First, First))));

    [Fact]
    public void A_newer_key_is_fetched_from_those_who_hold_it()
    {
        KeyStep? step = Next(Holding(First, First), (B, Holding(First, First, Second)), (C, Holding(First, First)));

        var fetch = Assert.IsType<KeyStep.Fetch>(step);
        Assert.Equal((Second, null), (fetch.Key, fetch.Drop));
        Assert.Equal(B, Assert.Single(fetch.From));
    }

    [Fact]
    public void An_older_key_is_never_fetched() =>
        Assert.Null(Next(Holding(Second, Second), (B, Holding(First, First, Second))));

    [Fact]
    public void Of_two_rotations_begun_at_once_all_go_for_the_same()
    {
        KeyStep? loser = Next(Holding(First, First, Second), (B, Holding(First, First, Rival)));
        KeyStep? winner = Next(Holding(First, First, Rival), (B, Holding(First, First, Second)));

        Assert.Equal(Rival, Assert.IsType<KeyStep.Fetch>(loser).Key);
        Assert.Null(winner);
    }

    [Fact]
    public void A_key_is_used_when_every_live_member_holds_it_and_not_before()
    {
        Assert.Null(Next(Holding(First, First, Second), (B, Holding(First, First, Second)), (C, Holding(First, First))));
        Assert.Null(KeyRotation.Next(Holding(First, First, Second), [B], new Dictionary<NodeId, KeyHolding>()));
        Assert.Equal(
            new KeyStep.Use(Second),
            Next(Holding(First, First, Second), (B, Holding(First, First, Second)), (C, Holding(Second, First, Second))));
    }

    [Fact]
    public void Alone_a_node_uses_a_new_key_at_once() => Assert.Equal(new KeyStep.Use(Second), Next(Holding(First, First, Second)));

    [Fact]
    public void Older_keys_go_when_everybody_uses_the_newest()
    {
        Assert.Null(Next(Holding(Second, First, Second), (B, Holding(First, First, Second))));
        Assert.Equal(First, Assert.Single(Assert.IsType<KeyStep.Retire>(Next(Holding(Second, First, Second), (B, Holding(Second, First, Second)))).Keys));
    }

    [Fact]
    public void Nothing_goes_while_a_member_uses_a_key_of_its_own() =>
        Assert.Null(Next(Holding(Rival, First, Rival), (B, Holding(Second, First, Second))));

    [Fact]
    public void A_key_that_came_by_hand_gets_the_number_the_cluster_gave_it()
    {
        KeyName byHand = Second with { Generation = 0 };

        Assert.Equal(new KeyStep.Renumber(byHand, Second), Next(Holding(byHand, byHand), (B, Holding(Second, First, Second))));
    }

    [Fact]
    public void A_full_ring_gives_up_what_no_member_needs()
    {
        var fourth = new KeyName(3, 20);
        KeyStep? step = Next(Holding(Second, First, Second, Rival, Third), (B, Holding(fourth, First, fourth)));

        var fetch = Assert.IsType<KeyStep.Fetch>(step);
        Assert.Equal(fourth, fetch.Key);
        Assert.Equal(Third, fetch.Drop);
    }

    private static KeyStep? Next(KeyHolding own, params (NodeId Node, KeyHolding Holding)[] others) =>
        KeyRotation.Next(own, [.. others.Select(o => o.Node)], others.ToDictionary(o => o.Node, o => o.Holding));

    private static KeyHolding Holding(KeyName active, params ImmutableArray<KeyName> held) => new(held, active);
}

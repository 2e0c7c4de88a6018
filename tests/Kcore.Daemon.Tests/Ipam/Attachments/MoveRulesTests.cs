using System.Collections.Immutable;
using Kcore.Daemon.Catalog.View;
using Kcore.Daemon.Ipam.Attachments;
using Kcore.Gossip;
using static Kcore.Daemon.Tests.Catalog.Said;

namespace Kcore.Daemon.Tests.Ipam.Attachments;

/// <summary>What the two nodes of a move do, whenever they come to hear of it.</summary>
public sealed class MoveRulesTests
{
    private static readonly CatalogEntry Pending = Move(70, 5, begun: 10);
    private static readonly CatalogEntry Over = Move(70, 5, begun: 10, handedOver: 20);

    [Fact]
    public void The_target_makes_the_device_waits_takes_it_up_and_says_so()
    {
        Assert.IsType<MoveStep.Make>(Due(B, [Pending]));
        Assert.Null(Due(B, [Pending], Prepared));
        Assert.IsType<MoveStep.TakeUp>(Due(B, [Over], Prepared));
        Assert.IsType<MoveStep.Acknowledge>(Due(B, [Over], Owned(since: 20)));
        Assert.Null(Due(B, [Move(70, 5, 10, 20, targetKnows: true)], Owned(since: 20)));
    }

    [Fact]
    public void The_source_keeps_it_lets_go_and_says_so()
    {
        Assert.Null(Due(A, [Pending], Owned()));
        Assert.IsType<MoveStep.LetGo>(Due(A, [Over], Owned()));
        Assert.IsType<MoveStep.Acknowledge>(Due(A, [Over]));
        Assert.Null(Due(A, [Move(70, 5, 10, 20, sourceKnows: true)]));
        Assert.Null(Due(C, [Over], Owned()));
    }

    [Fact]
    public void A_target_that_slept_through_everything_makes_it_still()
    {
        Assert.IsType<MoveStep.Make>(Due(B, [Over]));
        Assert.IsType<MoveStep.Make>(Due(B, [Over], Prepared with { PreparedFor = 69 }));
    }

    [Fact]
    public void What_has_come_back_is_not_let_go_of_for_the_sake_of_an_older_move()
    {
        CatalogEntry back = Move(71, 5, begun: 30, handedOver: 40, from: B, to: A);
        Assert.IsType<MoveStep.Acknowledge>(MoveRules.Due(A, View(Over, back), Set(Owned(since: 40))).First());
        Assert.True(MoveRules.IsHere(Owned(since: 40), View(Over, back), A));
        Assert.True(MoveRules.IsHere(Prepared with { PreparedFor = 71 }, View(Over, back), A));
        Assert.False(MoveRules.IsHere(Owned(), View(Over), A));
        Assert.True(MoveRules.IsHere(Owned(), View(Pending), A));
    }

    [Fact]
    public void The_moment_of_the_hand_over_is_the_same_for_what_waits_here_whether_lease_or_move_is_heard_of_first()
    {
        Assert.True(MoveRules.IsArriving(Prepared, View(Pending, Lease(1, 5, "10.88.0.2", A)), B));
        Assert.False(MoveRules.IsArriving(Prepared, View(Over), B));
        Assert.False(MoveRules.IsArriving(Prepared, View(Pending, Lease(1, 5, "10.88.0.2", B, 20)), B));
        Assert.False(MoveRules.IsArriving(Owned(), View(Pending), B));
    }

    [Fact]
    public void What_was_given_up_is_abandoned_and_nothing_else_is()
    {
        Assert.Equal(Prepared, Assert.Single(MoveRules.Abandoned(View(), Set(Prepared))));
        Assert.Empty(MoveRules.Abandoned(View(Pending), Set(Prepared)));
        Assert.Empty(MoveRules.Abandoned(View(), Set(Owned())));
    }

    private static AttachmentRecord Prepared => AttachmentTableTests.Record(1, address: "10.88.0.2") with { Network = 5, PreparedFor = 70 };

    private static AttachmentRecord Owned(ulong since = 0) => Prepared with { PreparedFor = null, Since = since };

    private static AttachmentSet Set(params AttachmentRecord[] records) => new(records.ToImmutableSortedDictionary(r => r.Id, r => r));

    private static CatalogView View(params CatalogEntry[] entries) => CatalogViewBuilder.Build(entries);

    private static MoveStep? Due(NodeId node, CatalogEntry[] entries, params AttachmentRecord[] records) =>
        MoveRules.Due(node, View(entries), Set(records)).SingleOrDefault();
}

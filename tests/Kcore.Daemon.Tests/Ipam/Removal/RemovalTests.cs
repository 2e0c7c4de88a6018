using System.Collections.Immutable;
using Kcore.Daemon.Catalog.Facts;
using Kcore.Daemon.Catalog.View;
using Kcore.Daemon.Ipam.Removal;
using Kcore.Gossip;
using static Kcore.Daemon.Tests.Catalog.Said;

namespace Kcore.Daemon.Tests.Ipam.Removal;

/// <summary>What a removed node stated is forgotten; what it decided about overlays is not.</summary>
public sealed class RemovalTests
{
    private static readonly CatalogEntry[] World =
    [
        Node(A), Node(B), Node(C),
        Claim(Created(B, "prod", 3, uid: 1)),
        Claim(Created(A, "gone", 1, uid: 2)), Claim(Deleted(B, Created(A, "gone", 1, uid: 2), 4)),
        Claim(Created(A, "mine", 2, uid: 3)),
        Claim(Local(B, "lan", B, 5, uid: 4)),
        Claim(Local(A, "far", B, 6, uid: 5)),
        Participation(B, 1), Participation(C, 1),
        Nic(B, NicFact(11, 1, "web-02", 2, "10.88.0.2")), Nic(C, NicFact(12, 1, "web-03", 3, "10.88.0.3")),
    ];

    [Fact]
    public void B109_Nothing_a_removed_node_stated_of_itself_counts_and_its_own_networks_are_gone()
    {
        var view = CatalogViewBuilder.Build([.. World, Removed(B)]);

        Assert.Equal([A, C], view.Nodes.Keys.Order());
        Assert.Equal([C], view.ParticipantsOf(1).Select(p => p.Node));
        Assert.Equal(["web-03"], view.Nics.Select(n => n.Fact.Name));
        Assert.Empty(view.LocalNetworks);
        Assert.Equal(["mine", "prod"], view.Networks.Keys);
    }

    [Fact]
    public void Only_the_log_removes_nodes() =>
        Assert.Equal([A, B, C], CatalogViewBuilder.Build([.. World, Removed(B, origin: A)]).Nodes.Keys.Order());

    [Fact]
    public void Once_another_node_has_repeated_its_word_on_overlays_dropping_the_origin_changes_nothing()
    {
        var before = CatalogViewBuilder.Build([.. World, Removed(B)]);
        ImmutableArray<ClaimFact> inherited = RemovalLoop.Inherited(before, B, A);
        Assert.Equal(["gone", "prod"], inherited.Select(c => c.Name).Order(StringComparer.Ordinal));

        // One fact for each name and origin: what A said of "gone" is replaced.
        CatalogEntry[] after =
        [
            .. World.Where(e => e.Origin != B && !(e.Origin == A && inherited.Any(c => e.Key == FactKeys.Claim(c.Name)))),
            .. inherited.Select(c => Claim(c)),
            Removed(B),
        ];
        var view = CatalogViewBuilder.Build(after);

        Assert.Equal(before.Networks.Keys, view.Networks.Keys);
        Assert.Equal(before.Networks["prod"] with { Creator = A }, view.Networks["prod"] with { Losers = before.Networks["prod"].Losers });
        Assert.Equal(
            before.Verdicts.Select(v => (v.Name, v.Uid, v.Created, v.Spec is null)), view.Verdicts.Select(v => (v.Name, v.Uid, v.Created, v.Spec is null)));
        Assert.Empty(RemovalLoop.Inherited(view, B, A));
    }

    [Fact]
    public void A_deletion_made_at_the_same_time_is_later_than_the_repetition_of_what_it_deletes()
    {
        ClaimFact repeated = Assert.Single(RemovalLoop.Inherited(CatalogViewBuilder.Build([.. World, Removed(B)]), B, A), c => c.Name == "prod");
        ClaimFact deleted = Deleted(C, Created(B, "prod", 3, uid: 1), CatalogViewBuilder.Build(World).ClaimCounter + 1);

        Assert.True(deleted.Stamp.CompareTo(repeated.Stamp) > 0);
    }
}

using Kcore.Daemon.Catalog.Facts;
using Kcore.Daemon.Catalog.View;
using Kcore.Gossip;
using static Kcore.Daemon.Tests.Catalog.Said;

namespace Kcore.Daemon.Tests.Catalog.View;

/// <summary>Behaviour 115: where a NIC is that moves, as everybody sees it, whatever arrives first.</summary>
public sealed class MoveViewTests
{
    private static readonly CatalogEntry There = Nic(A, NicFact(1, 5, "web-01", 1, "10.88.0.2", 5));
    private static readonly CatalogEntry Prepared = Nic(B, NicFact(1, 5, "web-01", 1, "10.88.0.2") with { State = ObjectState.Prepared });
    private static readonly CatalogEntry Before = Lease(1, 5, "10.88.0.2", A);
    private static readonly CatalogEntry After = Lease(1, 5, "10.88.0.2", B, 20);
    private static readonly CatalogEntry Pending = Move(70, 5, begun: 10);
    private static readonly CatalogEntry Over = Move(70, 5, begun: 10, handedOver: 20);

    [Fact]
    public void Until_it_is_handed_over_it_is_where_it_was_and_the_prepared_one_is_known_to_be_coming()
    {
        CatalogView view = CatalogViewBuilder.Build([There, Prepared, Before, Pending]);
        Assert.Equal(A, Assert.Single(view.Nics).Node);
        Assert.Equal(B, Assert.Single(view.Arriving).Value.Node);
    }

    [Fact]
    public void With_the_lease_alone_it_is_at_the_new_place_also_while_the_old_node_still_states_it()
    {
        foreach (CatalogEntry move in (CatalogEntry[])[Pending, Over])
        {
            CatalogView view = CatalogViewBuilder.Build([There, Prepared, After, move]);
            Assert.Equal(B, Assert.Single(view.Nics).Node);
            Assert.Empty(view.Arriving);
        }

        Assert.Equal(B, Assert.Single(CatalogViewBuilder.Build([There, Prepared, After]).Nics).Node);
    }

    [Fact]
    public void A_claim_on_a_MAC_whose_lease_another_holds_does_not_win_by_its_own_word()
    {
        CatalogEntry liar = Nic(B, NicFact(1, 5, "web-01", 1, "10.88.0.2", ulong.MaxValue));
        Assert.Equal(A, Assert.Single(CatalogViewBuilder.Build([There, liar, Before]).Nics).Node);
    }

    [Fact]
    public void A_move_counts_only_from_the_log_and_under_its_own_key()
    {
        CatalogEntry forged = Entry(C, FactKeys.Move(70), FactKind.Move, Pending.Value);
        CatalogEntry misfiled = Entry(NodeId.Raft, FactKeys.Move(71), FactKind.Move, Pending.Value);
        Assert.Empty(CatalogViewBuilder.Build([forged, misfiled]).Moves);
    }
}

using Kcore.Contracts;
using Kcore.Daemon.Catalog;
using Kcore.Daemon.Catalog.View;
using Kcore.Daemon.Ipam.Pools;
using Kcore.Gossip;
using static Kcore.Daemon.Tests.Catalog.Said;

namespace Kcore.Daemon.Tests.Catalog.View;

/// <summary>What claims on networks of single nodes mean together.</summary>
public sealed class LocalNetworkViewTests
{
    [Fact]
    public void A8_two_nodes_may_each_have_a_network_of_one_name_and_each_is_deleted_by_itself()
    {
        CatalogEntry[] both = [Claim(Local(A, "lan", A, 1, 1)), Claim(Local(A, "lan", B, 2, 2))];
        CatalogView view = CatalogViewBuilder.Build(both);

        Assert.Equal([A, B], view.LocalNetworks.Select(n => n.Home!.Value));
        Assert.Equal((UInt128)2, view.Find("lan", B).Uid);
        Assert.Equal([B, A], view.Copies("lan", B).Select(n => n.Home!.Value));

        CatalogView after = CatalogViewBuilder.Build([.. both, Claim(Deleted(C, Local(A, "lan", A, 1, 1), 3))]);
        Assert.Equal(B, Assert.Single(after.LocalNetworks).Home);
    }

    [Fact]
    public void Behaviour_97_a_network_of_another_node_is_named_with_its_node()
    {
        CatalogView view = CatalogViewBuilder.Build([Node(A), Node(B), Claim(Local(A, "lan", A, 1, 1))]);

        Problem problem = Assert.Throws<RefusedException>(() => view.Find("lan", B)).Problem;
        Assert.Equal(ErrorCode.FailedPrecondition, problem.Code);
        Assert.Contains("node-b", problem.Message, StringComparison.Ordinal);
        Assert.Contains("node-a", string.Join(' ', problem.Details), StringComparison.Ordinal);
    }

    [Fact]
    public void An_overlay_made_in_the_other_half_of_a_split_keeps_the_name()
    {
        CatalogView view = CatalogViewBuilder.Build([Claim(Local(A, "lan", A, 1, 1)), Claim(Created(B, "LAN", 2, uid: 2))]);

        Assert.Null(view.Networks["LAN"].Conflict);
        Assert.Contains("overlay", Assert.Single(view.LocalNetworks).Conflict, StringComparison.Ordinal);
    }

    [Fact]
    public void The_order_of_the_entries_does_not_matter_110()
    {
        CatalogEntry[] entries =
        [
            Claim(Local(A, "lan", A, 1, 1)), Claim(Local(B, "lan", A, 2, 2)), Claim(Local(A, "lan", B, 3, 3)),
            Claim(Created(B, "prod", 4, uid: 4)), Claim(Deleted(C, Local(A, "x", C, 1, 9), 5)), Claim(Local(A, "x", C, 4, 9)),
        ];
        string text = Text(CatalogViewBuilder.Build(entries));
        for (int seed = 0; seed < 50; seed++)
        {
            new Random(seed).Shuffle(entries);
            Assert.Equal(text, Text(CatalogViewBuilder.Build(entries)));
        }
    }

    [Fact]
    public void A_network_of_one_node_says_nothing_about_the_pool_of_an_overlay_of_its_name()
    {
        CatalogView view = CatalogViewBuilder.Build(
            [Claim(Created(A, "prod", 1, uid: 1)), Pool(1, "prod"), Claim(Local(A, "prod", B, 2, 2)), Claim(Deleted(A, Local(A, "prod", C, 1, 3), 3))]);

        Assert.Empty(PoolLoop.Due(view, new Dictionary<UInt128, string>()));
    }
}

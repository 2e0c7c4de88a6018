using System.Collections.Frozen;
using Kcore.Daemon.Catalog.Facts;
using Kcore.Daemon.Catalog.Validation;
using Kcore.Daemon.Catalog.View;
using Kcore.Daemon.Cluster;
using Kcore.Daemon.Ipam;
using Kcore.Daemon.Ipam.Pools;
using Kcore.Gossip;
using static Kcore.Daemon.Tests.Catalog.Said;

namespace Kcore.Daemon.Tests.Ipam.Pools;

public sealed class PoolLoopTests
{
    [Fact]
    public void An_overlay_without_a_pool_gets_one()
    {
        var command = Assert.IsType<ReplicatedCommand.CreatePool>(Assert.Single(Due(Claim(Created(A, "prod", 1, uid: 1)))));

        Assert.Equal((Network(1), "prod", 14458u, "10.88.0.0/24", "10.88.0.1"), (command.Network, command.Name, command.Vni, command.Subnet.ToString(), command.Gateway.ToString()));
    }

    [Fact]
    public void What_the_network_excludes_is_told_the_log_address_by_address()
    {
        NetworkSpec spec = Overlay() with { Excluded = ExcludeText.Parse(["10.88.0.20-10.88.0.22", "10.88.0.9"], Overlay().Subnet, Overlay().Gateway) };

        var command = Assert.IsType<ReplicatedCommand.CreatePool>(Assert.Single(Due(Claim(Created(A, "prod", 1, uid: 1, spec)))));

        Assert.Equal(["10.88.0.9", "10.88.0.20", "10.88.0.21", "10.88.0.22"], command.Exclusions.Select(a => a.ToString()));
        Assert.True(CommandCodec.TryDecode(CommandCodec.Encode(command), out ReplicatedCommand? read));
        Assert.Equal(command, read);
    }

    [Fact]
    public void An_overlay_with_its_pool_is_done() => Assert.Empty(Due(Claim(Created(A, "prod", 1, uid: 1)), Pool(1, "prod")));

    [Fact]
    public void Other_types_and_conflicting_overlays_get_no_pool() => Assert.Equal(
        ["overlay0"],
        Due(
            Claim(Created(A, "lan", 1, uid: 3, Overlay() with { Type = NetworkType.Bridge })),
            Claim(Created(A, "overlay0", 1, uid: 1)),
            Claim(Created(B, "overlay", 2, uid: 2)))
            .Cast<ReplicatedCommand.CreatePool>().Select(c => c.Name));

    [Fact]
    public void What_the_log_refused_is_not_asked_again_until_something_changed() =>
        Assert.Empty(PoolLoop.Due(View(Claim(Created(A, "prod", 1, uid: 1))), new Dictionary<UInt128, string> { [1] = "overlap" }));

    [Fact]
    public void A_pool_is_never_deleted_because_its_claim_is_missing() => Assert.Empty(Due(Pool(1, "prod"), Claim(Created(A, "lan", 1, uid: 2)), Pool(2, "lan")));

    [Fact]
    public void A_pool_is_deleted_when_its_network_was() =>
        Assert.Equal([new ReplicatedCommand.DeletePool(Network(1))], Due(Pool(1, "prod"), Claim(Deleted(A, Created(A, "prod", 1, uid: 1), 2))));

    [Fact]
    public void A_pool_is_deleted_before_that_of_the_network_created_anew_under_its_name()
    {
        ReplicatedCommand[] due = [.. Due(Pool(1, "prod"), Claim(Created(B, "prod", 3, uid: 9)))];

        Assert.Equal(new ReplicatedCommand.DeletePool(Network(1)), due[0]);
        Assert.Equal(Network(9), Assert.IsType<ReplicatedCommand.CreatePool>(due[1]).Network);
        Assert.Equal(2, due.Length);
    }

    [Fact]
    public void Deletions_come_before_all_creations_so_that_subnets_and_VNIs_are_free() => Assert.Equal(
        [typeof(ReplicatedCommand.DeletePool), typeof(ReplicatedCommand.CreatePool)],
        Due(Claim(Created(A, "a", 5, uid: 2)), Pool(1, "z"), Claim(Deleted(A, Created(A, "z", 1, uid: 1), 2))).Select(c => c.GetType()));

    [Fact]
    public void A_pool_is_never_deleted_while_an_address_of_it_is_held() =>
        Assert.Empty(Due(Pool(1, "prod"), Lease(7, 1, "10.88.0.2", B), Claim(Deleted(A, Created(A, "prod", 1, uid: 1), 2))));

    [Fact]
    public void A_lease_of_another_network_holds_nothing_back() =>
        Assert.Single(Due(Pool(1, "prod"), Lease(7, 2, "10.88.0.2", B), Claim(Deleted(A, Created(A, "prod", 1, uid: 1), 2))));

    private static NetworkUid Network(UInt128 uid) => new(Uid.ToGuid(uid));

    private static CatalogView View(params CatalogEntry[] entries) => CatalogViewBuilder.Build(entries);

    private static IEnumerable<ReplicatedCommand> Due(params CatalogEntry[] entries) => PoolLoop.Due(View(entries), FrozenDictionary<UInt128, string>.Empty);
}

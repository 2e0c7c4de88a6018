using Kcore.Daemon.Catalog.View;
using Kcore.Daemon.Ipam;
using Kcore.Daemon.Ipam.Upkeep;
using static Kcore.Daemon.Tests.Catalog.Said;

namespace Kcore.Daemon.Tests.Ipam.Upkeep;

public sealed class MoveWatchTests
{
    private static readonly CatalogView Pending = CatalogViewBuilder.Build([Move(70, 5, begun: 10)]);

    [Fact]
    public void A_preparation_that_nobody_completes_is_given_up_after_an_hour_and_not_before()
    {
        var watch = new MoveWatch();
        Assert.Empty(watch.Due(Pending, TimeSpan.FromHours(5)));
        Assert.Empty(watch.Due(Pending, TimeSpan.FromHours(5.99)));
        Assert.Equal(new ReplicatedCommand.AbortMove(Kcore.Daemon.Cluster.Uid.ToGuid(70)), Assert.Single(watch.Due(Pending, TimeSpan.FromHours(6))));
    }

    [Fact]
    public void What_was_handed_over_is_never_given_up_and_a_new_leader_counts_anew()
    {
        var watch = new MoveWatch();
        CatalogView over = CatalogViewBuilder.Build([Move(70, 5, begun: 10, handedOver: 20)]);
        watch.Due(over, TimeSpan.Zero);
        Assert.Empty(watch.Due(over, TimeSpan.FromHours(9)));
        watch.Due(Pending, TimeSpan.Zero);
        watch.Forget();
        Assert.Empty(watch.Due(Pending, TimeSpan.FromHours(9)));
    }
}

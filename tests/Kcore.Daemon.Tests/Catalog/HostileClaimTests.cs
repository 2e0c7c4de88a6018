using System.Net;
using Kcore.Daemon.Catalog.Facts;
using Kcore.Daemon.Catalog.View;
using Kcore.Gossip;

namespace Kcore.Daemon.Tests.Catalog;

public sealed class HostileClaimTests
{
    [Fact]
    public void Two_names_that_claim_one_uid_do_not_end_the_node_that_reads_them()
    {
        CatalogView view = CatalogViewBuilder.Build([Entry(1, "first", "10.1.0.1"), Entry(2, "second", "10.2.0.1")]);

        Assert.Equal(["first", "second"], view.Networks.Keys);
        Assert.Equal("first", Assert.Single(view.NetworksByUid).Value.Name);
    }

    private static CatalogEntry Entry(ulong counter, string name, string gateway)
    {
        var node = new NodeId(7);
        var stamp = new ClaimStamp(counter, node, 0);
        var spec = new NetworkSpec { Type = NetworkType.Vxlan, Gateway = IPAddress.Parse(gateway), PrefixLength = 24, OutboundNat = true };
        ReadOnlyMemory<byte> value = FactCodec.Encode(new ClaimFact(name, 42, stamp, stamp, spec));
        return CatalogEntry.Create(node, FactKeys.Claim(name), counter, (ushort)FactKind.Claim, default, value);
    }
}

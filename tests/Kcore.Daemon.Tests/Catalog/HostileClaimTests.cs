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

    [Theory]
    [InlineData("../../../etc/cron.d/x")]
    [InlineData("x'\nuser=root")]
    [InlineData("a.b")]
    [InlineData("")]
    public void A_name_that_could_be_a_path_or_a_line_of_a_file_is_no_network_of_a_node(string name)
    {
        var node = new NodeId(7);
        var stamp = new ClaimStamp(1, node, 0);
        NetworkSpec spec = Said.Overlay() with { Type = NetworkType.Nat };
        CatalogEntry entry = CatalogEntry.Create(
            node, FactKeys.Claim(name, node), 1, (ushort)FactKind.Claim, default, FactCodec.Encode(new ClaimFact(name, 42, stamp, stamp, spec) { Home = node }));

        Assert.Empty(CatalogViewBuilder.Build([entry]).LocalNetworks);
    }

    [Fact]
    public void An_overlay_of_one_node_and_a_nat_network_of_none_are_nothing()
    {
        Assert.Empty(CatalogViewBuilder.Build([Said.Claim(Said.Created(Said.A, "a", 1, 1, Said.Overlay() with { Type = NetworkType.Nat }))]).AllNetworks);
        ClaimFact claim = Said.Created(Said.A, "a", 1, 1) with { Home = Said.A };
        Assert.Empty(CatalogViewBuilder.Build([Said.Entry(Said.A, FactKeys.Claim("a", Said.A), FactKind.Claim, FactCodec.Encode(claim))]).AllNetworks);
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

using System.Net;
using Kcore.Daemon.Dataplane;
using Kcore.Daemon.Dataplane.Desired;
using Kcore.Daemon.Dataplane.Mesh;

namespace Kcore.Daemon.Tests.Dataplane.Mesh;

public sealed class EncryptedOverlayTests
{
    private static readonly IPAddress Own = IPAddress.Parse("100.127.192.1");
    private static readonly IPAddress Other = IPAddress.Parse("100.127.192.2");

    private static OverlayIntent Secret => Intents.Prod with
    {
        Encrypted = true,
        Peers = [new PeerIntent(Other, "node-b", Intents.NodeB)],
        RemoteNics = [Intents.Remote("web-02", 2, 2) with { Vtep = Other }],
    };

    private static DataplaneIntent With(params OverlayIntent[] overlays) => Intents.With(overlays) with
    {
        Mesh = new MeshIntent(Own, 1440, [new MeshPeer("node-b", MeshKey.Make().Public, new IPEndPoint(Intents.Vtep(2), MeshIntent.Port), Other)]),
    };

    [Fact]
    public void B016_Its_tunnel_ends_at_the_address_of_the_mesh_and_its_MTU_leaves_room_for_both()
    {
        DesiredState desired = DesiredStateBuilder.From(With(Secret));
        Link.Vxlan tunnel = Assert.Single(desired.Links.Select(l => l.Value).OfType<Link.Vxlan>());

        Assert.Equal(Own, tunnel.Local);
        Assert.All(desired.Links, l => Assert.Equal(1390, l.Value.Mtu));
        Assert.All(desired.TunnelEntries, e => Assert.Equal(Other, e.Value.Destination));
        Assert.Equal(2, desired.TunnelEntries.Length);
        Assert.Empty(desired.Refusals);
    }

    [Fact]
    public void A025_Endpoints_of_the_newer_family_cost_twenty_bytes_more()
    {
        Assert.Equal(1390, KernelFacts.EncryptedMtu(1500, IPAddress.Parse("192.0.2.1")));
        Assert.Equal(1370, KernelFacts.EncryptedMtu(1500, IPAddress.Parse("2001:db8::1")));
        Assert.Equal(8890, KernelFacts.EncryptedMtu(9000, IPAddress.Parse("192.0.2.1")));
    }

    [Fact]
    public void Beside_it_one_in_clear_stays_as_it_is()
    {
        OverlayIntent clear = Intents.Prod with { Name = "other", Uid = 9, Vni = 5, Bridge = "kbr-other", VxlanDevice = "vxlan5", LocalNics = [], RemoteNics = [] };
        DesiredState desired = DesiredStateBuilder.From(With(Secret, clear));

        Link.Vxlan tunnel = desired.Links.Select(l => l.Value).OfType<Link.Vxlan>().Single(v => v.Vni == 5);
        Assert.Equal(Intents.Vtep(1), tunnel.Local);
        Assert.Equal(1450, tunnel.Mtu);
        Assert.Equal(["14458"], desired.State.Nft!.Elements[NftSkeleton.SecretVnis]);
        Assert.Contains("100.127.192.2", desired.State.Nft!.Elements["inet vteps4"]);
    }

    [Fact]
    public void Without_an_address_in_the_mesh_nothing_of_it_is_made_and_nothing_taken_away()
    {
        DesiredState desired = DesiredStateBuilder.From(With(Secret) with { Mesh = null });

        Assert.Empty(desired.Links);
        Assert.True(Assert.Single(desired.Refusals).Blocks);
        Assert.Contains("vxlan14458", desired.SparedDevices);
    }

    [Fact]
    public void A_node_without_a_key_is_named_and_gets_nothing()
    {
        DesiredState desired = DesiredStateBuilder.From(With(Secret with { Peers = [], RemoteNics = [], WithoutKey = ["node-b"] }));

        Assert.Empty(desired.TunnelEntries);
        Refusal refusal = Assert.Single(desired.Refusals);
        Assert.False(refusal.Blocks);
        Assert.Contains("node-b", refusal.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void A_host_inside_the_space_of_the_mesh_takes_no_part() => Assert.Contains(
        "100.127.192.0/18",
        Assert.Single(DesiredStateBuilder.From(With(Secret) with { Self = Intents.Self with { Vtep = IPAddress.Parse("100.127.200.1") } }).Refusals).Reason,
        StringComparison.Ordinal);

    [Fact]
    public void B118_The_filter_lets_nothing_secret_in_or_out_but_by_the_device_of_the_mesh()
    {
        string text = NftText.Render(DesiredStateBuilder.From(With(Secret)).State.Nft);

        Assert.Contains("typeof @th,96,24\n    elements = { 14458 }", text, StringComparison.Ordinal);
        Assert.Contains("iifname != \"kwg0\" udp dport 4789 @th,96,24 @secret_vnis drop", text, StringComparison.Ordinal);
        Assert.Contains("oifname != \"kwg0\" udp dport 4789 @th,96,24 @secret_vnis drop", text, StringComparison.Ordinal);
        Assert.Contains("oifname != \"kwg0\" udp dport 4789 ip daddr 100.127.192.0/18 drop", text, StringComparison.Ordinal);
        Assert.Contains("udp dport 51820 ip saddr != @vteps4 drop", text, StringComparison.Ordinal);
        Assert.DoesNotContain("51820", NftText.Render(DesiredStateBuilder.From(Intents.With(Intents.Prod)).State.Nft), StringComparison.Ordinal);
    }
}

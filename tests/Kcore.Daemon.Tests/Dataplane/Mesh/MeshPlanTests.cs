using System.Collections.Immutable;
using System.Net;
using Kcore.Daemon.Catalog.Facts;
using Kcore.Daemon.Dataplane.Mesh;
using Kcore.Netlink.Wireguard;

namespace Kcore.Daemon.Tests.Dataplane.Mesh;

public sealed class MeshPlanTests
{
    private static readonly DateTimeOffset Now = DateTimeOffset.FromUnixTimeSeconds(1_700_000_000);
    private static readonly MeshKey Own = MeshKey.Make();
    private static readonly Dictionary<WireguardKey, IPEndPoint> Nothing = [];

    private static MeshPeer Peer(int number, string at = "192.0.2.12:51820") => new(
        $"node-{number}", Key(number), IPEndPoint.Parse(at), IPAddress.Parse($"100.127.192.{number}"));

    private static WireguardKey Key(int number) => WireguardKey.TryFrom([.. Enumerable.Repeat((byte)number, 32)])!;

    private static MeshIntent Mesh(params ImmutableArray<MeshPeer> peers) => new(IPAddress.Parse("100.127.192.1"), 1440, peers);

    private static WireguardPeerInfo Seen(MeshPeer peer, TimeSpan? handshake = null, string? at = null) => new(
        peer.Key.Bytes.ToArray(), at is null ? peer.Endpoint : IPEndPoint.Parse(at), [new IPNetwork(peer.Address, 32)], MeshPlan.Keepalive, handshake is { } age ? Now - age : null);

    private static WireguardInfo Device(params ImmutableArray<WireguardPeerInfo> peers) => new(Own.Secret, MeshIntent.Port, peers);

    [Fact]
    public void A_new_device_gets_everything()
    {
        WireguardChange change = MeshPlan.Between(Mesh(Peer(2)), Own, new WireguardInfo(default, 0, []), Nothing, Now);

        Assert.Equal(Own.Secret.ToArray(), change.PrivateKey!.Value.ToArray());
        Assert.Equal(MeshIntent.Port, change.ListenPort!.Value);
        WireguardPeerChange peer = Assert.Single(change.Peers);
        Assert.Equal([IPNetwork.Parse("100.127.192.2/32")], peer.AllowedIps!.Value.ToArray());
        Assert.Equal(Peer(2).Endpoint, peer.Endpoint);
    }

    [Fact]
    public void What_is_right_is_not_touched() =>
        Assert.True(MeshPlan.Between(Mesh(Peer(2), Peer(3)), Own, Device(Seen(Peer(3)), Seen(Peer(2))), Nothing, Now).IsEmpty);

    [Fact]
    public void A_peer_nobody_wants_goes()
    {
        WireguardPeerChange gone = Assert.Single(MeshPlan.Between(Mesh(Peer(2)), Own, Device(Seen(Peer(2)), Seen(Peer(9))), Nothing, Now).Peers);

        Assert.True(gone.Remove);
        Assert.Equal(Key(9).Bytes.ToArray(), gone.PublicKey.ToArray());
    }

    [Fact]
    public void A_peer_with_a_new_key_replaces_the_one_with_the_old()
    {
        ImmutableArray<WireguardPeerChange> peers = MeshPlan.Between(Mesh(Peer(2) with { Key = Key(7) }), Own, Device(Seen(Peer(2))), Nothing, Now).Peers;

        Assert.Equal([true, false], peers.Select(p => p.Remove));
        Assert.Equal([IPNetwork.Parse("100.127.192.2/32")], peers[1].AllowedIps!.Value.ToArray());
    }

    [Fact]
    public void More_addresses_than_its_own_are_taken_from_a_peer()
    {
        WireguardPeerInfo wide = Seen(Peer(2)) with { AllowedIps = [IPNetwork.Parse("100.127.192.2/32"), IPNetwork.Parse("0.0.0.0/0")] };

        Assert.Equal([IPNetwork.Parse("100.127.192.2/32")], Assert.Single(MeshPlan.Between(Mesh(Peer(2)), Own, Device(wide), Nothing, Now).Peers).AllowedIps!.Value.ToArray());
    }

    [Fact]
    public void A_peer_that_was_just_heard_elsewhere_is_left_there_until_it_says_that_it_moved()
    {
        Dictionary<WireguardKey, IPEndPoint> told = new() { [Key(2)] = Peer(2).Endpoint };
        WireguardInfo seen = Device(Seen(Peer(2), TimeSpan.FromSeconds(10), at: "198.51.100.9:40000"));

        Assert.True(MeshPlan.Between(Mesh(Peer(2)), Own, seen, told, Now).IsEmpty);
        Assert.Equal(
            IPEndPoint.Parse("192.0.2.99:51820"),
            Assert.Single(MeshPlan.Between(Mesh(Peer(2, "192.0.2.99:51820")), Own, seen, told, Now).Peers).Endpoint);
        WireguardInfo silent = Device(Seen(Peer(2), TimeSpan.FromSeconds(200), at: "198.51.100.9:40000"));
        Assert.Equal(Peer(2).Endpoint, Assert.Single(MeshPlan.Between(Mesh(Peer(2)), Own, silent, told, Now).Peers).Endpoint);
    }

    [Fact]
    public void A_key_that_two_nodes_state_is_nobodys_and_neither_is_our_own()
    {
        MeshPeer self = Peer(4) with { Key = Own.Public };

        Assert.True(MeshPlan.Between(Mesh(Peer(2), Peer(3) with { Key = Key(2) }, self), Own, Device(), Nothing, Now).IsEmpty);
    }

    [Fact]
    public void A_changed_key_is_set() =>
        Assert.Equal(Own.Secret.ToArray(), MeshPlan.Between(Mesh(), Own, Device() with { PrivateKey = MeshKey.Make().Secret }, Nothing, Now).PrivateKey!.Value.ToArray());
}

using System.Collections.Immutable;
using System.Net;
using Kcore.Daemon.Catalog;
using Kcore.Daemon.Catalog.Facts;
using Kcore.Daemon.Cluster.Addressing;
using Kcore.Daemon.Dataplane;
using Kcore.Daemon.Dataplane.Desired;
using Kcore.Daemon.Dataplane.Facts;
using Kcore.Daemon.Dataplane.Mesh;
using Kcore.Daemon.Ipam;
using Kcore.Daemon.Ipam.Attachments;
using Kcore.Daemon.Ipam.Pools;
using Kcore.Gossip;
using static Kcore.Daemon.Tests.Catalog.Said;

namespace Kcore.Daemon.Tests.Dataplane.Mesh;

/// <summary>From the catalog to the mesh and back.</summary>
public sealed class MeshFactsTests
{
    private static readonly LocalNode Self = new(A, "node-a", false, "0.1.0");
    private static readonly Underlay Underlay = new(new AdvertisedAddress.Chosen(IPAddress.Parse("192.0.2.10"), "eth0", "a test"), 1500);
    private static readonly MeshStatus Up = MeshStatus.None with { IsUp = true };

    private static CatalogEntry Keyed(NodeId node, bool disabled = false) => Entry(node, FactKeys.Node, FactKind.Node, FactCodec.Encode(
        new NodeFact($"node-{(ulong)node.Value:x}", IPAddress.Parse($"192.0.2.{(ulong)node.Value}"), disabled, "0.1.0", 1500, "eth0", false)
        {
            Wireguard = new WireguardEndpoint(Key(node), MeshIntent.Port),
        }));

    private static WireguardKey Key(NodeId node) => WireguardKey.TryFrom([.. Enumerable.Repeat((byte)node.Value, 32)])!;

    private static CatalogEntry Inside(NodeId node, NodeId? origin = null) => Entry(
        origin ?? NodeId.Raft, FactKeys.Mesh(node), FactKind.Mesh, FactCodec.Encode(new MeshFact(node, IPAddress.Parse($"100.127.192.{(ulong)node.Value}"))));

    private static CatalogEntry Admitted(NodeId node) => Entry(
        NodeId.Raft, FactKeys.Admission(node), FactKind.Admission, FactCodec.Encode(new AdmissionFact(node, 7, "x")));

    private static CatalogEntry[] Secret =>
    [
        Claim(Created(A, "secret", 1, uid: 1, Overlay() with { Encryption = Encryption.Wireguard })),
        Participation(A, 1),
        Participation(B, 1),
        Participation(C, 1),
        Nic(B, NicFact(11, 1, "web-02", 2, "10.88.0.2")),
        Nic(C, NicFact(12, 1, "web-03", 3, "10.88.0.3")),
    ];

    private static DataplaneIntent Build(params CatalogEntry[] more) => IntentBuilder.Build(
        Self, Underlay, null, Snapshot([.. Secret, .. more]), new AttachmentSet(ImmutableSortedDictionary<UInt128, AttachmentRecord>.Empty), null);

    [Fact]
    public void Peers_are_reached_at_their_addresses_in_the_mesh_and_heard_at_those_outside()
    {
        DataplaneIntent intent = Build(Keyed(A), Keyed(B), Keyed(C), Inside(A), Inside(B), Inside(C));

        Assert.Equal(["100.127.192.11", "100.127.192.12"], intent.Overlays[0].Peers.Select(p => p.Vtep.ToString()));
        Assert.Equal(["100.127.192.11", "100.127.192.12"], intent.Overlays[0].RemoteNics.Select(p => p.Vtep.ToString()));
        Assert.Equal("100.127.192.10", intent.Mesh!.Address.ToString());
        Assert.Equal(1440, intent.Mesh.Mtu);
        Assert.Equal(["192.0.2.11:51820", "192.0.2.12:51820"], intent.Mesh.Peers.Select(p => p.Endpoint.ToString()));
        Assert.Equal(["192.0.2.11", "192.0.2.12"], intent.VtepMembers.Select(v => v.ToString()));
    }

    [Fact]
    public void B118_A_node_without_key_or_address_gets_nothing_least_of_all_in_clear()
    {
        DataplaneIntent intent = Build(Keyed(A), Node(B), Keyed(C), Inside(A), Inside(B));

        Assert.Empty(intent.Overlays[0].Peers);
        Assert.Empty(intent.Overlays[0].RemoteNics);
        Assert.Equal(["node-b", "node-c"], intent.Overlays[0].WithoutKey.ToArray());
        Assert.Empty(intent.Mesh!.Peers);
    }

    [Fact]
    public void Without_an_address_of_its_own_a_node_has_no_mesh() => Assert.Null(Build(Keyed(A), Keyed(B), Inside(B)).Mesh);

    [Fact]
    public void Without_an_encrypted_network_there_is_no_mesh_whatever_keys_there_are() => Assert.Null(IntentBuilder.Build(
        Self, Underlay, null, Snapshot([Claim(Created(A, "prod", 1, uid: 1)), Keyed(A), Inside(A)]), new AttachmentSet(ImmutableSortedDictionary<UInt128, AttachmentRecord>.Empty), null).Mesh);

    [Fact]
    public void Only_the_log_says_who_has_which_address() => Assert.Null(Build(Keyed(A), Inside(A, origin: B)).Mesh);

    [Fact]
    public void A_change_of_a_peer_of_the_mesh_is_a_change()
    {
        DataplaneIntent one = Build(Keyed(A), Keyed(B), Inside(A), Inside(B));

        Assert.True(IntentComparison.Same(one, Build(Keyed(A), Keyed(B), Inside(A), Inside(B))));
        Assert.False(IntentComparison.Same(one, one with { Mesh = one.Mesh! with { Peers = [] } }));
        Assert.False(IntentComparison.Same(one, one with { Mesh = null }));
        Assert.False(IntentComparison.Same(one, one with { Overlays = [one.Overlays[0] with { WithoutKey = ["node-x"] }] }));
    }

    [Fact]
    public void The_log_is_asked_for_an_address_once_a_node_has_a_key_and_not_before()
    {
        Assert.Equal(
            [new ReplicatedCommand.JoinMesh(Kcore.Daemon.Cluster.Uid.ToGuid(B.Value))],
            PoolLoop.Due(Snapshot([Keyed(A), Keyed(B), Node(C), Admitted(A), Admitted(B), Admitted(C), Inside(A)]).View, new Dictionary<UInt128, string>()));
        Assert.Empty(PoolLoop.Due(Snapshot([Keyed(B)]).View, new Dictionary<UInt128, string>()));
    }

    [Fact]
    public void An_encrypted_network_is_as_ready_as_the_mesh_and_says_whom_it_does_not_reach()
    {
        CatalogEntry[] all = [Keyed(A), Keyed(B), Node(C), Inside(A), Inside(B), Inside(C)];

        Assert.Equal((ObjectState.Ready, null), State(Up, [Keyed(A), Keyed(B), Keyed(C), Inside(A), Inside(B), Inside(C)]));
        (ObjectState state, string? reason) = State(Up, all);
        Assert.Equal(ObjectState.Ready, state);
        Assert.Contains("node-c", reason, StringComparison.Ordinal);
        Assert.Equal(ObjectState.Pending, State(MeshStatus.None with { IsUp = false }, all).State);
        Assert.Equal((ObjectState.Failed, "no wireguard-go"), State(MeshStatus.None with { Failure = "no wireguard-go" }, all));
        Assert.Equal(ObjectState.Pending, State(Up, [Keyed(A)]).State);
    }

    [Fact]
    public void B023_After_a_restart_what_was_said_of_the_mesh_holds_until_somebody_has_looked() =>
        Assert.Equal((ObjectState.Ready, null), State(MeshStatus.None, [Keyed(A), Keyed(B), Keyed(C), Inside(A), Inside(B), Inside(C)]));

    [Fact]
    public void The_public_key_is_told_with_the_node_once_there_is_one()
    {
        LocalWrite without = Stated(null), with = Stated(Key(A));

        Assert.False(without.Value.Span.SequenceEqual(with.Value.Span));
        Assert.True(FactCodec.TryDecode(Entry(A, with.Key, FactKind.Node, with.Value), out NodeFact? fact));
        Assert.Equal(new WireguardEndpoint(Key(A), 51820), fact.Wireguard);
    }

    private static LocalWrite Stated(WireguardKey? key) => OwnFacts.Difference(
        Self, Underlay, Snapshot([]), new AttachmentSet(ImmutableSortedDictionary<UInt128, AttachmentRecord>.Empty), ReconcileStatus.None, _ => null, false, 0, key: key)
        .Single(w => w.Key == FactKeys.Node);

    private static (ObjectState State, string? Reason) State(MeshStatus mesh, CatalogEntry[] more)
    {
        CatalogSnapshot now = Snapshot([.. Secret, .. more]);
        ReconcileStatus kernel = ReconcileStatus.None with
        {
            Networks = ImmutableSortedDictionary<string, NetworkHealth>.Empty.Add("secret", new NetworkHealth(null, ImmutableSortedDictionary<string, NicHealth>.Empty)),
        };
        return OwnFacts.StateOf(now.View.Networks["secret"], A, now, kernel, mesh);
    }
}

using Kcore.Daemon.Catalog.Facts;
using Kcore.Daemon.Dataplane.Paths;
using Kcore.Gossip;
using static Kcore.Daemon.Tests.Catalog.Said;

namespace Kcore.Daemon.Tests.Dataplane.Paths;

/// <summary>Only where guests' frames go, packets are sent to see whether they arrive.</summary>
public sealed class PathPeersTests
{
    [Fact]
    public void B119_The_peers_are_those_an_overlay_is_ready_on_that_is_ready_here_too() =>
        Assert.Equal([new PathPeer(B, Ip("192.0.2.11"), true)], Of([Participation(A, 1), Participation(B, 1)]));

    [Fact]
    public void Where_it_is_not_ready_here_or_there_nobody_listens()
    {
        Assert.Empty(Of([Participation(A, 1, ObjectState.Pending), Participation(B, 1)]));
        Assert.Empty(Of([Participation(A, 1), Participation(B, 1, ObjectState.Failed)]));
        Assert.Empty(Of([Participation(B, 1), Participation(C, 1)]));
    }

    [Fact]
    public void Who_left_is_no_peer_and_who_is_dead_is_one_that_cannot_answer()
    {
        CatalogEntry[] all = [Participation(A, 1), Participation(B, 1), Participation(C, 1)];

        Assert.Equal(
            [new PathPeer(C, Ip("192.0.2.12"), false)],
            Of(all, Member(A), Member(B, MemberStatus.Left), Member(C, MemberStatus.Dead)));
    }

    [Fact]
    public void Who_has_disabled_vxlan_is_no_peer() => Assert.Equal(
        [C],
        PathPeers.Of(
            A,
            Snapshot(
                [Node(A), Node(B, disabled: true), Node(C), Claim(Created(A, "prod", 1, uid: 1)), Participation(A, 1), Participation(B, 1), Participation(C, 1)],
                Member(A), Member(B), Member(C))).Select(p => p.Node));

    [Fact]
    public void An_encrypted_overlay_sends_nothing_by_the_path_that_is_looked_at() => Assert.Empty(PathPeers.Of(
        A,
        Snapshot(
            [Node(A), Node(B), Claim(Created(A, "secret", 1, uid: 1, Overlay() with { Encryption = Encryption.Wireguard })), Participation(A, 1), Participation(B, 1)],
            Member(A), Member(B))));

    private static IReadOnlyList<PathPeer> Of(CatalogEntry[] participations, params Member[] members) => PathPeers.Of(
        A,
        Snapshot([Node(A), Node(B), Node(C), Claim(Created(A, "prod", 1, uid: 1)), .. participations], members.Length == 0 ? [Member(A), Member(B), Member(C)] : members));

    private static System.Net.IPAddress Ip(string text) => System.Net.IPAddress.Parse(text);
}

using System.Net;
using Kcore.Contracts;
using Kcore.Daemon.Catalog;
using Kcore.Daemon.Catalog.Facts;
using Kcore.Daemon.Dataplane.Nics;
using Kcore.Gossip;
using static Kcore.Daemon.Tests.Catalog.Said;

namespace Kcore.Daemon.Tests.Dataplane;

/// <summary>Behaviour 115: a move that cannot be is refused before anything happened, with what helps.</summary>
public sealed class MoveCheckTests
{
    private static readonly NetworkSpec Bridged = Overlay("10.99.0.1") with { Type = NetworkType.Bridge, OutboundNat = false };

    [Fact]
    public void A_NIC_of_an_overlay_moves_with_its_lease_to_a_node_that_has_the_network()
    {
        CatalogSnapshot now = Prod();
        Movable movable = MoveCheck.Check(MoveCheck.Find("web-01", "prod", now, C), B, false, false, now);
        Assert.Equal((A, B, (UInt128)5, IPAddress.Parse("10.88.0.2")), (movable.Nic.Node, movable.To, movable.Network.Uid, movable.Lease!.Address));
    }

    [Fact]
    public void A_NIC_of_a_bridge_moves_to_the_bridge_of_that_name_on_the_other_node()
    {
        CatalogSnapshot now = Bridge(Bridged);
        Movable movable = MoveCheck.Check(MoveCheck.Find("web-01", "lan", now, C), B, false, false, now);
        Assert.Equal(((UInt128)7, null), (movable.Network.Uid, movable.Lease));
    }

    [Fact]
    public void A_target_that_cannot_take_it_is_named_with_the_reason()
    {
        Refuses(ErrorCode.Unavailable, "not heard", Prod(target: MemberStatus.Dead));
        Refuses(ErrorCode.FailedPrecondition, "VXLAN is disabled on node node-b", Prod(more: Node(B, disabled: true)));
        Refuses(ErrorCode.FailedPrecondition, "drained", Prod(more: Entry(B, FactKeys.Node, FactKind.Node, FactCodec.Encode(
            new NodeFact("node-b", IPAddress.Parse("192.0.2.11"), false, "0.1.0", 1500, "eth0", false, Drained: true)))));
        Refuses(ErrorCode.FailedPrecondition, "not ready on node node-b", Prod(state: ObjectState.Failed));
        Assert.Equal(ErrorCode.NotFound, Assert.Throws<RefusedException>(() => MoveCheck.FindNode("node-x", Prod())).Problem.Code);
        Assert.Equal(ErrorCode.InvalidArgument, Assert.Throws<RefusedException>(() => MoveCheck.FindNode(" ", Prod())).Problem.Code);
    }

    [Theory]
    [InlineData(MemberStatus.Suspect)]
    [InlineData(MemberStatus.Dead)]
    public void A_source_that_is_silent_may_be_running_the_guest_unless_the_operator_knows_better(MemberStatus status)
    {
        CatalogSnapshot now = Prod(source: status);
        Problem problem = Refuses(ErrorCode.FailedPrecondition, "may be running", now);
        Assert.Contains("--force", problem.Next, StringComparison.Ordinal);
        Assert.NotNull(MoveCheck.Check(MoveCheck.Find("web-01", "prod", now, C), B, false, force: true, now).Lease);
    }

    [Fact]
    public void An_address_that_is_no_lease_or_an_orphaned_one_does_not_move()
    {
        Refuses(ErrorCode.FailedPrecondition, "not a lease", Prod(lease: null));
        Refuses(ErrorCode.FailedPrecondition, "orphaned", Prod(lease: Entry(
            NodeId.Raft, FactKeys.Lease(1), FactKind.Lease, FactCodec.Encode(new LeaseFact(1, 5, IPAddress.Parse("10.88.0.2"), Mac(1), A, "web-01", 5, Orphaned: true)))));
    }

    [Fact]
    public void A_nat_network_and_a_bridge_that_is_missing_or_another_one_there_are_refused()
    {
        Refuses(ErrorCode.FailedPrecondition, "of type nat", Bridge(Overlay("10.99.0.1") with { Type = NetworkType.Nat }), "lan");
        Refuses(ErrorCode.FailedPrecondition, "is not on node node-b", Bridge(null), "lan");
        Refuses(ErrorCode.FailedPrecondition, "of type nat on node node-b", Bridge(Bridged, Overlay("10.99.0.1") with { Type = NetworkType.Nat }), "lan");
        Refuses(ErrorCode.FailedPrecondition, "VLAN", Bridge(Bridged, Bridged with { VlanId = 7 }), "lan");
        Refuses(ErrorCode.AlreadyExists, "has NIC 'other'", Bridge(Bridged, Bridged, Nic(B, NicFact(2, 7, "other", 1))), "lan");
    }

    [Fact]
    public void A_NIC_that_leads_into_a_namespace_needs_one_there_and_an_ambiguous_name_a_node()
    {
        CatalogSnapshot now = Prod(nic: NicFact(1, 5, "web-01", 1, "10.88.0.2", 5) with { Netns = "/run/netns/web", Ifname = "eth0" });
        Refuses(ErrorCode.InvalidArgument, "name the namespace", now);
        Assert.NotNull(MoveCheck.Check(MoveCheck.Find("web-01", "prod", now, C), B, leadsIntoNamespace: true, false, now));
        Assert.Equal(ErrorCode.NotFound, Assert.Throws<RefusedException>(() => MoveCheck.Find("none", "prod", now, C)).Problem.Code);

        CatalogSnapshot twice = Bridge(Bridged, Bridged, Nic(B, NicFact(2, 7, "web-01", 2)));
        Assert.Equal(ErrorCode.FailedPrecondition, Assert.Throws<RefusedException>(() => MoveCheck.Find("web-01", "lan", twice, C)).Problem.Code);
        Assert.Equal(B, MoveCheck.Find("web-01", "lan", twice, B).Node);
    }

    private static Problem Refuses(ErrorCode code, string text, CatalogSnapshot now, string network = "prod")
    {
        Problem problem = Assert.Throws<RefusedException>(() => MoveCheck.Check(MoveCheck.Find("web-01", network, now, C), B, false, false, now)).Problem;
        Assert.Equal(code, problem.Code);
        Assert.Contains(text, problem.Message, StringComparison.Ordinal);
        Assert.NotNull(problem.Next);
        return problem;
    }

    private static CatalogSnapshot Prod(
        MemberStatus source = MemberStatus.Alive, MemberStatus target = MemberStatus.Alive, ObjectState state = ObjectState.Ready, NicFact? nic = null, CatalogEntry? more = null) =>
        Prod(Lease(1, 5, "10.88.0.2", A), source, target, state, nic, more);

    private static CatalogSnapshot Prod(
        CatalogEntry? lease, MemberStatus source = MemberStatus.Alive, MemberStatus target = MemberStatus.Alive, ObjectState state = ObjectState.Ready, NicFact? nic = null, CatalogEntry? more = null)
    {
        CatalogEntry?[] entries =
        [
            Node(A), more ?? Node(B), Claim(Created(A, "prod", 1, 5)), Participation(A, 5), Participation(B, 5, state),
            Nic(A, nic ?? NicFact(1, 5, "web-01", 1, "10.88.0.2", 5)), lease,
        ];
        return Snapshot(entries.OfType<CatalogEntry>(), Member(A, source), Member(B, target), Member(C));
    }

    private static CatalogSnapshot Bridge(NetworkSpec? here, NetworkSpec? there = null, CatalogEntry? more = null)
    {
        CatalogEntry?[] entries =
        [
            Node(A), Node(B), Claim(Local(A, "lan", A, 1, 6, here ?? Bridged)), here is null ? null : Claim(Local(B, "lan", B, 2, 7, there ?? here)), Nic(A, NicFact(1, 6, "web-01", 1)), more,
        ];
        return Snapshot(entries.OfType<CatalogEntry>(), Member(A), Member(B), Member(C));
    }
}

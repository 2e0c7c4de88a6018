using System.Net;
using Kcore.Contracts;
using Kcore.Daemon.Api;
using Kcore.Daemon.Catalog;
using Kcore.Daemon.Catalog.Facts;
using Kcore.Daemon.Catalog.Validation;
using Kcore.Gossip;
using static Kcore.Daemon.Tests.Catalog.Said;

namespace Kcore.Daemon.Tests.Api;

public sealed class AddressReportsTests
{
    private static readonly CatalogEntry Prod = Claim(Created(A, "prod", 1, uid: 1));

    [Fact]
    public void B032_the_pool_of_an_overlay_is_told_with_its_leases_by_address()
    {
        NetworkAddresses report = Report(
            "prod",
            [Prod, Pool(1, "prod"), Admitted(A), Admitted(B), Lease(7, 1, "10.88.0.10", B), Lease(8, 1, "10.88.0.9", A), Lease(9, 2, "10.99.0.2", A)],
            Member(A),
            Member(B));

        Assert.Equal(("prod", "vxlan", "10.88.0.0/24", 253, 0, 253, "10.88.0.2"), (report.Network, report.Type, report.Subnet, report.Size, report.Used, report.Free, report.Next));
        Assert.Equal<IEnumerable<AddressLease>>(
            [
                new AddressLease("10.88.0.9", "web-01", "node-a", A.ToString(), "52:54:00:00:00:01", "held", FactKeys.Hex(8)),
                new AddressLease("10.88.0.10", "web-01", "node-b", B.ToString(), "52:54:00:00:00:01", "held", FactKeys.Hex(7)),
            ],
            report.Leases);
        Assert.Equal<IEnumerable<ReservedRange>>([new ReservedRange("10.88.0.1", "10.88.0.1", "gateway")], report.Reserved);
        Assert.Null(report.DhcpRange);
    }

    [Fact]
    public void Exclusions_are_told_as_ranges_and_the_gateway_by_itself()
    {
        NetworkSpec spec = Overlay("10.88.0.5") with
        {
            Excluded = ExcludeText.Parse(["10.88.0.200-10.88.0.250", "10.88.0.4-10.88.0.9", "10.88.0.2"], Overlay().Subnet, IPAddress.Parse("10.88.0.5")),
        };

        Assert.Equal<IEnumerable<ReservedRange>>(
            [
                new ReservedRange("10.88.0.2", "10.88.0.2", "excluded"),
                new ReservedRange("10.88.0.4", "10.88.0.9", "excluded"),
                new ReservedRange("10.88.0.5", "10.88.0.5", "gateway"),
                new ReservedRange("10.88.0.200", "10.88.0.250", "excluded"),
            ],
            Report("prod", [Claim(Created(A, "prod", 1, uid: 1, spec)), Pool(1, "prod")]).Reserved);
    }

    [Theory]
    [InlineData(false, "held", 0)]
    [InlineData(true, "orphaned", 1)]
    public void A_lease_is_orphaned_when_the_log_says_so_and_not_because_its_node_is_silent(bool isOrphaned, string state, long count)
    {
        CatalogEntry lease = Entry(
            NodeId.Raft, FactKeys.Lease(7), FactKind.Lease, FactCodec.Encode(new LeaseFact(7, 1, IPAddress.Parse("10.88.0.2"), Mac(1), B, "web-01", 5, isOrphaned)));
        NetworkAddresses report = Report("prod", [Prod, Pool(1, "prod"), lease, Admitted(B)], Member(A), Member(B, MemberStatus.Dead));

        Assert.Equal((state, count), (Assert.Single(report.Leases).State, report.Orphaned));
    }

    [Fact]
    public void Whether_and_which_addresses_are_given_again_is_told()
    {
        CatalogEntry pool = Entry(
            NodeId.Raft, FactKeys.Pool(1), FactKind.Pool, FactCodec.Encode(new PoolFact(1, "prod", 14458, null, 253, 250, 0, Resting: 3)));
        NetworkAddresses report = Report("prod", [Claim(Created(A, "prod", 1, uid: 1, Overlay() with { Reuse = AddressReuse.Quarantine })), pool]);

        Assert.Equal(("quarantine", 3), (report.AddressReuse, report.Resting));
        Assert.Equal("never", Report("prod", [Prod, pool]).AddressReuse);
    }

    [Fact]
    public void What_nodes_have_in_reserve_is_told_by_address_and_which_of_it_a_nic_has_already()
    {
        CatalogEntry[] parked =
        [
            Parked("10.88.0.254", B, 5), Parked("10.88.0.253", B, 5), Parked("10.88.0.99", A, 6),
        ];
        NetworkAddresses report = Report(
            "prod",
            [Claim(Created(A, "prod", 1, uid: 1, Overlay() with { EmergencyReserve = 2 })), Pool(1, "prod"), .. parked, Nic(B, NicFact(7, 1, "web-01", 1, "10.88.0.254"))],
            Member(A), Member(B));

        Assert.Equal(2, report.EmergencyReserve);
        Assert.Equal(["10.88.0.99 parked ", "10.88.0.253 parked ", "10.88.0.254 used web-01"], report.Parked.Select(p => $"{p.Address} {p.State} {p.Nic}"));
        Assert.Equal(B.ToString(), report.Parked[2].NodeId);
        Assert.Empty(report.Leases);

        static CatalogEntry Parked(string address, NodeId node, ulong index) => Entry(
            NodeId.Raft, FactKeys.Parked(1, IPAddress.Parse(address)), FactKind.Parked, FactCodec.Encode(new ParkedFact(1, IPAddress.Parse(address), node, index)));
    }

    [Fact]
    public void A_nat_network_tells_what_its_node_states()
    {
        CatalogEntry lab = Claim(Local(A, "lab", A, 1, uid: 3, Overlay("10.99.0.1") with { Type = NetworkType.Nat }));
        NetworkAddresses report = Report(
            "lab",
            [lab, Nic(A, NicFact(1, 3, "web", 1, "10.99.0.101")), Nic(A, NicFact(2, 3, "db", 2, "10.99.0.100")), Nic(A, NicFact(3, 3, "new", 3)), Nic(A, NicFact(4, 3, "own", 4, "10.99.0.7"))],
            Member(A));

        Assert.Equal((100, 2, 98, "10.99.0.102", "10.99.0.100 - 10.99.0.199"), (report.Size, report.Used, report.Free, report.Next, report.DhcpRange));
        Assert.Equal(
            [("10.99.0.7", "own", "held"), ("10.99.0.100", "db", "held"), ("10.99.0.101", "web", "held")],
            report.Leases.Select(l => (l.Address, l.Nic, l.State)));
    }

    [Fact]
    public void Of_nat_networks_of_one_name_this_node_s_own_is_told()
    {
        CatalogEntry[] entries =
        [
            Claim(Local(B, "lab", B, 1, uid: 4, Overlay("10.98.0.1") with { Type = NetworkType.Nat })),
            Claim(Local(A, "lab", A, 1, uid: 3, Overlay("10.99.0.1") with { Type = NetworkType.Nat })),
        ];

        Assert.Equal("10.99.0.0/24", Report("lab", entries).Subnet);
        Assert.Equal("10.98.0.0/24", Report("lab", entries[..1]).Subnet);
    }

    [Theory]
    [InlineData(null, ErrorCode.InvalidArgument, "network is required")]
    [InlineData(" ", ErrorCode.InvalidArgument, "network is required")]
    [InlineData("none", ErrorCode.NotFound, "network 'none' does not exist")]
    [InlineData("office", ErrorCode.FailedPrecondition, "from the uplink's network")]
    [InlineData("prod", ErrorCode.Unavailable, "waits for a quorum")]
    public void What_has_no_addresses_to_tell_is_refused(string? name, ErrorCode code, string text)
    {
        CatalogEntry[] entries = [Prod, Claim(Local(A, "office", A, 1, uid: 3, Overlay("10.99.0.1") with { Type = NetworkType.Bridge, OutboundNat = false }))];
        Problem problem = Assert.Throws<RefusedException>(() => Report(name, entries)).Problem;

        Assert.Equal(code, problem.Code);
        Assert.Contains(text, problem.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_network_in_conflict_says_so() => Assert.Equal(
        ErrorCode.FailedPrecondition,
        Assert.Throws<RefusedException>(() => Report("overlay", [Claim(Created(A, "overlay0", 1, uid: 1)), Claim(Created(B, "overlay", 2, uid: 2))])).Problem.Code);

    private static NetworkAddresses Report(string? network, CatalogEntry[] entries, params Member[] members) =>
        AddressReports.Report(network, Snapshot(entries, members), A);

    private static CatalogEntry Admitted(NodeId node) => Entry(
        NodeId.Raft, FactKeys.Admission(node), FactKind.Admission, FactCodec.Encode(new AdmissionFact(node, 1, "any")));
}

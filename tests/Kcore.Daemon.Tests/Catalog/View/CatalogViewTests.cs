using System.Runtime.CompilerServices;
using FsCheck;
using FsCheck.Fluent;
using Kcore.Contracts;
using Kcore.Daemon.Catalog;
using Kcore.Daemon.Catalog.Facts;
using Kcore.Daemon.Catalog.View;
using Kcore.Gossip;
using static Kcore.Daemon.Tests.Catalog.Said;

namespace Kcore.Daemon.Tests.Catalog.View;

public sealed class CatalogViewTests
{
    [Fact]
    public void Behaviour_110_any_order_of_the_same_entries_means_the_same()
    {
        Gen<CatalogEntry[]> catalogs = Gen.ArrayOf(AnyEntry(), 24)
            .Select(entries => entries.DistinctBy(e => (e.Origin, e.Key)).ToArray());
        Gen<(CatalogEntry[] One, CatalogEntry[] Other)> pairs =
            from entries in catalogs
            from shuffled in Gen.Shuffle(entries)
            select (entries, shuffled);
        Prop.ForAll(pairs.ToArbitrary(), p => Assert.Equal(Text(CatalogViewBuilder.Build(p.One)), Text(CatalogViewBuilder.Build(p.Other))))
            .Check(Config.QuickThrowOnFailure.WithMaxTest(300));
    }

    [Fact]
    public void What_was_read_before_means_the_same_as_what_is_read_anew()
    {
        Gen<CatalogEntry[][]> histories = Gen.ListOf(Gen.ArrayOf(AnyEntry(), 24), 4)
            .Select(h => h.Select(entries => entries.DistinctBy(e => (e.Origin, e.Key)).ToArray()).ToArray());
        Prop.ForAll(histories.ToArbitrary(), history =>
        {
            var memory = new FactMemory();
            CatalogEntry[] kept = [];
            foreach (CatalogEntry[] entries in history)
            {
                // Half of what stood stands on, and some of it is overwritten.
                kept = [.. entries.Concat(kept.Where((_, i) => i % 2 == 0)).DistinctBy(e => (e.Origin, e.Key))];
                Assert.Equal(Text(CatalogViewBuilder.Build(kept)), Text(CatalogViewBuilder.Build(kept, memory.Read)));
                memory.Trim(kept);
            }
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(100));
    }

    [Fact]
    public void Many_entries_that_came_and_went_are_forgotten()
    {
        var memory = new FactMemory();
        WeakReference gone = Fill(memory);
        memory.Trim([Node(A)]);
        GC.Collect();
        Assert.False(gone.IsAlive);

        [MethodImpl(MethodImplOptions.NoInlining)]
        static WeakReference Fill(FactMemory memory)
        {
            CatalogEntry first = Claim(Created(A, "n0", 1, uid: 1));
            for (int i = 1; i < 2000; i++)
            {
                memory.Read(Claim(Created(A, $"n{i}", 1, uid: 1)));
            }

            memory.Read(first);
            return new WeakReference(first);
        }
    }

    [Fact]
    public void Behaviour_111_of_two_creations_of_one_name_the_later_stamp_wins_and_the_loser_is_shown()
    {
        ClaimFact mine = Created(A, "prod", 1, uid: 1);
        ClaimFact theirs = Created(B, "prod", 1, uid: 2, Overlay("10.99.0.1"));

        Network network = View(Claim(mine), Claim(theirs)).Networks["prod"];

        Assert.Equal((UInt128)2, network.Uid);
        Assert.Contains("10.88.0.1/24", Assert.Single(network.Losers), StringComparison.Ordinal);
    }

    [Fact]
    public void A_deletion_beats_the_creation_it_was_made_in_knowledge_of()
    {
        ClaimFact created = Created(B, "prod", 1, uid: 1);

        CatalogView view = View(Claim(created), Claim(Deleted(A, created, 2)));

        Assert.Empty(view.Networks);
        Assert.Null(Assert.Single(view.Verdicts).Spec);
        Assert.Equal(2UL, view.ClaimCounter);
    }

    [Fact]
    public void A_network_created_anew_after_its_deletion_is_another_one()
    {
        ClaimFact created = Created(A, "prod", 1, uid: 1);

        CatalogView view = View(Claim(Deleted(B, created, 2)), Claim(Created(A, "prod", 3, uid: 9)));

        Assert.Equal((UInt128)9, view.Find("prod", A).Uid);
    }

    [Fact]
    public void A4_of_two_names_with_one_VNI_the_earlier_creation_keeps_it()
    {
        CatalogView view = View(Claim(Created(A, "overlay0", 1, uid: 1)), Claim(Created(B, "overlay", 2, uid: 2)));

        Assert.Null(view.Networks["overlay0"].Conflict);
        Assert.Contains("'overlay0'", view.Networks["overlay"].Conflict, StringComparison.Ordinal);
    }

    [Fact]
    public void A4_networks_that_are_no_overlays_have_no_VNI_to_fight_about()
    {
        NetworkSpec nat = Overlay() with { Type = NetworkType.Nat };

        CatalogView view = View(Claim(Created(A, "overlay0", 1, uid: 1)), Claim(Created(B, "overlay", 2, uid: 2, nat)));

        Assert.All(view.Networks.Values, n => Assert.Null(n.Conflict));
    }

    [Fact]
    public void A18_names_that_differ_only_in_case_are_one_name()
    {
        CatalogView view = View(Claim(Created(A, "Prod", 1, uid: 1)), Claim(Created(B, "prod", 2, uid: 2)));

        Assert.Equal(["prod"], view.Networks.Keys);
        Assert.Contains("'Prod'", Assert.Single(view.Networks["prod"].Losers), StringComparison.Ordinal);
    }

    [Fact]
    public void What_Raft_commits_counts_only_from_the_Raft_origin()
    {
        CatalogView view = View(
            Pool(1, "prod", origin: A),
            Lease(1, 1, "10.88.0.2", A, origin: A),
            Entry(A, FactKeys.Admission(B), FactKind.Admission, FactCodec.Encode(new AdmissionFact(B, 1, "b"))),
            Entry(A, FactKeys.Dissolved, FactKind.Dissolved, FactCodec.Encode(new DissolvedFact(9))));

        Assert.Equal(Text(CatalogView.Empty), Text(view));
        Assert.Single(View(Pool(1, "prod")).Pools);
    }

    [Fact]
    public void What_a_node_states_does_not_count_from_the_Raft_origin()
    {
        CatalogView view = View(
            Node(NodeId.Raft, "x", "192.0.2.1"),
            Participation(NodeId.Raft, 1),
            Nic(NodeId.Raft, NicFact(1, 1, "web-01", 1)),
            Claim(Created(A, "prod", 1, uid: 1), origin: NodeId.Raft));

        Assert.Equal(Text(CatalogView.Empty), Text(view));
    }

    [Fact]
    public void A_claim_stamped_in_the_name_of_another_node_is_ignored() =>
        Assert.Empty(View(Claim(Created(B, "prod", 1, uid: 1), origin: A)).Verdicts);

    [Fact]
    public void A_fact_under_a_key_that_is_not_its_own_is_ignored() =>
        Assert.Empty(View(Entry(A, FactKeys.Claim("other"), FactKind.Claim, FactCodec.Encode(Created(A, "prod", 1, uid: 1)))).Verdicts);

    [Fact]
    public void Two_networks_that_claim_one_uid_do_not_take_the_view_down()
    {
        CatalogView view = View(Claim(Created(A, "prod", 1, uid: 1)), Claim(Created(B, "lan", 1, uid: 1)));

        Assert.Equal(["lan", "prod"], view.Networks.Keys);
        Assert.Equal("prod", view.NetworksByUid[1].Name);
    }

    [Fact]
    public void Of_two_nodes_that_state_one_MAC_the_later_lease_wins()
    {
        CatalogView view = View(Nic(A, NicFact(1, 1, "web-01", 1, lease: 10)), Nic(B, NicFact(2, 1, "web-01", 1, lease: 11)));

        Assert.Equal(B, Assert.Single(view.Nics).Node);
    }

    [Fact]
    public void One_MAC_on_two_networks_is_no_conflict() =>
        Assert.Equal(2, View(Nic(A, NicFact(1, 1, "web-01", 1)), Nic(A, NicFact(2, 2, "web-01", 1))).Nics.Length);

    [Fact]
    public void Behaviour_96_an_unknown_network_is_not_found_by_name()
    {
        Problem problem = Assert.Throws<RefusedException>(() => CatalogView.Empty.Find("prod", A)).Problem;

        Assert.Equal(ErrorCode.NotFound, problem.Code);
        Assert.Contains("prod", problem.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_node_is_found_by_name_and_by_id()
    {
        CatalogSnapshot snapshot = Snapshot([Node(B)], Member(A), Member(B));

        Assert.Equal(B, snapshot.FindNode("node-b"));
        Assert.Equal(B, snapshot.FindNode(B.ToString()));
        Assert.Null(snapshot.FindNode("node-x"));
        Assert.Null(snapshot.FindNode(C.ToString()));
    }

    private static CatalogView View(params CatalogEntry[] entries) => CatalogViewBuilder.Build(entries);

    /// <summary>From a world so small that everything collides with everything, lies included.</summary>
    private static Gen<CatalogEntry> AnyEntry()
    {
        Gen<NodeId> nodes = Gen.Elements(A, B, C);
        Gen<NodeId> origins = Gen.Elements(A, B, C, NodeId.Raft);
        Gen<UInt128> ids = Gen.Choose(1, 3).Select(i => (UInt128)i);
        Gen<string> names = Gen.Elements("prod", "Prod", "overlay", "overlay0", "app", "back");
        Gen<CatalogEntry> claims =
            from origin in nodes
            from stamped in Gen.Frequency((9, Gen.Constant(origin)), (1, nodes))
            from name in names
            from counter in Gen.Choose(1, 2)
            from uid in ids
            from hash in Gen.Choose(1, 2)
            from live in Gen.Choose(0, 3)
            from key in Gen.Frequency((9, Gen.Constant(name)), (1, names))
            let fact = Created(stamped, name, (ulong)counter, uid, Overlay($"10.{uid}.0.1"), (ulong)hash)
            select Entry(origin, FactKeys.Claim(key), FactKind.Claim, FactCodec.Encode(live == 0 ? fact with { Spec = null } : fact));
        Gen<CatalogEntry> nics =
            from origin in nodes
            from attachment in ids
            from key in ids
            from network in ids
            from mac in Gen.Choose(1, 2)
            from lease in Gen.Choose(0, 1)
            select Entry(origin, FactKeys.Nic(key), FactKind.Nic, FactCodec.Encode(NicFact(attachment, network, $"n{attachment}", (byte)mac, null, (ulong)lease)));
        Gen<CatalogEntry> others = Gen.OneOf(
            from origin in nodes select Node(origin),
            from origin in nodes from network in ids from key in ids select Entry(origin, FactKeys.Participation(key), FactKind.Participation, FactCodec.Encode(new ParticipationFact(network, ObjectState.Ready, null))),
            from origin in origins from node in nodes select Removed(node, origin),
            from origin in origins from network in ids from name in names select Pool(network, name, origin),
            from origin in origins from attachment in ids from network in ids select Lease(attachment, network, "10.88.0.2", A, 5, origin));
        return Gen.OneOf(claims, claims, nics, others);
    }
}

using System.Net;
using System.Text;
using Kcore.Gossip;
using Kcore.Simulation.Engine;
using Kcore.Simulation.Engine.Checks;

namespace Kcore.Simulation.Gossip;

public sealed class GossipSimulationTests
{
    private static LocalWrite Write(string key, string value) => new(key, 1, Encoding.UTF8.GetBytes(value));

    private static List<(TimeSpan At, SimulatedNode Observer, GossipEffect Effect)> Log(GossipCluster cluster) =>
        cluster.Checks.OfType<EffectRecord>().Single().Effects;

    private static void LoseCatalog(GossipCluster cluster, SimulatedNode node)
    {
        cluster.Truth.Forsake(node.Id);
        node.Disk.LoseCatalog();
    }

    private static GossipCluster Started(int seed, int count, double loss = 0, GossipOptions? options = null)
    {
        var cluster = new GossipCluster((ulong)seed, count, options);
        cluster.Network.Loss = loss;
        cluster.Checks.AddRange(
            [new ProgressCheck(cluster), new VisibilityCheck(cluster), new BurialCheck(cluster, options ?? new GossipOptions(), tolerableLoss: 0.2), new BoundsCheck(cluster), new EffectRecord(cluster)]);
        cluster.StartAll();
        cluster.RunUntil(() => cluster.AllSeeAll() && cluster.InSync(), TimeSpan.FromSeconds(30), "everybody knows everybody");
        return cluster;
    }

    [Theory]
    [InlineData(3, 0.0, 1)]
    [InlineData(3, 0.2, 2)]
    [InlineData(5, 0.1, 3)]
    [InlineData(10, 0.2, 4)]
    [InlineData(33, 0.05, 5)]
    [InlineData(50, 0.2, 6)]
    public void Clusters_converge_under_loss_and_nobody_is_declared_dead(int count, double loss, int seed)
    {
        GossipCluster cluster = Started(seed, count, loss);
        cluster.Network.Duplication = 0.05;
        for (int round = 0; round < 20; round++)
        {
            SimulatedNode writer = cluster.Nodes[round % count];
            cluster.Put(writer, Write($"key-{round % 7}", $"value {round}"), Write($"other-{round}", new string('x', 200)));
            cluster.RunFor(TimeSpan.FromMilliseconds(170));
        }

        cluster.RunUntil(cluster.InSync, TimeSpan.FromSeconds(count > 33 ? 6 : 3), "equal digests");
        cluster.RunFor(TimeSpan.FromMinutes(1));
        Assert.DoesNotContain(Log(cluster), l => l.Effect is GossipEffect.MemberChanged { After.Status: MemberStatus.Dead });
        Assert.All(cluster.Running, n => Assert.Equal(0, n.Core!.MalformedInputs));
        AssertSameEntries(cluster);
    }

    [Fact]
    public void An_update_reaches_three_nodes_within_ten_milliseconds()
    {
        for (int seed = 1; seed <= 20; seed++)
        {
            GossipCluster cluster = Started(seed, 3);
            cluster.RunFor(TimeSpan.FromSeconds(5));
            cluster.Put(cluster.Nodes[seed % 3], Write("nic", "a"));
            TimeSpan took = cluster.RunUntil(cluster.InSync, TimeSpan.FromSeconds(1), "the update");
            Assert.True(took <= TimeSpan.FromMilliseconds(10), $"seed {seed}: {took}");
        }
    }

    [Theory]
    [InlineData(3)]
    [InlineData(7)]
    public void Nodes_are_equal_within_two_seconds_though_every_datagram_with_one_fact_is_lost(int count)
    {
        byte[] needle = "swallowed"u8.ToArray();
        for (int seed = 1; seed <= 10; seed++)
        {
            GossipCluster cluster = Started(seed, count);
            cluster.RunFor(TimeSpan.FromSeconds(3));
            cluster.Network.Swallow = payload => payload.Span.IndexOf(needle) >= 0;
            cluster.Put(cluster.Nodes[0], Write("swallowed", "by the network"));
            cluster.RunUntil(cluster.InSync, TimeSpan.FromSeconds(2), "equal without datagrams");
        }
    }

    [Theory]
    [InlineData(3)]
    [InlineData(10)]
    public void A_crash_is_known_to_all_in_time_and_withdraws_nothing(int count)
    {
        for (int seed = 1; seed <= 10; seed++)
        {
            GossipCluster cluster = Started(seed, count);
            SimulatedNode victim = cluster.Nodes[count - 1];
            cluster.Put(victim, Write("nic", "still there"));
            cluster.RunFor(TimeSpan.FromSeconds(2));
            ulong before = cluster.Nodes[0].Core!.CatalogDigest;
            cluster.Crash(victim, loseWriteBehind: true);
            TimeSpan took = cluster.RunUntil(
                () => cluster.Running.All(n => n.Core!.Members.Find(victim.Id)!.Status == MemberStatus.Dead),
                TimeSpan.FromSeconds(12),
                "the crash is noticed");
            Assert.True(took > TimeSpan.FromSeconds(2), $"seed {seed}: buried after {took}");
            Assert.All(cluster.Running, n => Assert.Equal(before, n.Core!.CatalogDigest));
            Assert.Equal(count - 1, cluster.Running.Count(n => n.Core!.Members.Members.Count(m => m.Status == MemberStatus.Alive) == count - 1));
        }
    }

    [Fact]
    public void A_restart_with_its_disk_withdraws_and_rewrites_nothing()
    {
        for (int seed = 1; seed <= 10; seed++)
        {
            GossipCluster cluster = Started(seed, 3);
            SimulatedNode node = cluster.Nodes[1];
            cluster.Put(node, Write("a", "1"), Write("b", "2"));
            cluster.RunFor(TimeSpan.FromSeconds(2));
            ulong before = cluster.Nodes[0].Core!.CatalogDigest;
            cluster.Crash(node, loseWriteBehind: false);
            cluster.RunFor(TimeSpan.FromSeconds(1));
            Log(cluster).Clear();
            cluster.Start(node, []);
            cluster.Put(node, Write("a", "1"), Write("b", "2"));
            TimeSpan took = cluster.RunUntil(
                () => cluster.InSync() && node.Core!.Members.Members.Count(m => m.Status == MemberStatus.Alive) == 3,
                TimeSpan.FromSeconds(5),
                "back in the cluster");
            Assert.True(took < TimeSpan.FromMilliseconds(500), $"seed {seed}: {took}");
            Assert.All(cluster.Running, n => Assert.Equal(before, n.Core!.CatalogDigest));
            Assert.DoesNotContain(Log(cluster), l => l.Effect is GossipEffect.CatalogChanged or GossipEffect.CatalogResync);
        }
    }

    [Fact]
    public void A_partition_of_any_length_heals_by_itself()
    {
        for (int seed = 1; seed <= 5; seed++)
        {
            GossipCluster cluster = Started(seed, 8);
            cluster.Network.Split(i => i % 2);
            cluster.RunFor(TimeSpan.FromMinutes(10));
            Assert.All(cluster.Running, n => Assert.Equal(4, n.Core!.Members.Members.Count(m => m.Status == MemberStatus.Dead)));
            cluster.Put(cluster.Nodes[0], Write("left", "side"));
            cluster.Put(cluster.Nodes[1], Write("right", "side"));
            cluster.RunFor(TimeSpan.FromHours(1));
            cluster.Network.Mend();
            cluster.RunUntil(
                () => cluster.InSync() && cluster.Running.All(n => n.Core!.Members.Members.All(m => m.Status == MemberStatus.Alive)),
                TimeSpan.FromMinutes(2),
                "healed");
            AssertSameEntries(cluster);
        }
    }

    [Fact]
    public void Tombstones_do_not_resurrect_for_a_member_absent_longer_than_they_are_kept()
    {
        GossipCluster cluster = Started(11, 4);
        SimulatedNode absent = cluster.Nodes[3];
        cluster.Put(cluster.Nodes[0], Write("gone", "1"), Write("kept", "2"));
        cluster.RunUntil(cluster.InSync, TimeSpan.FromSeconds(3), "written");
        cluster.RunFor(TimeSpan.FromSeconds(1));
        cluster.Crash(absent, loseWriteBehind: false);
        cluster.Put(cluster.Nodes[0], LocalWrite.Remove("gone", 1));
        cluster.RunFor(TimeSpan.FromMinutes(30));
        Assert.Null(cluster.Nodes[0].Core!.Catalog.Find(cluster.Nodes[0].Id)!.Find("gone"));
        cluster.Start(absent, []);
        cluster.RunUntil(cluster.InSync, TimeSpan.FromSeconds(5), "caught up");
        cluster.RunFor(TimeSpan.FromSeconds(10));
        Assert.All(cluster.Running, n => Assert.DoesNotContain(n.Core!.Catalog.Entries, e => e.Key == "gone" && !e.IsTombstone));
        AssertSameEntries(cluster);
    }

    [Fact]
    public void A_lost_store_starts_a_new_epoch_and_all_agree_on_its_content()
    {
        for (int seed = 1; seed <= 10; seed++)
        {
            GossipCluster cluster = Started(seed, 4);
            SimulatedNode node = cluster.Nodes[2];
            cluster.Put(node, Write("old", "1"), Write("same", "2"));
            cluster.RunFor(TimeSpan.FromSeconds(2));
            cluster.Crash(node, loseWriteBehind: false);
            LoseCatalog(cluster, node);
            cluster.Start(node, []);
            cluster.Put(node, Write("same", "2"), Write("new", "3"));
            cluster.RunFor(TimeSpan.FromSeconds(5));
            cluster.RunUntil(cluster.InSync, TimeSpan.FromSeconds(5), "one content");
            Assert.All(cluster.Running, n => Assert.Equal(["new", "same"], n.Core!.Catalog.Find(node.Id)!.Entries.Where(e => !e.IsTombstone).Select(e => e.Key)));
        }
    }

    [Fact]
    public void A_short_stall_buries_nobody()
    {
        for (int seed = 1; seed <= 10; seed++)
        {
            GossipCluster cluster = Started(seed, 5);
            cluster.RunFor(TimeSpan.FromSeconds(3));
            for (int i = 0; i < 10; i++)
            {
                cluster.Stall(cluster.Nodes[i % 5], TimeSpan.FromSeconds(2));
                cluster.RunFor(TimeSpan.FromSeconds(6));
            }

            Assert.DoesNotContain(Log(cluster), l => l.Effect is GossipEffect.MemberChanged { After.Status: MemberStatus.Dead });
        }
    }

    [Fact]
    public void Under_lan_safe_a_stall_of_eight_seconds_buries_nobody()
    {
        Assert.True(Deaths(GossipOptions.Lan) > 0, "the stall is no trial");
        Assert.Equal(0, Deaths(GossipOptions.LanSafe));

        static int Deaths(GossipOptions options)
        {
            int deaths = 0;
            for (int seed = 1; seed <= 10; seed++)
            {
                GossipCluster cluster = Started(seed, 3, options: options);
                cluster.RunFor(TimeSpan.FromSeconds(3));
                for (int i = 0; i < 6; i++)
                {
                    cluster.Stall(cluster.Nodes[i % 3], TimeSpan.FromSeconds(8));
                    cluster.RunFor(TimeSpan.FromSeconds(20));
                }

                deaths += Log(cluster).Count(l => l.Effect is GossipEffect.MemberChanged { After.Status: MemberStatus.Dead });
            }

            return deaths;
        }
    }

    [Fact]
    public void A_thousand_nodes_find_each_other_and_bury_the_one_that_crashes()
    {
        var cluster = new GossipCluster(1, 1000) { Trace = null };
        cluster.StartAll();
        cluster.RunUntil(() => cluster.InSync() && cluster.AllSeeAll(), TimeSpan.FromMinutes(2), "everybody knows everybody", TimeSpan.FromSeconds(1));
        SimulatedNode crashed = cluster.Nodes[500];
        cluster.Crash(crashed, loseWriteBehind: false, hostIsUp: false);
        cluster.RunUntil(
            () => cluster.Running.All(n => n.Core!.Members.Find(crashed.Id)!.Status == MemberStatus.Dead), TimeSpan.FromSeconds(20), "buried everywhere", TimeSpan.FromMilliseconds(100));
        Assert.All(cluster.Running, n => Assert.Equal(0, n.Core!.MalformedInputs));
    }

    [Fact]
    public void A_new_address_is_known_to_all_at_once()
    {
        GossipCluster cluster = Started(21, 5);
        SimulatedNode node = cluster.Nodes[4];
        cluster.Move(node, new IPEndPoint(IPAddress.Parse("10.9.9.9"), 7946));
        cluster.RunUntil(() => cluster.Running.All(n => n.Core!.Members.Find(node.Id)!.Endpoint.Equals(node.Endpoint)), TimeSpan.FromSeconds(2), "re-pointed");
    }

    [Fact]
    public void Facts_too_large_for_a_datagram_and_whole_catalogs_travel_by_stream()
    {
        GossipCluster cluster = Started(23, 4);
        SimulatedNode late = cluster.Nodes[3];
        cluster.Crash(late, loseWriteBehind: true);
        LoseCatalog(cluster, late);
        cluster.Put(cluster.Nodes[0], Write("large", new string('l', 4096)));
        cluster.Put(cluster.Nodes[1], [.. Enumerable.Range(0, 3000).Select(i => Write($"nic-{i}", "10.0.0.1"))]);
        LocalWrite[] leases = [.. Enumerable.Range(0, 100).Select(i => Write($"lease-{i}", new string('a', 40)) with { Version = 5 })];
        foreach (LocalWrite lease in leases)
        {
            cluster.Truth.Commit(CatalogEntry.Create(NodeId.Raft, lease.Key, lease.Version, lease.Kind, EntryFlags.None, lease.Value), 1, 5);
        }

        cluster.Submit(cluster.Nodes[0], new GossipInput.PutCluster(0, 5, 1, [.. leases]));
        cluster.RunUntil(cluster.InSync, TimeSpan.FromSeconds(3), "three in sync");
        cluster.Start(late, [cluster.Nodes[2].Endpoint]);
        cluster.RunUntil(
            () => cluster.InSync() && late.Core!.Members.Members.Length == 4,
            TimeSpan.FromSeconds(3),
            "the late one has all");
        Assert.Equal(3101, late.Core!.Catalog.Entries.Count());
        AssertSameEntries(cluster);
    }

    [Fact]
    public void Who_leaves_is_not_suspected()
    {
        GossipCluster cluster = Started(22, 5);
        SimulatedNode node = cluster.Nodes[4];
        cluster.Submit(node, new GossipInput.Leave());
        cluster.RunFor(TimeSpan.FromSeconds(1));
        cluster.Crash(node, loseWriteBehind: false);
        cluster.RunFor(TimeSpan.FromMinutes(1));
        Assert.All(cluster.Running, n => Assert.Equal(MemberStatus.Left, n.Core!.Members.Find(node.Id)!.Status));
    }

    [Theory]
    [InlineData(31)]
    [InlineData(32)]
    public void The_same_seed_gives_the_same_trace(int seed)
    {
        Assert.Equal(Storm(seed).Trace!.Value, Storm(seed).Trace!.Value);
        Assert.NotEqual(Storm(seed).Trace!.Value, Storm(seed + 100).Trace!.Value);
    }

    [Fact]
    public void Storms_of_crashes_partitions_and_writes_end_in_agreement()
    {
        for (int seed = 100; seed < 140; seed++)
        {
            GossipCluster cluster = Storm(seed);
            cluster.Network.Loss = 0.05;
            cluster.Network.Mend();
            foreach (SimulatedNode node in cluster.Nodes.Where(n => n.Core is null))
            {
                cluster.Start(node, [cluster.Nodes[0].Endpoint]);
            }

            cluster.RunUntil(
                () => cluster.InSync() && cluster.Running.All(n => n.Core!.Members.Members.All(m => m.Status == MemberStatus.Alive)),
                TimeSpan.FromMinutes(3),
                "agreement after the storm");
            AssertSameEntries(cluster);
            foreach (SimulatedNode node in cluster.Nodes)
            {
                OriginHead mine = node.Core!.Catalog.Find(node.Id)!.Head;
                Assert.All(cluster.Running, n => Assert.True(
                    n.Core!.Catalog.Find(node.Id) is not { } held || (held.Epoch, held.Version).CompareTo((mine.Epoch, mine.Version)) <= 0,
                    $"seed {seed}: somebody knows more of node {node.Index} than itself"));
            }
        }
    }

    private static GossipCluster Storm(int seed)
    {
        var random = new Random(seed * 31);
        int count = 3 + random.Next(6);
        GossipCluster cluster = Started(seed, count);
        cluster.Network.Loss = random.NextDouble() * 0.2;
        cluster.Network.Duplication = random.NextDouble() * 0.1;
        for (int step = 0; step < 60; step++)
        {
            SimulatedNode node = cluster.Nodes[random.Next(count)];
            switch (random.Next(8))
            {
                case 0 when node.Core is not null:
                    cluster.Crash(node, loseWriteBehind: random.Next(2) == 0);
                    break;
                case 0 or 1 when node.Core is null:
                    if (random.Next(5) == 0)
                    {
                        LoseCatalog(cluster, node);
                    }

                    cluster.Start(node, [cluster.Nodes[random.Next(count)].Endpoint]);
                    break;
                case 2:
                    int cut = random.Next(count + 1);
                    cluster.Network.Split(i => i < cut ? 0 : 1);
                    break;
                case 3:
                    cluster.Network.Mend();
                    break;
                case 4:
                    cluster.Put(node, LocalWrite.Remove($"key-{random.Next(10)}", 1));
                    break;
                default:
                    cluster.Put(node, [.. Enumerable.Range(0, 1 + random.Next(12)).Select(_ => Write($"key-{random.Next(10)}", new string('v', random.Next(900)) + step))]);
                    break;
            }

            cluster.RunFor(TimeSpan.FromMilliseconds(random.Next(3000)));
        }

        return cluster;
    }

    private static void AssertSameEntries(GossipCluster cluster)
    {
        List<CatalogEntry> first = [.. cluster.Running.First().Core!.Catalog.Entries.Where(e => !e.IsTombstone)];
        Assert.All(cluster.Running, n => Assert.Equal(first, n.Core!.Catalog.Entries.Where(e => !e.IsTombstone)));
    }
}

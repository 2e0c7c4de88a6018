using Kcore.Daemon.Storage;
using Kcore.Gossip;

namespace Kcore.Daemon.Tests.Storage;

public sealed class CatalogBatchTests
{
    private static readonly NodeId[] Origins = [new(1), new(2), new(3)];
    private static readonly string[] Keys = ["a", "b", "c", "d"];

    [Fact]
    public void One_transaction_of_many_changes_leaves_what_each_by_itself_would_have_left()
    {
        for (int seed = 0; seed < 300; seed++)
        {
            Random random = new(seed);
            using var one = new TestDatabase();
            using var each = new TestDatabase();
            var together = new CatalogStore(one.Database);
            var apart = new CatalogStore(each.Database);
            for (int round = 0; round < 3; round++)
            {
                var batch = new CatalogBatch();
                for (int i = random.Next(1, 12); i > 0; i--)
                {
                    GossipEffect.Persist changes = Draw(random);
                    batch.Add(changes);
                    apart.Save(changes);
                }

                together.Save(batch.ToPersist());
                Assert.True(Text(apart) == Text(together), $"seed {seed}, round {round}:\n{Text(apart)}\nbut together\n{Text(together)}");
            }
        }
    }

    [Fact]
    public void A_batch_taken_up_again_after_a_refusal_still_comes_before_what_followed()
    {
        using var test = new TestDatabase();
        var refused = new CatalogBatch();
        refused.Add(new GossipEffect.Persist(true, [Head(Origins[0], 1)], [Entry(Origins[0], "a", 1)], [], []));
        var later = new CatalogBatch();
        later.Add(new GossipEffect.Persist(true, [Head(Origins[0], 2)], [Entry(Origins[0], "a", 2)], [], []));

        refused.Add(later.ToPersist());
        var store = new CatalogStore(test.Database);
        store.Save(refused.ToPersist());

        (List<OriginHead> heads, List<CatalogEntry> entries) = store.Load();
        Assert.Equal(2UL, Assert.Single(heads).Version);
        Assert.Equal(2UL, Assert.Single(entries).Version);
    }

    [Fact]
    public void What_waits_for_a_slow_disk_is_bounded_by_the_catalog_not_by_the_number_of_changes()
    {
        var batch = new CatalogBatch();
        for (ulong version = 1; version <= 10_000; version++)
        {
            batch.Add(new GossipEffect.Persist(true, [Head(Origins[0], version)], [Entry(Origins[0], Keys[version % 4], version)], [], []));
        }

        GossipEffect.Persist all = batch.ToPersist();
        Assert.Equal(4, all.Entries.Length);
        Assert.Equal(10_000UL, Assert.Single(all.Heads).Version);
    }

    private static GossipEffect.Persist Draw(Random random)
    {
        NodeId[] removed = random.Next(6) == 0 ? [Origins[random.Next(3)]] : [];
        OriginHead[] heads = [.. Some(Origins, random).Select(o => Head(o, (ulong)random.Next(1, 100)))];
        CatalogEntry[] entries = [.. Some(Origins, random).SelectMany(o => Some(Keys, random).Select(k => Entry(o, k, (ulong)random.Next(1, 100))))];
        EntryKey[] gone = [.. Some(Origins, random).SelectMany(o => Some(Keys, random).Select(k => new EntryKey(o, k)))];
        return new GossipEffect.Persist(random.Next(2) == 0, [.. heads], [.. entries], [.. gone], [.. removed]);
    }

    private static IEnumerable<T> Some<T>(T[] all, Random random) => [.. all.Where(_ => random.Next(3) == 0)];

    private static OriginHead Head(NodeId origin, ulong version) => new(origin, 1, version, 0, true);

    private static CatalogEntry Entry(NodeId origin, string key, ulong version) => CatalogEntry.Create(origin, key, version, 10, EntryFlags.None, new byte[] { 1 });

    private static string Text(CatalogStore store)
    {
        (List<OriginHead> heads, List<CatalogEntry> entries) = store.Load();
        return string.Join('\n', heads.Select(h => h.ToString()).Concat(entries.Select(e => $"{e.Origin.Short} {e.Key} {e.Version}").Order(StringComparer.Ordinal)));
    }
}
